from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.errors import Refused
from bot.core.model import Person, Principal
from bot.core.policy import Policy
from bot.core.principals import mapped_with, people_on, principal_for

ROLE = "arn:aws:iam::{account}:role/eks-jit/"
SSO = "arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123"
ALICE = Person("U01ALICE", "T1", "Alice", email="alice@example.com", email_confirmed=True)
ZOE = Person("U07ZOE", "T1", "Zoe", email="zoe.k-1_x@example.com", email_confirmed=True)


def policy(users=None, shared=(), **principals):
    return Policy.model_validate(
        {
            "deployment": "acme",
            "clusters": [
                {"name": "prod", "region": "eu-west-1", "account": "111122223333"},
                {"name": "other", "region": "eu-west-1", "account": "444455556666"},
                {"name": "gov", "region": "us-gov-west-1", "account": "777788889999"},
            ],
            "levels": {"view": {"policy": "AmazonEKSViewPolicy"}},
            "principals": {
                "users": users if users is not None else {"U01ALICE": f"{ROLE}alice"},
                "template": f"{ROLE}{{email_name}}",
                "email_domains": ["example.com"],
                "shared": shared,
                **principals,
            },
            "rules": [],
        }
    )


def on(name, in_policy):
    return in_policy.clusters_by_name[name]


def principal(person, in_policy=None, cluster="prod"):
    read = in_policy or policy()
    return principal_for(read, person, on(cluster, read))


def refused(person, in_policy=None, cluster="prod"):
    with pytest.raises(Refused) as caught:
        principal(person, in_policy, cluster)
    return caught.value


def test_the_account_in_a_mapped_principal_is_the_clusters():
    assert principal(ALICE) == Principal("arn:aws:iam::111122223333:role/eks-jit/alice")
    assert principal(ALICE, cluster="other").arn.startswith("arn:aws:iam::444455556666:")


def test_a_principal_of_another_account_may_be_mapped():
    arn = "arn:aws:iam::999900001111:user/alice"
    assert principal(ALICE, policy({"U01ALICE": arn})).arn == arn


def test_the_map_needs_no_email():
    assert principal(replace(ALICE, email=None, email_confirmed=False)).arn.endswith("/alice")


def test_a_confirmed_address_on_an_own_domain_fills_the_template():
    assert principal(ZOE).arn == "arn:aws:iam::111122223333:role/eks-jit/zoe.k-1_x"


def test_the_domain_of_an_address_may_be_written_in_capitals():
    assert principal(replace(ZOE, email="zoe@Example.COM")).arn.endswith("/zoe")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": None}, "no_email"),
        ({"email": ""}, "no_email"),
        ({"email_confirmed": False}, "email_unconfirmed"),
        ({"is_guest": True}, "email_not_trusted"),
        ({"is_stranger": True}, "email_not_trusted"),
        ({"deleted": True}, "email_not_trusted"),
        ({"is_bot": True}, "email_not_trusted"),
        ({"email": "zoe@example.com.evil.org"}, "foreign_domain"),
        ({"email": "zoe@evil-example.com"}, "foreign_domain"),
        ({"email": "zoe@mail.example.com"}, "foreign_domain"),
        ({"email": "zoe"}, "foreign_domain"),
        ({"email": "example.com"}, "email_not_plain"),
        ({"email": "zoe@example.com "}, "foreign_domain"),
        ({"email": "zoe@example.com\n"}, "foreign_domain"),
        ({"email": "zoe@e\u0445ample.com"}, "foreign_domain"),
        ({"email": "z\u043ee@example.com"}, "foreign_domain"),
        ({"email": "\u212aarl@example.com"}, "foreign_domain"),
        ({"email": "zoe+alice@example.com"}, "email_not_plain"),
        ({"email": "Zoe@example.com"}, "email_not_plain"),
        ({"email": "zoe@x@example.com"}, "email_not_plain"),
        ({"email": '"zoe"@example.com'}, "email_not_plain"),
        ({"email": "zoe/admin@example.com"}, "email_not_plain"),
        ({"email": "{account}@example.com"}, "email_not_plain"),
        ({"email": " zoe@example.com"}, "email_not_plain"),
        ({"email": ".zoe@example.com"}, "email_not_plain"),
        ({"email": "@example.com"}, "email_not_plain"),
        ({"email": "z" * 65 + "@example.com"}, "bad_principal"),
    ],
)
def test_an_address_that_proves_nothing_gives_no_principal(changes, code):
    error = refused(replace(ZOE, **changes))
    assert error.code == code
    assert "U07ZOE" in error.sentence or "Confirm it in Slack" in error.sentence


