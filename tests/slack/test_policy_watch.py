"""What happens to the policy file is logged, audited and, where it is refused, announced."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from view_examples import check_message, read

from bot.core.errors import StoreUnavailable
from bot.policy_file import PolicyError, PolicySource, load_policy
from bot.sandbox.hand_clock import HandClock
from bot.sandbox.stage import sandbox_policy
from bot.slack.policy_watch import PolicyWatch, refused, restored
from bot.store import announcements, audit, migrate
from bot.store.database import Database

AUDIT, SECURITY = "C0AUDIT", "C0SECURITY"
GOOD = sandbox_policy()
BROKEN = GOOD.replace("approval: automatic", "approval: auto <!channel> *matic*")


class Watched:
    """A policy file that is watched by one replica or several."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database = database
        self.path = path
        self.clock = HandClock()
        self.write(GOOD)
        self.replica = self.another_replica()
        self.replica.look()

    def another_replica(self, database: Database | None = None) -> PolicyWatch:
        source = PolicySource(self.path)
        source.current()
        return PolicyWatch(database or self.database, source, clock=self.clock)

    def write(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.path)

    def becomes(self, *texts: str) -> None:
        for text in texts:
            self.write(text)
            self.replica.look()

    def said(self, channel: str = AUDIT) -> list[str]:
        """The first words of what was announced in a channel, in order."""
        with self.database.reading() as tx:
            due = announcements.due_in(tx, channel, self.clock(), 100)
        return ["refused" if "cannot come into force" in one.text else "restored" for one in due]

    def audited(self) -> list[str]:
        with self.database.reading() as tx:
            return [one.action for one in reversed(audit.latest(tx, 100))]


@pytest.fixture
def watched(database: Database, tmp_path: Path) -> Watched:
    return Watched(database, tmp_path / "policy.yaml")


def problem_of(path: Path, text: str) -> PolicyError:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    return caught.value


def test_a_good_file_and_a_good_change_of_it_are_no_news(watched: Watched) -> None:
    watched.becomes(GOOD + "\n")
    assert watched.audited() == ["policy.loaded", "policy.loaded"]
    assert watched.said() == []


def test_a_refused_file_and_the_good_one_after_it_are_announced_in_both_channels(
    watched: Watched,
) -> None:
    watched.becomes(BROKEN)
    watched.replica.look()
    assert watched.said() == ["refused"]
    watched.becomes(GOOD)
    watched.replica.look()
    assert watched.said() == ["refused", "restored"]
    assert watched.said(SECURITY) == ["refused", "restored"]
    assert watched.audited() == ["policy.loaded", "policy.refused", "policy.loaded"]


def test_a_refused_file_is_an_error_in_the_log_and_a_good_one_is_not(watched: Watched) -> None:
    with structlog.testing.capture_logs() as said:
        watched.becomes(BROKEN, GOOD)
    assert [(one["change"], one["log_level"]) for one in said if one["event"] == "policy"] == [
        ("refused", "error"),
        ("loaded", "info"),
    ]


def test_another_replica_that_sees_the_same_later_says_nothing_again(watched: Watched) -> None:
    other = watched.another_replica()
    watched.becomes(BROKEN)
    other.look()
    watched.becomes(GOOD)
    other.look()
    assert watched.said() == ["refused", "restored"]
    watched.write(BROKEN)
    other.look()
    assert watched.said() == ["refused", "restored"]


def test_each_way_in_which_a_file_is_broken_is_told_and_the_good_one_once(
    watched: Watched,
) -> None:
    watched.becomes(BROKEN, "deployment: [", GOOD)
    assert watched.said() == ["refused", "refused", "restored"]


def test_the_same_fault_on_another_day_is_told_again(watched: Watched) -> None:
    watched.becomes(BROKEN, GOOD)
    watched.clock.advance(timedelta(days=1))
    watched.becomes(BROKEN, GOOD)
    assert watched.said() == ["refused", "restored"] * 2


def test_a_restart_with_a_good_file_after_a_refused_one_says_so(watched: Watched) -> None:
    watched.becomes(BROKEN)
    watched.write(GOOD)
    watched.another_replica().look()
    assert watched.said() == ["refused", "restored"]


def test_a_file_that_was_never_good_is_audited_and_nobody_can_be_told(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    PolicyWatch(database, PolicySource(path), clock=HandClock()).look()
    with database.reading() as tx:
        assert [one.action for one in audit.latest(tx, 10)] == ["policy.refused"]
        assert announcements.newest(tx, "") is None


def test_what_happens_while_the_store_is_away_is_told_once_it_is_back(
    watched: Watched, tmp_path: Path
) -> None:
    file = tmp_path / "late" / "eks-access.db"
    late = Database(f"sqlite:///{file}")
    replica = watched.another_replica(late)
    watched.write(BROKEN)
    with pytest.raises(StoreUnavailable):
        replica.look()
    file.parent.mkdir()
    migrate.upgrade(late)
    replica.look()
    with late.reading() as tx:
        assert [one.action for one in audit.latest(tx, 10)] == ["policy.refused", "policy.loaded"]
        assert announcements.newest(tx, "policy.refused:") is not None
    late.close()


def test_the_alarm_says_what_holds_what_is_wrong_and_how_to_see_all_of_it(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "policy.yaml", BROKEN)
    message = check_message(refused(problem))
    shown = "\n".join(read(message.blocks))
    assert "The last good policy holds" in shown
    assert f"Line {problem.findings[0].line}: " in shown
    assert "eks-access policy check" in shown
    assert "<!channel>" not in str(
        [block for block in message.blocks if block["type"] != "rich_text"]
    )


def test_of_many_findings_the_first_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    rule = "  - {name: r%s, clusters: [nowhere], levels: [nothing], scope: cluster, nonsense: 1}\n"
    text = GOOD.split("rules:")[0] + "rules:\n" + "".join(rule % number for number in range(60))
    problem = problem_of(tmp_path / "policy.yaml", text)
    message = check_message(refused(problem))
    assert f"{len(problem.findings) - 5} more findings" in "\n".join(read(message.blocks))


def test_slack_takes_what_is_said_of_a_good_file() -> None:
    assert "in force" in check_message(restored()).text
