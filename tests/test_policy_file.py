from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.core.errors import PolicyUnavailable
from bot.core.policy_problems import Severity
from bot.policy_file import PolicyError, PolicySource, check_policy, load_policy
from bot.policy_findings import MOST_FINDINGS

GOOD = """\
deployment: acme-prod
audit_channel: C0AUDIT

# where access is given
clusters:
  - name: modern-access-lab
    region: eu-west-1
    account: "111122223333"
    labels: {env: lab}
    assume_role: arn:aws:iam::111122223333:role/eks-access-bot
    standing: refuse

levels:
  view: {policy: AmazonEKSViewPolicy}
  edit: {policy: AmazonEKSEditPolicy}
  cluster-admin: {policy: AmazonEKSClusterAdminPolicy, scope: cluster}

principals:
  users: {U01ALICE: "arn:aws:iam::{account}:role/eks-jit/alice"}
  template: "arn:aws:iam::{account}:role/eks-jit/{email_name}"
  email_domains: [example.com]

rules:
  - name: lab readers
    clusters: [{labels: {env: lab}}]
    levels: [view]
    namespaces: [default, "dev-*"]
    requesters: {groups: [S01ENG]}
    approval: automatic
    max_duration: 8h
  - name: lab editors
    clusters: ["modern-*"]
    levels: [edit]
    namespaces: [payments]
    approval:
      channel: C01PAY
      owners: {users: [U02BOB], groups: [S02PAYLEADS]}
      required: 1
    max_duration: 4h
    ticket: "^[A-Z]+-[0-9]+$"
  - name: platform
    clusters: [modern-access-lab]
    levels: [cluster-admin]
    scope: cluster
    approval: {channel: C01PLATFORM, owners: {groups: [S03PLATFORM]}, required: 2}
    max_duration: 1h
"""

BREAK_GLASS = """\
security_channel: C0SECURITY
break_glass:
  - clusters: ["*"]
    levels: [cluster-admin]
    responders: {groups: [S04ONCALL], pagerduty: {schedules: [PABC123]}}
    max_duration: 1h
    review: {owners: {groups: [S05SECURITY]}, within: 24h}
"""


def changed(old, new):
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def findings(text):
    return check_policy(text, "policy.yaml")[1]


def test_a_good_file_has_no_findings():
    policy, found = check_policy(GOOD, "policy.yaml")
    assert found == []
    assert policy is not None
    assert [rule.name for rule in policy.rules] == ["lab readers", "lab editors", "platform"]


