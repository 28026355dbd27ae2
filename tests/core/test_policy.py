from __future__ import annotations

import re
from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.core.model import AccessScope, Cluster, Owners, Standing
from bot.core.policy import Policy
from bot.core.policy_approval import LAPSE_AFTER, Approval
from bot.core.policy_fields import PEOPLE_POLICIES

OWNERS = {"users": ["U02BOB"], "groups": ["S02PAYLEADS"]}
RULE = {
    "name": "payments",
    "clusters": ["prod-*"],
    "levels": ["edit"],
    "namespaces": ["payments"],
    "approval": {"channel": "C01PAY", "owners": OWNERS},
    "max_duration": "4h",
}


def policy(**changes):
    return Policy.model_validate(
        {
            "deployment": "acme-prod",
            "clusters": [cluster()],
            "levels": {"edit": {"policy": "AmazonEKSEditPolicy"}},
            "principals": {"users": {"U01ALICE": "arn:aws:iam::{account}:role/eks-jit/alice"}},
            "rules": [RULE],
            **changes,
        }
    )


def cluster(name="prod-eu", region="eu-west-1", **changes):
    return {"name": name, "region": region, "account": "111122223333", **changes}


def rule(**changes):
    return {key: value for key, value in (RULE | changes).items() if value is not None}


def test_a_rule_says_who_approves_where_and_for_how_long():
    read = policy().rules[0]
    assert isinstance(read.approval, Approval)
    assert read.approval.owners.owners == Owners(
        users=frozenset({"U02BOB"}), groups=frozenset({"S02PAYLEADS"})
    )
    assert read.approval.required == 1
    assert read.max_duration == timedelta(hours=4)


def test_a_request_waits_an_hour_where_the_rule_does_not_say():
    assert policy().rules[0].approval.lapse_after == LAPSE_AFTER == timedelta(hours=1)


def test_automatic_is_a_word_and_nothing_else_stands_for_it():
    assert policy(rules=[rule(approval="automatic")]).rules[0].approval == "automatic"
    for other in (None, True, "auto", "Automatic", [], {}):
        with pytest.raises(ValidationError):
            policy(rules=[RULE | {"approval": other}])


def test_nothing_in_a_policy_can_be_changed():
    with pytest.raises(ValidationError):
        policy().rules[0].max_duration = timedelta(days=1)


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")],
)
@pytest.mark.parametrize(
    "written",
    ["AmazonEKSEditPolicy", "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"],
)
def test_a_level_gives_its_access_policy_in_the_partition_of_the_cluster(
    region, partition, written
):
    read = policy(levels={"edit": {"policy": written}}, clusters=[cluster(region=region)])
    access = read.levels["edit"].access(read.clusters_by_name["prod-eu"], ("payments",))
    assert (
        access.policy_arn == f"arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
    )
    assert access.scope == AccessScope.of(["payments"])


def test_a_level_may_give_groups_without_an_access_policy():
    levels = {"edit": {"kubernetes_groups": ["deployers"], "scope": "cluster"}}
    read = policy(levels=levels)
    access = read.levels["edit"].access(read.clusters_by_name["prod-eu"], ())
    assert access.policy_arn is None
    assert access.scope.is_cluster
    assert access.kubernetes_groups == frozenset({"deployers"})


@pytest.mark.parametrize("name", PEOPLE_POLICIES)
def test_people_may_be_given_the_policies_for_people(name):
    assert policy(levels={"edit": {"policy": name}}).levels["edit"].policy == name


@pytest.mark.parametrize(
    "level",
    [
        {},
        {"policy": "AmazonEKSAutoNodePolicy"},
        {"policy": "AmazonEKSBlockStoragePolicy"},
        {"policy": "arn:aws:iam::aws:policy/AdministratorAccess"},
        {"policy": "arn:aws:eks::111122223333:cluster-access-policy/AmazonEKSEditPolicy"},
        {"policy": ""},
        {"kubernetes_groups": ["deployers"]},
        {"kubernetes_groups": [""], "scope": "cluster"},
        {"kubernetes_groups": ["a b"], "scope": "cluster"},
        *(
            {"kubernetes_groups": [f"{prefix}x"], "scope": "cluster"}
            for prefix in ("system:", "eks:", "aws:", "amazon:", "iam:")
        ),
    ],
)
def test_a_level_that_gives_nothing_or_too_much_is_refused(level):
    with pytest.raises(ValidationError):
        policy(levels={"edit": level})


