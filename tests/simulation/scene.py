"""The world of a life: its policy file, people, groups, channels and clusters, as plain values.

A setting is JSON, so that a story can be stored and replayed. The oracle reads the same values.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.sandbox.eks import EksStandIn
from bot.sandbox.slack_admin import ManagedWorkspace
from bot.sandbox.stage import set_up_backstop

Json = dict[str, Any]

TEAM = "T01ACME"
ACCOUNT, REGION = "111122223333", "eu-west-1"
DEPLOYMENT = "acme-sim"
LAB, PROD = "lab", "prod"
CLUSTERS = (LAB, PROD)
ANA, BEN, CLEO, DAN, EVE = "U01ANA", "U02BEN", "U03CLEO", "U04DAN", "U05EVE"
GUEST, OUTSIDER = "U06GUS", "U07OTTO"
MEMBERS = (ANA, BEN, CLEO, DAN, EVE)
EVERYBODY = (*MEMBERS, GUEST, OUTSIDER)
ENGINEERS, LEADS, PLATFORM, ON_CALL = "S01ENG", "S02LEADS", "S03PLATFORM", "S04ONCALL"
GROUPS: dict[str, list[str]] = {
    ENGINEERS: [ANA, BEN, CLEO, DAN, EVE],
    LEADS: [BEN, CLEO],
    PLATFORM: [CLEO, DAN],
    ON_CALL: [ANA, DAN],
}
PAY, OPS, AUDIT = "C01PAY", "C02OPS", "C0AUDIT"
CHANNELS = (PAY, OPS, AUDIT)
NAMESPACES = ("pay", "bill", "vault")
LEVELS: Json = {
    "view": {"policy": "AmazonEKSViewPolicy"},
    "edit": {"policy": "AmazonEKSEditPolicy"},
    "admin": {"policy": "AmazonEKSClusterAdminPolicy", "scope": "cluster"},
    "deployer": {"kubernetes_groups": ["deployers"], "scope": "cluster"},
    "operator": {
        "policy": "AmazonEKSViewPolicy",
        "kubernetes_groups": ["deployers", "operators"],
        "scope": "cluster",
    },
}
POLICIES = tuple(sorted({level["policy"] for level in LEVELS.values() if "policy" in level}))
VARIANTS = (
    "good",
    "narrowed",
    "stricter",
    "looser",
    "without lab",
    "edit is admin",
    "broken text",
    "broken rule",
    "absent",
)
"""What the policy file may come to say. The broken ones must never come into force."""

SHARED_ROLE = "arn:aws:iam::{account}:role/eks-jit/shared"
SECOND_ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-access-second"
"""What reaches the clusters once AWS refuses the bot's own credentials, and the policy names it."""

BACKSTOP_AFTER = timedelta(minutes=5)
"""How long after its last end a schedule deletes an entry, in lives that have a backstop."""


def role(user: str, setting: Json) -> str:
    """The IAM principal of somebody, on every cluster."""
    if user in setting["shared"]:
        return SHARED_ROLE.replace("{account}", ACCOUNT)
    return f"arn:aws:iam::{ACCOUNT}:role/eks-jit/{user[3:].lower()}"


def approval(kind: str) -> Any:
    """A rule's approval by its short name."""
    if kind == "automatic":
        return "automatic"
    owners, required, channel = {
        "one": ({"users": [BEN], "groups": [LEADS]}, 1, PAY),
        "two": ({"groups": [LEADS, PLATFORM]}, 2, OPS),
        "platform": ({"groups": [PLATFORM], "users": [EVE]}, 1, OPS),
    }[kind]
    return {"channel": channel, "owners": owners, "required": required, "lapse_after": "1h"}