def test_a_file_with_break_glass_has_no_findings():
    policy, found = check_policy(GOOD + BREAK_GLASS, "policy.yaml")
    assert found == []
    assert policy is not None
    assert policy.break_glass[0].responders.pagerduty is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("deployment: acme-prod\n", "", 1, "`deployment` is missing at the top of the file. Add"),
        ("deployment: acme-prod", "deployment: acme prod", 1, "becomes an AWS tag"),
        ("deployment: acme-prod", "deployment: 7", 1, 'in quotes: `deployment: "7"`'),
        ("audit_channel: C0AUDIT", "audit_channel: '#audit'", 2, "no Slack channel id"),
        ("audit_channel: C0AUDIT", "audit_chanel: C0AUDIT", 2, "Did you mean `audit_channel`?"),
        ('"111122223333"', "111122223333", 8, 'in quotes: `account: "111122223333"`'),
        ('"111122223333"', "012345670123", 8, 'in quotes: `account: "012345670123"`'),
        ('"111122223333"', '"1111"', 8, "twelve digits"),
        ("region: eu-west-1", "region: europe", 7, "no AWS region"),
        ("region: eu-west-1", "regoin: eu-west-1", 7, "Did you mean `region`?"),
        ("name: modern-access-lab", "name: modern access", 6, "no EKS cluster name"),
        ("labels: {env: lab}\n    a", "labels: {env: on}\n    a", 9, 'in quotes: `env: "on"`'),
        ("labels: {env: lab}\n    a", "labels: [lab]\n    a", 9, "must be a mapping"),
        ("role/eks-access-bot", "root", 10, "stands for a whole account"),
        ("111122223333:role/eks", "999922223333:role/eks", 10, "of the cluster's own account"),
        ("standing: refuse", "standing: ignore", 11, "Write `refuse` or `augment`"),
        ("standing: refuse", "standing:", 11, "`standing` has no value"),
        ("AmazonEKSViewPolicy", "AmazonEKSView", 14, "Did you mean `AmazonEKSViewPolicy`?"),
        ("AmazonEKSViewPolicy", "AmazonEKSComputePolicy", 14, "for machines, or unknown"),
        ("view: {policy", "View: {policy", 14, "lower-case letters"),
        ("{policy: AmazonEKSViewPolicy}", "AmazonEKSViewPolicy", 14, "must be a mapping"),
        ("{policy: AmazonEKSViewPolicy}", "{}", 14, "This level gives nothing"),
        ("{policy: AmazonEKSViewPolicy}", "{groups: [a]}", 14, "Did you mean `kubernetes_groups`?"),
        (
            "{policy: AmazonEKSViewPolicy}",
            "{kubernetes_groups: [deployers]}",
            14,
            "Add `scope: cluster`",
        ),
        (
            "{policy: AmazonEKSViewPolicy}",
            "{kubernetes_groups: ['system:masters'], scope: cluster}",
            14,
            "is reserved",
        ),
        ("Policy, scope: cluster}", "Policy, scope: all}", 16, "Write `cluster`"),
        ("U01ALICE: ", "alice: ", 19, "no Slack user id"),
        ("::{account}:role/eks-jit/alice", "::{acct}:role/eks-jit/alice", 19, "braces"),
        (
            '"arn:aws:iam::{account}:role/eks-jit/alice"',
            "arn:aws:sts::111122223333:assumed-role/alice/x",
            19,
            "an STS session",
        ),
        (
            "role/eks-jit/alice",
            "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_01",
            19,
            "IAM Identity Center",
        ),
        (
            'eks-jit/alice"}',
            'eks-jit/alice",\n    U02BOB: "arn:aws:iam::111122223333:role/alice"}',
            20,
            "U02BOB and U01ALICE are one IAM principal, so what one is given the other gets too. "
            "The other is at line 19. Give each",
        ),
        ("eks-jit/{email_name}", "eks-jit/all", 20, "does not give each person a role"),
        ("[example.com]", '["@example.com"]', 21, "no email domain"),
        ("  email_domains: [example.com]\n", "", 18, "no email domains"),
        ("levels: [view]", "levels: view", 26, "must be a list. Write `[view]`"),
        ("levels: [view]", "levels: [veiw]", 26, "There is no level `veiw`. Did you mean `view`?"),
        ("levels: [view]", "levels: []", 26, "is empty"),
        ("levels: [view]", "levels: [view, cluster-admin]", 26, "only given for whole clusters"),
        ("{labels: {env: lab}}]", "{label: {env: lab}}]", 25, "`labels` is missing"),
        ("clusters: [modern-access-lab]", "clusters: [modern]", 42, "Did you mean `modern-acc"),
        ('[default, "dev-*"]', "[Default]", 27, "Namespaces are lower case: `default`"),
        ('    namespaces: [default, "dev-*"]\n', "", 24, "does not say where it holds"),
        ("    scope: cluster\n", "    scope: cluster\n    namespaces: [a]\n", 41, "Keep one"),
        ("requesters: {groups: [S01ENG]}", "requesters:", 28, "`requesters` has no value"),
        ("requesters: {groups: [S01ENG]}", "requesters: {}", 28, "This names nobody"),
        ("requesters: {groups: [S01ENG]}", "requesters: {group: [S1]}", 28, "mean `groups`?"),
        ("requesters: {groups: [S01ENG]}", "requesters: {groups: [eng]}", 28, "user group id"),
        (
            "approval: automatic",
            "approval: auto",
            29,
            "Write `automatic`, or a mapping with `channel:` and `owners:`",
        ),
        ("approval: automatic", "approval: true", 29, "must be a mapping"),
        ("    approval: automatic\n", "", 24, "`approval` is missing in `rules[0]`"),
        ("max_duration: 8h", "max_duration: 8 hours", 30, "Did you mean `8h`?"),
        ("max_duration: 8h", "max_duration: 8", 30, "Write it with its unit"),
        ("    max_duration: 8h\n", "", 24, "`max_duration` is missing in `rules[0]`"),
        ("max_duration: 8h", "max_duration: 8h\n    x: 1", 31, "Here you can write `clusters`"),
        ("required: 1", 'required: "1"', 38, "without quotes"),
        ("required: 1", "required: 11", 38, "a whole number from 1 to 10"),
        ("users: [U02BOB], groups: [S02PAYLEADS]", "", 37, "This names nobody"),
        (", groups: [S02PAYLEADS]}\n      required: 1", "}\n      required: 2", 38, "names 1"),
        ('"^[A-Z]+-[0-9]+$"', '"^[A-Z+-"', 40, "no regular expression"),
        ('"^[A-Z]+-[0-9]+$"', "'\\p{Lu}+-1'", 40, "no regular expression: bad escape"),
        ('"^[A-Z]+-[0-9]+$"', '"(?=A)[A-Z]+"', 40, "looks around or back"),
        ('"^[A-Z]+-[0-9]+$"', f'"{"(?:A|A)?" * 18}x"', 40, "in more than 1,000,000 ways"),
        ("name: lab editors", "name: lab readers", 31, "The other is at line 24"),
        ("rules:\n", "rulez:\n", 23, "Did you mean `rules`?"),
        ("  - name: lab editors\n", "  - naem: lab editors\n", 31, "Did you mean `name`?"),
        ("    levels: [edit]\n", "    levels: [edit]\n   oops\n", 34, "no valid YAML"),
        ("    levels: [edit]\n", "    levels: [edit]\n    levels: [edit]\n", 34, "stands twice"),
    ],
)
def test_an_error_names_its_line_and_what_to_do(old, new, line, says):
    policy, found = check_policy(changed(old, new), "policy.yaml")
    assert policy is None
    texts = {str(finding) for finding in found if finding.severity is Severity.ERROR}
    assert any(
        text.startswith(f"policy.yaml:{line}: error: ") and says in text for text in texts
    ), texts


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("levels: [edit]", "levels: [view]", 15, "No rule gives level `edit`"),
        ('clusters: ["modern-*"]', 'clusters: ["prod-*"]', 32, "no cluster matches"),
        (
            "levels: [edit]\n    namespaces: [payments]",
            "levels: [view]\n    namespaces: [dev-1, default]\n    requesters: {groups: [S01ENG]}",
            31,
            "Rule lab editors is never reached",
        ),
    ],
)
def test_a_warning_leaves_the_policy_good(old, new, line, says):
    policy, found = check_policy(changed(old, new), "policy.yaml")
    assert policy is not None
    assert any(
        finding.line == line and says in finding.message and finding.severity is Severity.WARNING
        for finding in found
    ), found