@pytest.mark.parametrize(
    "changes",
    [
        {"namespaces": None},
        {"scope": "cluster"},
        {"namespaces": []},
        {"levels": []},
        {"clusters": []},
        {"clusters": [{"labels": {}}]},
        {"clusters": [3]},
        {"max_duration": 4},
        {"max_duration": "31d"},
        {"requesters": {}},
        {"requesters": {"users": [], "groups": []}},
        {"approval": {"channel": "C01PAY", "owners": {}}},
        {"approval": {"channel": "C01PAY", "owners": OWNERS, "required": True}},
        {"approval": {"channel": "C01PAY", "owners": OWNERS, "required": 0}},
        {"ticket": "["},
        {"ticket": "^([A-Z]+-?)+[0-9]+$"},
        {"ticket": "[A-Z]*[A-Z]*[A-Z]*[A-Z]*x"},
        {"ticket": "(?=A)[A-Z]+"},
        {"ticket": "([A-Z])-\\1"},
        {"ticket": "[[a]"},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "`a`"},
        {"surprise": 1},
    ],
)
def test_a_rule_of_another_form_is_refused(changes):
    with pytest.raises(ValidationError):
        policy(rules=[rule(**changes)])


TICKET_URL = "https://acme.atlassian.net/browse/{ticket}"


@pytest.mark.parametrize(
    ("url", "ticket", "link"),
    [
        (TICKET_URL, "PAY-1423", "https://acme.atlassian.net/browse/PAY-1423"),
        (TICKET_URL, "../a?b#c d", "https://acme.atlassian.net/browse/..%2Fa%3Fb%23c%20d"),
        (TICKET_URL, "{ticket}", "https://acme.atlassian.net/browse/%7Bticket%7D"),
        (TICKET_URL, "\ud800", "https://acme.atlassian.net/browse/%3F"),
        ("https://a:8443/?q={ticket}&x=1", "\u00fc&y", "https://a:8443/?q=%C3%BC%26y&x=1"),
    ],
)
def test_a_ticket_is_linked_and_stays_in_its_place(url, ticket, link):
    assert policy(tickets={"url": url}).tickets.link(ticket) == link


def test_without_an_address_there_are_no_tickets_to_link_to():
    assert policy().tickets is None


@pytest.mark.parametrize(
    "tickets",
    [
        {},
        {"url": None},
        {"url": ""},
        {"url": "http://acme.atlassian.net/browse/{ticket}"},
        {"url": "https://acme.atlassian.net/browse/"},
        {"url": "https://acme.atlassian.net/{ticket}/{ticket}"},
        {"url": "https://{ticket}.evil.example/"},
        {"url": "https://acme.example{ticket}/"},
        {"url": "https://acme.example:{ticket}/"},
        {"url": "https://user:pass@acme.example/{ticket}"},
        {"url": "https://acme.example/{account}/{ticket}"},
        {"url": "https://acme.example/{ticket}|Approve>"},
        {"url": "https://acme.example/a b/{ticket}"},
        {"url": f"https://acme.example/{'a' * 500}/{{ticket}}"},
        {"url": TICKET_URL, "surprise": 1},
    ],
)
def test_an_address_of_tickets_that_is_none_is_refused(tickets):
    with pytest.raises(ValidationError):
        policy(tickets=tickets)


@pytest.mark.parametrize(
    ("profile", "filled"),
    [
        ("eks-{cluster}", "eks-prod-eu"),
        ("{account}-{region}_{cluster}", "444455556666-eu-central-1_prod-eu"),
        ("acme.jit+eks@prod", "acme.jit+eks@prod"),
    ],
)
def test_the_profile_is_named_after_the_cluster(profile, filled):
    cluster = Cluster("prod-eu", "eu-central-1", "444455556666")
    assert policy(profile=profile).profile_on(cluster) == filled
    assert policy().profile_on(cluster) is None


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("", "not a name of an AWS profile"),
        ("--profile", "not a name of an AWS profile"),
        ("eks {cluster}", "not a name of an AWS profile"),
        ("eks-{cluster}; rm -rf /", "not a name of an AWS profile"),
        ("eks-{cluster}]", "not a name of an AWS profile"),
        ("eks-{cluster", "not a name of an AWS profile"),
        ("eks-{{cluster}}", "not a name of an AWS profile"),
        ("e" * 101, "not a name of an AWS profile"),
        ("eks-{clusters}", "`{clusters}` stands for nothing"),
        ("eks-{user}", "`{user}` stands for nothing"),
        ("eks-{}", "`{}` stands for nothing"),
    ],
)
def test_a_profile_that_is_none_is_refused(profile, said):
    with pytest.raises(ValidationError, match=re.escape(said)):
        policy(profile=profile)