def document(setting: Json) -> Json:
    """The policy file of a setting, as it is at first."""
    kinds = setting["approvals"]
    backstop = {
        "role": "arn:aws:iam::{account}:role/eks-access-backstop",
        "group": "eks-access",
        "after": f"{BACKSTOP_AFTER // timedelta(minutes=1)}m",
    }
    return {
        **({"backstop": backstop} if setting["backstop"] else {}),
        "deployment": DEPLOYMENT,
        "audit_channel": AUDIT,
        "security_channel": AUDIT,
        "drift": {"repair": setting["repair"]},
        "clusters": [
            {
                "name": name,
                "region": REGION,
                "account": ACCOUNT,
                "standing": setting["standing"][name],
                **({"assume_role": setting["by"]} if setting.get("by") else {}),
            }
            for name in CLUSTERS
        ],
        "levels": copy.deepcopy(LEVELS),
        "principals": {
            "users": {
                user: SHARED_ROLE
                if user in setting["shared"]
                else f"arn:aws:iam::{{account}}:role/eks-jit/{user[3:].lower()}"
                for user in MEMBERS
            },
            "shared": [SHARED_ROLE] if setting["shared"] else [],
        },
        "rules": [
            {
                "name": "lab",
                "clusters": [LAB],
                "levels": ["view", "edit"],
                "namespaces": ["*"],
                "approval": approval(kinds["lab"]),
                "max_duration": "4h",
            },
            {
                "name": "payments",
                "clusters": [PROD],
                "levels": ["view", "edit"],
                "namespaces": ["pay", "bill"],
                "requesters": {"groups": [ENGINEERS]},
                "approval": approval(kinds["payments"]),
                "max_duration": "2h",
            },
            {
                "name": "vault",
                "clusters": [PROD],
                "levels": ["view", "edit"],
                "namespaces": ["vault"],
                "approval": approval(kinds["vault"]),
                "max_duration": "1h",
            },
            {
                "name": "whole clusters",
                "clusters": ["*"],
                "levels": ["view", "admin", "deployer", "operator"],
                "scope": "cluster",
                "approval": approval(kinds["whole clusters"]),
                "max_duration": "2h",
            },
        ],
        "break_glass": [
            {
                "clusters": ["*"],
                "levels": ["admin", "edit"],
                "responders": {"groups": [ON_CALL]},
                "max_duration": "30m",
                "review": {"owners": {"groups": [LEADS]}, "within": "24h"},
            }
        ],
    }


def changed(setting: Json, variant: str) -> Json | None:
    """The document of a variant; None for those that must never come into force."""
    made = document(setting)
    rules = {one["name"]: one for one in made["rules"]}
    match variant:
        case "good":
            pass
        case "narrowed":
            rules["payments"]["namespaces"] = ["pay"]
            for one in made["rules"]:
                one["max_duration"] = "30m"
        case "stricter":
            for one in made["rules"]:
                one["approval"] = approval("two")
        case "looser":
            for one in made["rules"]:
                one["approval"] = "automatic"
        case "without lab":
            made["clusters"] = [one for one in made["clusters"] if one["name"] != LAB]
            made["rules"] = [one for one in made["rules"] if one["name"] != "lab"]
        case "edit is admin":
            made["levels"]["edit"] = {"policy": "AmazonEKSAdminPolicy"}
        case _:
            return None
    return made


def text_of(setting: Json, variant: str) -> str | None:
    """The policy file's text; None where there is no file. JSON is YAML."""
    if variant == "absent":
        return None
    if variant == "broken text":
        return "deployment: acme-sim\nrules: ["
    if variant == "broken rule":
        made = document(setting)
        for one in made["rules"]:
            one["approval"] = "automatic"
        made["rules"][0]["levels"] = ["view", "edit", "nosuchlevel"]
        return json.dumps(made)
    return json.dumps(changed(setting, variant))


def furnish_slack(slack: ManagedWorkspace) -> None:
    """The people, groups and channels of every life."""
    for user in MEMBERS:
        slack.add_person(user, user[3:].lower())
    slack.add_person(GUEST, "gus", kind="guest")
    slack.add_person(OUTSIDER, "otto", kind="outsider", team_id="T09OTHER")
    for group, users in GROUPS.items():
        slack.add_group(group, group[3:].lower(), users=users)
    for channel in CHANNELS:
        slack.add_channel(channel, channel[3:].lower())


def furnish_eks(eks: EksStandIn) -> None:
    """Empty clusters."""
    eks.reset()
    for name in CLUSTERS:
        eks.create_cluster(name, REGION, ACCOUNT)
    set_up_backstop(eks, ACCOUNT, REGION, deployment=DEPLOYMENT)


def level_gives(levels: Mapping[str, Json], level: str) -> tuple[str | None, frozenset[str]]:
    """The access policy's name and the Kubernetes groups of a level."""
    entry = levels[level]
    return entry.get("policy"), frozenset(entry.get("kubernetes_groups", ()))
