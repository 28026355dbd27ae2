from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import names
from bot.core.errors import InvalidInput

ROLE = "arn:aws:iam::111122223333:role/eks-jit/alice"
SSO_ROLE = (
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
    "AWSReservedSSO_Developer_0123456789abcdef"
)


@pytest.mark.parametrize("name", ["a", "default", "payments-eu", "0", "a" * 63, "kube-system"])
def test_a_namespace_is_an_rfc_1123_label(name):
    assert names.check_namespace(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Payments", "lower case: `payments`"),
        ("a" * 64, "It has 64 letters, and 63 is the most"),
        ("*", "Wildcards cannot be asked for"),
        ("dev-*", "Wildcards cannot be asked for"),
        ("dev-?", "Wildcards cannot be asked for"),
        ("-a", "begins and ends"),
        ("a-", "begins and ends"),
        ("a.b", "lower-case letters a to z"),
        ("a_b", "lower-case letters a to z"),
        ("", "begins and ends"),
        ("a\n", "begins and ends"),
        ("p\u0430yments", "lower-case letters a to z"),  # a Cyrillic a
        ("\u0663", "lower-case letters a to z"),
        ("\ufb01", "lower-case letters a to z"),
        ("\u212a", "lower-case letters a to z"),  # the Kelvin sign: its small letter is k
    ],
)
def test_what_is_no_namespace_is_refused_with_the_reason(name, says):
    with pytest.raises(InvalidInput) as caught:
        names.check_namespace(name)
    assert says in caught.value.sentence


@pytest.mark.parametrize("pattern", ["*", "dev-*", "team-?", "*-dev", "a*b", "default"])
def test_the_policy_may_name_namespaces_by_glob(pattern):
    assert names.check_namespace_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["Dev-*", "[ab]*", "dev.*", "a" * 63 + "*", "Dev", ""])
def test_a_glob_that_can_match_no_namespace_is_refused(pattern):
    with pytest.raises(InvalidInput):
        names.check_namespace_pattern(pattern)


@pytest.mark.parametrize("name", ["prod-eu", "Prod_1", "0", "a" * 100])
def test_a_cluster_name_is_as_eks_takes_it(name):
    assert names.check_cluster_name(name) == name
    assert names.check_cluster_pattern(name) == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a" * 101, "prod*", "prod.eu", "a\n"])
def test_what_eks_takes_for_no_cluster_name_is_refused(name):
    with pytest.raises(InvalidInput):
        names.check_cluster_name(name)


@pytest.mark.parametrize("pattern", ["[ab]*", "prod *", "*" * 101, "{a,b}*"])
def test_a_glob_that_can_match_no_cluster_is_refused(pattern):
    with pytest.raises(InvalidInput):
        names.check_cluster_pattern(pattern)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("ap-southeast-10", "aws"),
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
    ],
)
def test_the_region_tells_the_partition(region, partition):
    assert names.partition_of(names.check_region(region)) == partition


@pytest.mark.parametrize("region", ["", "EU-WEST-1", "eu-west", "eu-west-1a", "eu west 1"])
def test_what_is_no_region_is_refused(region):
    with pytest.raises(InvalidInput, match="is no AWS region"):
        names.check_region(region)


def test_a_region_of_an_isolated_partition_is_refused_as_not_supported():
    with pytest.raises(InvalidInput, match="not supported"):
        names.check_region("us-iso-east-1")


@pytest.mark.parametrize("account", ["", "1" * 11, "1" * 13, "1111 2222 333", "\u0661" * 12])
def test_an_account_is_twelve_digits(account):
    assert names.check_account("012345670123") == "012345670123"
    with pytest.raises(InvalidInput):
        names.check_account(account)


@pytest.mark.parametrize(
    "arn",
    [
        ROLE,
        "arn:aws:iam::111122223333:role/alice",
        "arn:aws:iam::111122223333:user/people/alice@example.com",
        "arn:aws-us-gov:iam::111122223333:role/eks-jit/alice",
        "arn:aws-cn:iam::111122223333:role/eks-jit/alice",
        SSO_ROLE,
    ],
)
def test_a_principal_is_an_iam_role_or_user_with_its_path(arn):
    assert names.check_principal(arn) == arn