def test_somebody_who_is_not_mapped_is_told_whom_to_ask():
    error = refused(ZOE, policy(template=None, email_domains=[]))
    assert error.code == "no_principal"
    assert "Ask whoever keeps the policy file to map your Slack id `U07ZOE`" in error.sentence


@pytest.mark.parametrize(
    "users",
    [
        {"U01ALICE": f"{ROLE}alice", "U02BOB": f"{ROLE}alice"},
        {"U01ALICE": f"{ROLE}alice", "U02BOB": f"{ROLE}ALICE"},
        {"U01ALICE": f"{ROLE}alice", "U02BOB": "arn:aws:iam::111122223333:role/alice"},
    ],
)
def test_two_people_mapped_to_one_principal_get_none(users):
    assert refused(ALICE, policy(users)).code == "principal_taken"
    assert refused(replace(ALICE, id="U02BOB"), policy(users)).code == "principal_taken"


def test_a_principal_taken_in_one_account_is_free_in_another():
    users = {"U01ALICE": f"{ROLE}alice", "U02BOB": "arn:aws:iam::111122223333:role/alice"}
    assert principal(ALICE, policy(users), cluster="other").shared_with == ()


def test_an_address_does_not_lead_to_somebody_elses_mapped_principal():
    impostor = replace(ZOE, email="alice@example.com")
    assert refused(impostor).code == "principal_taken"


def test_a_declared_shared_principal_names_the_others_it_elevates():
    users = dict.fromkeys(("U03CARO", "U01ALICE", "U02BOB"), f"{ROLE}team")
    shared = principal(ALICE, policy(users, shared=[f"{ROLE}team"]))
    assert shared.shared
    assert shared.shared_with == ("U02BOB", "U03CARO")


def test_sharing_is_declared_for_an_account_where_the_arn_names_one():
    users = {"U01ALICE": f"{ROLE}team", "U02BOB": f"{ROLE}team"}
    read = policy(users, shared=["arn:aws:iam::111122223333:role/eks-jit/team"])
    assert principal(ALICE, read).shared
    assert refused(ALICE, read, cluster="other").code == "principal_taken"


def test_a_role_of_identity_center_is_refused_unless_it_is_declared_shared():
    assert refused(ALICE, policy({"U01ALICE": SSO})).code == "sso_role"
    assert principal(ALICE, policy({"U01ALICE": SSO}, shared=[SSO])).shared


def test_a_principal_of_another_partition_is_refused():
    assert refused(ALICE, cluster="gov").code == "wrong_partition"


def test_people_on_a_principal_are_those_the_map_puts_there():
    read = policy({"U01ALICE": f"{ROLE}team", "U02BOB": f"{ROLE}team", "U03CARO": f"{ROLE}caro"})
    arn = "arn:aws:iam::111122223333:role/eks-jit/team"
    assert people_on(read, arn, on("prod", read)) == {"U01ALICE", "U02BOB"}
    assert people_on(read, arn, on("other", read)) == frozenset()
    assert mapped_with(read, "U01ALICE", on("prod", read)) == {"U01ALICE", "U02BOB"}
    assert mapped_with(read, "U09EVE", on("prod", read)) == {"U09EVE"}


def test_nobody_is_the_bot_by_an_address_that_is_called_like_its_role():
    with_role = policy()
    role = "arn:aws:iam::111122223333:role/eks-access-bot"
    clusters = [entry.model_copy(update={"assume_role": role}) for entry in with_role.clusters[:1]]
    in_policy = with_role.model_copy(update={"clusters": (*clusters, *with_role.clusters[1:])})
    person = replace(ZOE, email="eks-access-bot@example.com")
    assert refused(person, in_policy).code == "role_of_the_bot"
    assert "under that name the bot itself works" in refused(person, in_policy).sentence
    assert principal(person, in_policy, "other").arn.endswith("/eks-access-bot")