def test_findings_come_in_the_order_of_their_lines():
    text = changed("max_duration: 8h", "max_duration: 8").replace("eu-west-1", "europe")
    lines = [finding.line for finding in findings(text)]
    assert lines == sorted(lines)
    assert len(lines) == 2


def test_the_errors_of_text_and_form_are_told_together():
    text = changed("standing: refuse", "standing: refuse\n    standing: ignore")
    texts = [str(finding) for finding in findings(text.replace("8h", "8 hours"))]
    assert len(texts) == 2


def test_an_anchor_repeats_people_in_several_rules():
    text = changed("{users: [U02BOB], groups: [S02PAYLEADS]}", "&leads {groups: [S02PAYLEADS]}")
    policy, found = check_policy(text.replace("{groups: [S03PLATFORM]}", "*leads"), "policy.yaml")
    assert found == []
    assert policy.rules[2].approval.owners == policy.rules[1].approval.owners


def test_a_policy_is_loaded_with_the_digest_of_its_bytes(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    loaded = load_policy(path)
    assert loaded.policy.deployment == "acme-prod"
    assert loaded.digest == hashlib.sha256(GOOD.encode()).hexdigest()
    assert loaded.path == path


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_policy(path).policy.deployment == "acme-prod"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "policy.yaml:1: error: The file is empty."),
        (b"deployment: a\n\xff\n", "policy.yaml:2: error: The file is not in UTF-8."),
        (GOOD.encode("utf-16"), "policy.yaml:1: error: The file is not in UTF-8."),
        (b"#" * 2_000_001, "policy.yaml:1: error: The file is over 2,000,000 bytes, so nothing"),
        (b"a: [", "no valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_policy_says_why(tmp_path, content, says):
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert says in caught.value.report


@pytest.mark.parametrize(
    ("rules", "more"),
    [
        ("  - {x: y}\n" * 500, "There are 2,900 more findings. Correct these first."),
        ("  - a: a\n    a: a\n" * 500, "There are 102 more findings."),
        ("  -\n" * 10_000, "There are 102 more findings."),
    ],
    ids=["form", "text", "empty"],
)
def test_of_many_findings_the_first_are_told_and_the_rest_is_counted(tmp_path, rules, more):
    path = written(tmp_path / "policy.yaml", changed("rules:\n", f"rules:\n{rules}"))
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert len(caught.value.findings) == MOST_FINDINGS + 1
    assert more in str(caught.value.findings[-1])
    assert len(caught.value.report) < 50_000
    assert len(findings(path.read_text())) == MOST_FINDINGS + 1


def test_a_finding_repeats_no_key_that_is_as_long_as_a_file():
    (found,) = findings(f"{GOOD}{'k' * 900}: 1\n")
    assert len(str(found)) < 1000
    twice = findings(f"{GOOD}{'k' * 900}: 1\n{'k' * 900}: 1\n")
    assert any("more characters)" in one.message for one in twice)


def test_one_list_may_have_so_many_items():
    (found,) = findings(changed("rules:\n", "rules:\n" + "  - {x: y}\n" * 20_001))
    assert "More than 20,000 items stand in one list or mapping here." in found.message


def test_a_missing_file_names_the_variable_to_set(tmp_path):
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path / "nowhere.yaml")
    assert "nowhere.yaml: error: The policy file cannot be read" in caught.value.report
    assert "`EKS_ACCESS_CONFIG`" in caught.value.report