@pytest.mark.parametrize(
    ("arn", "says"),
    [
        ("arn:aws:sts::111122223333:assumed-role/alice/session", "STS session"),
        (
            "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForEKS",
            "service-linked",
        ),
        ("arn:aws:iam::111122223333:root", "whole account"),
        ("arn:aws:iam::111122223333:role/*", "no wildcards"),
        ("arn:aws:iam::111122223333:role/eks-jit/?lice", "no wildcards"),
        (
            "arn:aws:iam::111122223333:role/AWSReservedSSO_Dev_0123",
            "without its path. `aws iam get-role --role-name AWSReservedSSO_Dev_0123` shows its "
            "ARN, such as `arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
            "AWSReservedSSO_Dev_0123`.",
        ),
        ("arn:aws:iam::111122223333:role/x/AWSReservedSSO_Dev_0123", "without its path"),
        ("arn:aws:iam::111122223333:group/admins", "Write a role or user"),
        ("arn:aws:iam::1111:role/alice", "Write a role or user"),
        ("arn:aws-iso:iam::111122223333:role/alice", "Write a role or user"),
        ("arn:aws:iam::111122223333:role/", "Write a role or user"),
        ("arn:aws:iam::111122223333:role//alice", "Write a role or user"),
        (f"arn:aws:iam::111122223333:role/{'a' * 65}", "Write a role or user"),
        ("arn:aws:iam::111122223333:role/alice\n", "Write a role or user"),
        ("alice", "Write a role or user"),
        ("", "Write a role or user"),
    ],
)
def test_what_no_access_entry_can_be_for_is_refused_with_the_reason(arn, says):
    with pytest.raises(InvalidInput) as caught:
        names.check_principal(arn)
    assert says in caught.value.sentence


def test_a_role_of_identity_center_is_known_by_its_path_or_its_name():
    assert names.is_sso_role(SSO_ROLE)
    assert names.is_sso_role("arn:aws:iam::111122223333:role/AWSReservedSSO_Developer_0123")
    assert not names.is_sso_role(ROLE)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("arn:aws:iam::111122223333:role/eks-jit/Alice", True),
        ("arn:aws:iam::111122223333:role/alice", True),
        ("arn:aws:iam::111122223333:user/eks-jit/alice", False),
        ("arn:aws:iam::111122224444:role/eks-jit/alice", False),
        ("arn:aws:iam::111122223333:role/eks-jit/alicea", False),
    ],
)
def test_one_account_kind_and_name_is_one_principal_whatever_path_and_case(other, same):
    assert (names.principal_key(ROLE) == names.principal_key(other)) is same


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (names.check_user_id, ["U02BOB", "W012A3CDE"], ["@bob", "u02bob", "S02BOB", "U1", "U02 B"]),
        (names.check_group_id, ["S02PAYLEADS"], ["U02BOB", "payleads", "S", ""]),
        (names.check_channel_id, ["C01PAY", "G01PAY"], ["#pay", "D01PAY", "c01pay", "C01PAY\n"]),
    ],
)
def test_slack_ids_are_known_by_their_first_letter(check, good, bad):
    for text in good:
        assert check(text) == text
    for text in bad:
        with pytest.raises(InvalidInput, match="is no Slack"):
            check(text)


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("edti", ["view", "edit"], "edit"),
        ("PROD-EU", ["prod-eu", "dev"], "prod-eu"),
        ("modern", ["modern-access-lab"], "modern-access-lab"),
        ("zz", ["view", "edit"], None),
        ("", ["view"], None),
        ("view", [], None),
    ],
)
def test_the_nearest_known_word_is_found(word, known, meant):
    assert names.nearest(word, known) == meant


def test_lists_are_written_as_people_write_them():
    assert names.listed([]) == ""
    assert names.listed(["a"]) == "a"
    assert names.listed(["a", "b"]) == "a or b"
    assert names.listed(["a", "b", "c"], "and") == "a, b and c"
    assert names.listed("abcdefghij", most=3) == "a, b, c and 7 more"


@given(st.text(max_size=80))
@settings(max_examples=25)
def test_what_was_typed_is_repeated_on_one_short_line_without_backticks(text):
    shown = names.quoted(text)
    assert shown.startswith("`")
    assert shown.endswith("`")
    assert "`" not in shown[1:-1]
    assert shown.isprintable()
    assert len(shown) <= 43


@given(st.text(max_size=70))
@settings(max_examples=25)
def test_only_ascii_labels_pass_for_namespaces(text):
    try:
        names.check_namespace(text)
    except InvalidInput:
        return
    assert 0 < len(text) <= 63
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not text.startswith("-")
    assert not text.endswith("-")
