"""What `/eks-access …` means, on a keyboard, on a phone, and pasted."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from view_examples import HOSTILE, namespace

from bot.core.errors import InvalidInput
from bot.core.model import Ask
from bot.slack.commands import (
    FORMS,
    BreakGlass,
    Clusters,
    Command,
    Help,
    Mine,
    OpenForm,
    Pending,
    Request,
    Who,
    parse,
    written,
)
from bot.slack.id_commands import (
    Approve,
    Cancel,
    Deny,
    Extend,
    Return,
    ReviewBreakGlass,
    Revoke,
    Status,
)
from bot.slack.lockdown_command import Lockdown, Turn
from bot.slack.text import clean

HOUR = timedelta(hours=1)


def asked(text: str) -> Ask:
    command = parse(text)
    assert isinstance(command, Request)
    return command.ask


def command_or_error(text: str) -> Command | InvalidInput:
    try:
        return parse(text)
    except InvalidInput as error:
        return error


def refused(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        parse(text)
    return raised.value


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", OpenForm()),
        ("  \n ", OpenForm()),
        ("mine", Mine()),
        ("Pending", Pending()),
        ("MINE", Mine()),
        ("who prod-eu", Who("prod-eu")),
        ("who `prod-eu`", Who("prod-eu")),
        ("status 7K3-QMX", Status("7K3-QMX")),
        ("status 7k3qmx", Status("7K3-QMX")),
        ("Status 7K3 QMX", Status("7K3-QMX")),
        ("status 7K3\u2013QMX", Status("7K3-QMX")),
        ("status `7K3-QMX`", Status("7K3-QMX")),
        ("status ilo-ilo", Status("110-110")),
        ("return 7K3-QMX", Return("7K3-QMX")),
        ("approve 7K3-QMX", Approve("7K3-QMX")),
        ("deny 7K3-QMX View is enough", Deny("7K3-QMX", "View is enough")),
        ("deny 7k3 qmx “View is enough”", Deny("7K3-QMX", "View is enough")),
        ("cancel 7K3-QMX", Cancel("7K3-QMX")),
        ("clusters", Clusters()),
        ("lockdown", Lockdown(Turn.STATUS)),
        ("lockdown Status", Lockdown(Turn.STATUS)),
        ("lockdown off", Lockdown(Turn.OFF)),
        ("lockdown on Stolen laptop", Lockdown(Turn.ON, "Stolen laptop")),
        ('lockdown on --revoke "Stolen laptop"', Lockdown(Turn.ON, "Stolen laptop", True)),
        ("Lockdown ON \u2014revoke Stolen", Lockdown(Turn.ON, "Stolen", True)),
        ("help", Help()),
        ("help request", Help("request")),
        ("/eks-access mine", Mine()),
        ("`/eks-access who prod-eu`", Who("prod-eu")),
    ],
)
def test_each_form_is_read(text: str, command: Command) -> None:
    assert parse(text) == command


def test_a_request_in_full() -> None:
    assert asked(
        "request prod-eu edit --namespace payments,payments-eu --for 1h30m --ticket PAY-1423 "
        "Clearing a stuck job"
    ) == Ask(
        cluster="prod-eu",
        level="edit",
        namespaces=("payments", "payments-eu"),
        duration=timedelta(hours=1, minutes=30),
        ticket="PAY-1423",
        reason="Clearing a stuck job",
    )


def test_the_shortest_request() -> None:
    assert asked("request lab view look") == Ask(cluster="lab", level="view", reason="look")


@pytest.mark.parametrize(
    "text",
    [
        "request --for 2h --namespace a prod edit why not",
        "request prod --namespace=a edit --for=2h why not",
        "request prod edit why --for 2h not --namespace a",
        "request prod edit why not --namespace a --for 2h",
        "request prod edit \u2014namespace a \u2014for 2h why not",
        "request prod edit \u2013namespace=a \u2013for=2h why not",
        "request prod edit \u2014\u2014namespace a -for 2h why not",
        "REQUEST prod edit --NAMESPACE a --For 2H why not",
        "request\u00a0prod  edit\n--namespace\ta --for “2h” why\nnot",
        "request “prod” \u2018edit\u2019 --namespaces a --for 2h “why not”",
        "`/eks-access request prod edit --namespace a --for 2h why not`",
        "request prod edit --namespace a, --for 2h why not",
        "request prod edit --namespace a --namespace a --for 2h -- why not",
    ],
)
def test_options_stand_anywhere_and_phones_may_change_them(text: str) -> None:
    assert asked(text) == Ask(
        cluster="prod", level="edit", namespaces=("a",), duration=2 * HOUR, reason="why not"
    )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("--at 14:30 why", "14:30"),
        ("--at tomorrow 9:00 why", "tomorrow 9:00"),
        ("--at “tomorrow 9:00” why", "tomorrow 9:00"),
        ("why --at=2026-01-31 09:00", "2026-01-31 09:00"),
        ("\u2014at 2026-01-31T09:00+01:00 why", "2026-01-31T09:00+01:00"),
        ("why", ""),
    ],
)
def test_a_later_start_is_kept_as_typed(text: str, at: str) -> None:
    command = parse(f"request prod-eu edit {text}")
    assert isinstance(command, Request)
    assert (command.at, command.ask.reason) == (at, "why")
    assert command.ask.start_at is None


def test_namespaces_add_up() -> None:
    ask = asked("request c l --namespace a, b ,c --namespace “d,a” --namespace=e why")
    assert ask.namespaces == ("a", "b", "c", "d", "e")


def test_a_reason_keeps_its_words() -> None:
    reason = 'It\'s "stuck" \u2014 see <https://x|y> & *run* it '
    reason += "\u2013 50% -5 -x -fort o\u2019clock \u2014fort"
    assert asked(f"request c l {reason}").reason == reason


def test_after_a_lone_double_hyphen_everything_is_the_reason() -> None:
    assert asked("request c l -- use --force --for real").reason == "use --force --for real"


def test_line_breaks_in_a_reason_become_spaces() -> None:
    assert asked("request c l first\nsecond\r\n\r\nthird").reason == "first second third"


def test_what_cannot_be_seen_is_no_reason() -> None:
    assert refused("request c l \u200b\u3164").code == "missing_reason"


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        (
            "requst prod edit --for 2h stuck",
            "unknown_command",
            "`requst` is no command. The nearest is "
            "`/eks-access request prod edit --for 2h stuck`.",
        ),
        (
            "aprove 7K3-QMX",
            "unknown_command",
            "`aprove` is no command. The nearest is `/eks-access approve 7K3-QMX`.",
        ),
        (
            "staus",
            "unknown_command",
            "`staus` is no command. The nearest is `/eks-access status ID`.",
        ),
        (
            "gimme",
            "unknown_command",
            "`gimme` is no command. `/eks-access help` lists them, and `/eks-access` alone opens "
            "the request form.",
        ),
        (
            "request",
            "missing_cluster",
            "The cluster is missing. The form is `/eks-access request CLUSTER LEVEL REASON`.",
        ),
        (
            "request prod-eu --for 2h",
            "missing_level",
            "I read cluster `prod-eu` and `--for 2h`. The level is missing. The form is "
            "`/eks-access request prod-eu LEVEL --for 2h REASON`.",
        ),
        (
            "request prod-eu edit --namespace payments --for 2h",
            "missing_reason",
            "I read cluster `prod-eu`, level `edit`, `--namespace payments` and `--for 2h`. The "
            "reason is missing. The people who decide read it. The form is "
            "`/eks-access request prod-eu edit --namespace payments --for 2h REASON`.",
        ),
        (
            "request prod-eu edit --namepsace payments stuck job",
            "unknown_option",
            "`--namepsace` is no option. The nearest is `--namespace`: "
            "`/eks-access request prod-eu edit --namespace payments stuck job`.",
        ),
        (
            "request prod-eu edit \u2014namepsace=payments stuck job",
            "unknown_option",
            "`\u2014namepsace=payments` is no option. The nearest is `--namespace`: "
            "`/eks-access request prod-eu edit --namespace payments stuck job`.",
        ),
        (
            "request prod-eu edit --force stuck",
            "unknown_option",
            "`--force` is no option. The nearest is `--for`: "
            "`/eks-access request prod-eu edit --for stuck REASON`.",
        ),
        (
            "request prod-eu edit --verbose stuck",
            "unknown_option",
            "`--verbose` is no option. There are 5 options: `--namespace`, `--whole-cluster`, "
            "`--for`, `--at` and `--ticket`. Words of a reason that begin with a dash go after a "
            "lone `--`.",
        ),
        (
            "request prod-eu edit stuck --for",
            "missing_value",
            "`--for` has no value. For example: `/eks-access request prod-eu edit --for 2h stuck`.",
        ),
        (
            "request prod-eu edit --for --ticket T stuck",
            "missing_value",
            "`--for` has no value. For example: "
            "`/eks-access request prod-eu edit --for 2h REASON`.",
        ),
        (
            "request prod-eu edit --namespace=, --for 2h stuck",
            "missing_value",
            "`--namespace` has no value. For example: "
            "`/eks-access request prod-eu edit --namespace NS REASON`.",
        ),
        (
            "request prod-eu edit --for 2h --for 3h stuck",
            "duplicate_option",
            "`--for` stands there twice, with `2h` and `3h`. Keep one, for example "
            "`/eks-access request prod-eu edit --for 2h REASON`.",
        ),
        (
            "request prod-eu edit --for 2 days stuck job",
            "bad_duration",
            "`2 days` is no length of time. Did you mean `2d`? Days, hours and minutes are written "
            "`30m`, `2h`, `1h30m` or `1d`. For example: "
            "`/eks-access request prod-eu edit --for 2h stuck job`.",
        ),
        (
            "request prod-eu edit --at 6pm stuck job",
            "bad_time",
            "`6pm` is no time. Did you mean `18:00`? Times are written `14:30`, `tomorrow 9:00` or "
            "`2026-01-31 09:00`. For example: "
            "`/eks-access request prod-eu edit --at tomorrow 9:00 stuck job`.",
        ),
        (
            "break-glass prod-eu admin",
            "missing_reason",
            "I read cluster `prod-eu` and level `admin`. The reason is missing. The people who "
            "review it read it. The form is `/eks-access break-glass prod-eu admin REASON`.",
        ),
        (
            "break-glass prod-eu admin --at 18:00 down",
            "bad_start",
            "Break-glass begins at once. Leave `--at` out: "
            "`/eks-access break-glass prod-eu admin down`.",
        ),
        (
            "break-glass prod-eu admin --for soon down",
            "bad_duration",
            "`soon` is no length of time. Write for example `30m`, `2h`, `1h30m` or `1d`. "
            "For example: `/eks-access break-glass prod-eu admin --for 30m down`.",
        ),
        (
            "break-glass prod-eu admin --fro 1h down",
            "unknown_option",
            "`--fro` is no option. The nearest is `--for`: "
            "`/eks-access break-glass prod-eu admin --for 1h down`.",
        ),
        (
            "review 7K3-QMX",
            "missing_verdict",
            "I read `review 7K3-QMX`. The form is "
            "`/eks-access review 7K3-QMX justified|unjustified FINDINGS`.",
        ),
        (
            "review 7K3-QMX justifed restarted it",
            "missing_verdict",
            "I read `review 7K3-QMX`. `justifed` is neither `justified` nor `unjustified`. Did you "
            "mean `justified`? The form is "
            "`/eks-access review 7K3-QMX justified|unjustified FINDINGS`.",
        ),
        (
            "review 7K3-QMX not justified",
            "missing_verdict",
            "I read `review 7K3-QMX`. `not` is neither `justified` nor `unjustified`. Did you mean "
            "`unjustified`? The form is "
            "`/eks-access review 7K3-QMX justified|unjustified FINDINGS`.",
        ),
        (
            "review 7K3-QMX justified",
            "missing_findings",
            "I read `review 7K3-QMX justified`. What was done is missing; it is what an auditor "
            "reads. The form is `/eks-access review 7K3-QMX justified|unjustified FINDINGS`.",
        ),
        (
            "extend 7K3-QMX",
            "missing_duration",
            "I read `extend 7K3-QMX`. How much longer is missing. "
            "The form is `/eks-access extend 7K3-QMX 1h`.",
        ),
        (
            "extend 7K3-QMX soon",
            "bad_duration",
            "`soon` is no length of time. Write for example `30m`, `2h`, `1h30m` or `1d`. "
            "For example: `/eks-access extend 7K3-QMX 1h`.",
        ),
        (
            "approve",
            "missing_id",
            "I read `approve`. The request id is missing; `/eks-access mine` lists yours. "
            "The form is `/eks-access approve ID`.",
        ),
        (
            "approve 7K3-QMX now",
            "too_much",
            "I read `approve 7K3-QMX`, and do not know what to do with `now`. "
            "The form is `/eks-access approve 7K3-QMX`.",
        ),
        (
            "deny 7K3-QMX",
            "missing_reason",
            "I read `deny 7K3-QMX`. The reason is missing; the requester is told why. "
            "The form is `/eks-access deny 7K3-QMX REASON`.",
        ),
        (
            "who",
            "missing_cluster",
            "I read `who`. The cluster is missing; `/eks-access clusters` lists them. "
            "The form is `/eks-access who CLUSTER`.",
        ),
    ],
)
def test_an_error_says_what_was_read_and_the_nearest_form(
    text: str, code: str, sentence: str
) -> None:
    error = refused(text)
    assert (error.code, error.sentence) == (code, sentence)


@pytest.mark.parametrize("typed", ["-1h", "9999h", "2", "soon", "1h30"])
def test_a_bad_duration_names_its_field(typed: str) -> None:
    error = refused(f"request c l --for={typed} why")
    assert error.field == "duration"
    assert "--for 2h" in error.sentence


@pytest.mark.parametrize(
    "typed", ["break-glass", "breakglass", "Break Glass", "break\u2013glass", "BREAK-GLASS"]
)
def test_break_glass_is_read_however_it_is_typed_at_night(typed: str) -> None:
    ask = Ask("prod-eu", "admin", ("a", "b"), timedelta(minutes=30), reason="it is down")
    line = f"{typed} prod-eu admin \u2014namespace a,b --for 30m it is down"
    assert parse(line) == BreakGlass(ask)


@pytest.mark.parametrize("typed", ["break", "brake-glass", "break-glas"])
def test_what_is_nearly_break_glass_is_told_how_it_is_written(typed: str) -> None:
    error = refused(f"{typed} prod-eu admin it is down")
    assert error.code == "unknown_command"
    assert "`/eks-access break-glass prod-eu admin it is down`" in error.sentence


def test_what_others_do_about_a_break_glass_is_read() -> None:
    assert parse("revoke 7k3qmx") == Revoke("7K3-QMX", "")
    assert parse("revoke 7K3 QMX “It is over”") == Revoke("7K3-QMX", "It is over")
    reviewed = ReviewBreakGlass("7K3-QMX", justified=True, findings="Restarted it, see INC-7")
    assert parse("review 7K3-QMX Justified: Restarted it, see INC-7") == reviewed
    reviewed = ReviewBreakGlass("7K3-QMX", justified=False, findings="Nothing was broken")
    assert parse("review 7K3-QMX unjustified Nothing was broken") == reviewed


def test_more_time_is_asked_for_with_or_without_a_reason() -> None:
    assert parse("extend 7k3qmx 1h30m") == Extend("7K3-QMX", timedelta(minutes=90), "")
    assert parse("extend 7K3-QMX 30m The job runs") == Extend(
        "7K3-QMX", timedelta(minutes=30), "The job runs"
    )


def test_a_bad_id_is_refused() -> None:
    assert refused("status 7K3-QM").code == "bad_id"
    assert refused("approve <@U01ANA>").code == "bad_id"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("lockdown on", "missing_reason"),
        ("lockdown on --revoke", "missing_reason"),
        ("lockdown of", "bad_lockdown"),
        ("lockdown off now", "bad_lockdown"),
        ("lockdown status now", "bad_lockdown"),
        ("lockdwon on", "unknown_command"),
    ],
)
def test_a_lockdown_that_is_not_understood_names_its_form(text: str, code: str) -> None:
    error = refused(text)
    assert error.code == code
    assert "/eks-access lockdown" in error.sentence


def test_three_thousand_letters_are_the_most() -> None:
    start = "request c l "
    assert len(asked(start + "x" * (3000 - len(start))).reason) == 2988
    error = refused("x" * 3001)
    assert error.sentence == ("That is 3,001 letters; a command may have 3,000. Nothing was done.")


_FRAGMENTS = [*FORMS, "break-glass", "extend", "prod", "7K3-QMX", "--for", "2h", "--at=", "--"]
_FRAGMENTS += ["--namespace", "a,", ",", "\u2014for=", "--ticket", "“", "”", "`", "days", *HOSTILE]


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=9), max_size=14).map(" ".join)
)
@example("request \ud800 \u0000")
@example("request c l --for \u0661h why")
@example("request c l --for " + "9" * 2000 + "h why")
def test_any_text_is_a_command_or_a_sentence(text: str) -> None:
    outcome = command_or_error(text)
    if isinstance(outcome, InvalidInput):
        assert outcome.sentence.endswith(".")
        assert outcome.sentence.count("`") % 2 == 0
        assert "\n" not in outcome.sentence
    elif isinstance(outcome, Request):
        assert outcome.ask.cluster
        assert outcome.ask.level
        assert outcome.ask.reason


_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", fullmatch=True)
_words = st.from_regex(r"[-\u2014]{0,2}[A-Za-z0-9.,:!*<>&@]{1,9}", fullmatch=True)


@given(
    st.builds(
        Ask,
        cluster=_names,
        level=_names,
        namespaces=st.lists(namespace, unique=True, max_size=5).map(tuple),
        duration=st.none()
        | st.integers(1, 30 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
        ticket=st.none() | _names,
        reason=st.lists(_words, min_size=1, max_size=8).map(" ".join),
    )
)
@example(Ask("c", "l", ("a",), reason=", b"))
def test_what_the_bot_writes_it_reads_back(ask: Ask) -> None:
    assert asked(written(ask)) == ask


@pytest.mark.parametrize(
    "text",
    [
        "requst prod edit --namespace a --for 2h why",
        "request prod edit --namepsace a why",
        "request prod edit --for 2 days why",
        "request prod edit --at 9 why",
    ],
)
def test_what_an_error_offers_to_paste_is_valid(text: str) -> None:
    offered = re.findall(r"`(/eks-access request [^`]*)`", refused(text).sentence)
    assert asked(offered[-1]).reason == "why"


def test_a_reason_with_invisible_letters_is_kept_without_them() -> None:
    typed = "stuck\u202e job\u200b"
    assert asked(f"request c l {typed}").reason == clean(typed) == "stuck job"