@pytest.mark.parametrize(
    "principals",
    [
        {},
        {"users": {}},
        {"users": {"alice": "arn:aws:iam::{account}:role/alice"}},
        {"users": {"U01ALICE": "arn:aws:iam::{account}:role/{email_name}"}},
        {"users": {"U01ALICE": "arn:aws:iam::{region}:role/alice"}},
        {"users": {"U01ALICE": "arn:aws:iam::{account}:role/{account}"}},
        {"users": {"U01ALICE": "arn:aws:sts::{account}:assumed-role/alice/x"}},
        {"template": "arn:aws:iam::{account}:role/{email_name}"},
        {"template": "arn:aws:iam::{account}:role/jit", "email_domains": ["example.com"]},
        {
            "template": "arn:aws:iam::{account}:role/{email_name}/jit",
            "email_domains": ["example.com"],
        },
        {
            "template": "arn:aws:iam::{account}:role/{email_name}{email_name}",
            "email_domains": ["example.com"],
        },
        {
            "template": "arn:aws:iam::{account}:role/AWSReservedSSO_{email_name}",
            "email_domains": ["example.com"],
        },
        {
            "template": "arn:aws:iam::{account}:role/{email_name}",
            "email_domains": ["Example.com"],
        },
    ],
)
def test_principals_that_do_not_name_one_principal_a_person_are_refused(principals):
    with pytest.raises(ValidationError):
        policy(principals=principals)


def test_a_cluster_is_read_whole():
    entry = cluster(
        labels={"env": "prod"},
        assume_role="arn:aws:iam::111122223333:role/eks-access-bot",
        standing="augment",
    )
    assert policy(clusters=[entry]).clusters_by_name == {
        "prod-eu": Cluster(
            name="prod-eu",
            region="eu-west-1",
            account="111122223333",
            assume_role="arn:aws:iam::111122223333:role/eks-access-bot",
            standing=Standing.AUGMENT,
            labels={"env": "prod"},
        )
    }


def test_rules_cover_clusters_by_name_glob_or_every_label_named():
    read = policy(
        clusters=[
            cluster("prod-eu", labels={"env": "prod", "team": "pay"}),
            cluster("prod-us", labels={"env": "prod"}),
            cluster("dev", labels={"env": "dev", "team": "pay"}),
        ],
        rules=[
            rule(name="name", clusters=["dev"]),
            rule(name="glob", clusters=["prod-*"]),
            rule(name="labels", clusters=[{"labels": {"env": "prod", "team": "pay"}}]),
            rule(name="either", clusters=["dev", {"labels": {"env": "prod"}}]),
        ],
    )
    covering = {name: [one.name for one in read.rules_on(name)] for name in read.clusters_by_name}
    assert covering == {
        "prod-eu": ["glob", "labels", "either"],
        "prod-us": ["glob", "either"],
        "dev": ["name", "either"],
    }


def test_no_rule_covers_an_unknown_cluster():
    assert policy(rules=[rule(clusters=["*"])]).rules_on("nowhere") == ()


def test_a_rule_for_the_whole_cluster_covers_each_namespace_too():
    whole = policy(rules=[rule(namespaces=None, scope="cluster")]).rules[0]
    assert whole.covers_namespace(None)
    assert whole.covers_namespace("payments")
    assert whole.covers_namespace("kube-system")


def test_a_rule_for_namespaces_does_not_cover_the_whole_cluster():
    some = policy(rules=[rule(namespaces=["*"])]).rules[0]
    assert not some.covers_namespace(None)
    assert some.covers_namespace("payments")
    assert not some.covers_namespace("kube-system")