def test_a_folder_is_no_policy_file(tmp_path):
    with pytest.raises(PolicyError, match="policy check"):
        load_policy(tmp_path)


def test_a_warning_does_not_keep_a_policy_from_loading(tmp_path):
    text = changed("levels: [edit]", "levels: [view]")
    assert load_policy(written(tmp_path / "policy.yaml", text)).policy.deployment == "acme-prod"


def written(path: Path, text: str) -> Path:
    """The text at `path`, put there by a rename as an operator's tool does it."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    return new.replace(path)


def kinds(source):
    return [event.kind for event in source.take_events()]


def test_the_policy_in_force_follows_the_file(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    first = source.current()
    assert source.current() is first
    written(path, changed("acme-prod", "acme-test"))
    assert source.current().policy.deployment == "acme-test"
    assert kinds(source) == ["loaded", "loaded"]
    assert kinds(source) == []


def test_the_last_good_policy_holds_while_the_file_is_broken(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    good = source.current()
    written(path, changed("approval: automatic", "approval: auto"))
    assert source.current() is good
    assert source.current() is good
    assert source.problem is not None
    assert "policy.yaml:29" in source.problem.report
    written(path, GOOD)
    assert source.current() is good
    assert source.problem is None
    assert kinds(source) == ["loaded", "refused", "loaded"]


def test_the_last_good_policy_holds_while_the_file_is_gone(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    good = source.current()
    path.unlink()
    assert source.current() is good
    assert source.current() is good
    assert source.problem is not None
    events = source.take_events()
    assert [event.kind for event in events] == ["loaded", "refused"]
    assert events[1].problem is not None
    assert events[1].digest == good.digest
    written(path, GOOD)
    assert source.current() is good
    assert source.problem is None


def test_without_any_good_policy_there_is_none(tmp_path):
    path = tmp_path / "policy.yaml"
    source = PolicySource(path)
    for _ in range(2):
        with pytest.raises(PolicyUnavailable):
            source.current()
    assert kinds(source) == ["refused"]
    written(path, GOOD)
    assert source.current().policy.deployment == "acme-prod"


def test_a_file_that_is_only_touched_stays_the_same_policy(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    first = source.current()
    os.utime(path, ns=(1, 1))
    assert source.current() is first
    assert kinds(source) == ["loaded"]


def test_a_file_behind_a_link_is_followed_when_the_link_moves(tmp_path):
    link = tmp_path / "policy.yaml"
    link.symlink_to(written(tmp_path / "one.yaml", GOOD))
    source = PolicySource(link)
    assert source.current().policy.deployment == "acme-prod"
    other = written(tmp_path / "two.yaml", changed("acme-prod", "acme-test"))
    next_link = tmp_path / "next"
    next_link.symlink_to(other)
    next_link.replace(link)
    assert source.current().policy.deployment == "acme-test"


def test_asking_for_the_policy_does_not_read_an_unchanged_file_again(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    with opened_files() as opened:
        source.current()
        source.current()
        source.current()
    assert opened.count(str(path)) == 1


def test_whoever_asks_has_an_unchanged_file_read_again_and_is_answered(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    good = source.current()
    source.take_events()
    with opened_files() as opened:
        source.read_again()
        assert source.current() is good
        source.current()
    assert opened.count(str(path)) == 1
    (event,) = source.take_events()
    assert (event.kind, event.digest) == ("loaded", good.digest)


def test_whoever_asks_hears_again_what_is_wrong_and_the_last_good_one_holds(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    good = source.current()
    written(path, changed("approval: automatic", "approval: auto"))
    for _ in range(2):
        source.read_again()
        assert source.current() is good
    events = source.take_events()
    assert [event.kind for event in events] == ["loaded", "refused", "refused"]
    assert {event.digest for event in events} == {good.digest}


@contextmanager
def opened_files():
    """The paths this process opens meanwhile. Python has no way to take an audit hook off again."""
    opened, listening = [], [True]

    def hear(event, args):
        if event == "open" and listening:
            opened.append(str(args[0]))

    sys.addaudithook(hear)
    yield opened
    listening.clear()


def test_every_example_in_the_reference_is_a_policy_without_errors():
    text = (Path(__file__).parents[1] / "docs" / "policy.md").read_text(encoding="utf-8")
    whole, *parts = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    policy, found = check_policy(whole, "policy.md")
    assert policy is not None
    assert [finding for finding in found if finding.severity is not Severity.NOTE] == []
    for part in parts:
        # A part takes the place of the same top-level key in the whole example.
        keys = re.findall(r"^(\w+):", part, re.MULTILINE)
        rest = "".join(
            block
            for block in re.split(r"^(?=\w)", whole, flags=re.MULTILINE)
            if block.split(":")[0] not in keys
        )
        policy, found = check_policy(rest + part, "policy.md")
        assert policy is not None, (part, found)


@contextmanager
def being_read(source, path):
    """A thread reads the new file, and comes to no end before the block does. Yields its answer."""
    pipe = path.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.replace(path)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(source.current)
        while True:
            try:
                writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # fails while nobody reads
                break
            except OSError:
                time.sleep(0.01)
        try:
            yield answer
        finally:
            os.write(writer, changed("acme-prod", "acme-test").encode())
            written(path, changed("acme-prod", "acme-test"))  # a pipe can be read once
            os.close(writer)


def test_whoever_revokes_does_not_wait_for_a_file_that_is_being_read(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    good = source.current()
    with being_read(source, path) as answer, ThreadPoolExecutor(1) as pool:
        soon = pool.submit(source.soon)
        assert soon.result(20) is good
        assert source.problem is None
        assert kinds(source) == ["loaded"]
        assert not answer.done()
    assert answer.result(20).policy.deployment == "acme-test"
    assert source.current().policy.deployment == "acme-test"


def test_whoever_grants_waits_for_a_file_that_is_being_read(tmp_path):
    path = written(tmp_path / "policy.yaml", GOOD)
    source = PolicySource(path)
    source.current()
    with ThreadPoolExecutor(1) as pool:
        with being_read(source, path):
            granting = pool.submit(source.current)
            source.soon()
            assert not granting.done()
        assert granting.result(20).policy.deployment == "acme-test"
