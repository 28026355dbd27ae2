"""The fields of the policy file: ids, names, ARNs and lengths of time, each with its own rule.

A field that is wrong raises PolicyFault, which says what is so and what to write instead.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from math import comb, prod
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from bot.core import names
from bot.core.durations import parse_duration
from bot.core.errors import DomainError
from bot.core.model import Cluster

PEOPLE_POLICIES = (
    "AmazonEKSViewPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSSecretReaderPolicy",
)
"""The access policies people may be given; the others are for machines.

Source: EKS User Guide, "Review access policy permissions".
"""

_POLICY_ARN = re.compile(r"arn:(?:aws|aws-us-gov|aws-cn):eks::aws:cluster-access-policy/(\w+)")
_RESERVED_PREFIXES = ("system:", "eks:", "aws:", "amazon:", "iam:")
_MOST_GROUP_LETTERS = 128
_MOST_RULE_LETTERS = 75
_RULE = re.compile(r"[^\s`]([^`]*[^\s`])?")
ANY_ACCOUNT = "000000000000"
"""Stands for the account where an ARN has `{account}`, to check the rest of it."""
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


MOST_FORM_LETTERS = 3000
MOST_WAYS = 1_000_000
"""In so many ways at most a ticket may be tried against the form of a ticket."""

_MOST_TICKET = 100
_CHOICE = re.compile(r"\(|\)|\||\?|[*+]|\{(?P<least>\d*)(?P<up_to>,?)(?P<most>\d*)\}")

PROFILE_PLACES = ("{cluster}", "{account}", "{region}")
"""What is filled into a profile's name, each with the cluster's own."""

_PLACES = "`{cluster}`, `{account}` or `{region}`"
_BRACED = re.compile(r"\{[^{}]*\}")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]*")
_MOST_PROFILE = 100

TICKET = "{ticket}"
"""Stands for the ticket in the address of tickets."""

_SCHEDULE_GROUP = r"[0-9a-zA-Z-_.]{1,64}"
_TICKET_URL_EXAMPLE = "https://acme.atlassian.net/browse/{ticket}"
_MOST_URL = 500
# A host, perhaps a port, no user name; then what a path and a query may have (RFC 3986).
_TICKET_URL_HEAD = re.compile(
    r"https://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?[/?][\w.~:/?#@!$&'()*+,;=%-]*", re.ASCII
)
_URL_REST = re.compile(r"[\w.~:/?#@!$&'()*+,;=%-]*", re.ASCII)
_ESCAPE_OR_SET = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


class PolicyFault(ValueError):
    """One entry of the policy file is not of a valid form: what is so, then what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


def checked(check: Callable[[str], object]) -> AfterValidator:
    """A pydantic validator that turns the DomainError of `check` into a PolicyFault."""

    def run(text: str) -> str:
        try:
            check(text)
        except DomainError as error:
            raise PolicyFault(error.sentence, "") from error
        return text

    return AfterValidator(run)


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise PolicyFault(
            f"`{value}` is no length of time.", "Write it with its unit, such as `30m` or `4h`."
        )
    try:
        return parse_duration(value)
    except DomainError as error:
        raise PolicyFault(error.sentence, "") from error


def _deployment(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        return text
    raise PolicyFault(
        f"{names.quoted(text)} cannot be a deployment's name.",
        "It becomes an AWS tag: write 1 to 64 letters, digits, dots, hyphens or underscores.",
    )


def _level_name(text: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text):
        return text
    raise PolicyFault(
        f"{names.quoted(text)} cannot be a level's name.",
        "People type it: write lower-case letters, digits and hyphens, such as `edit`.",
    )


def _rule_name(text: str) -> str:
    if 0 < len(text) <= _MOST_RULE_LETTERS and _RULE.fullmatch(text) and text.isprintable():
        return text
    raise PolicyFault(
        f"{names.quoted(text)} cannot be a rule's name.",
        "Approvers read it: write 1 to 75 letters on one line, without backticks.",
    )


def _part_name(text: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9 -]{0,29}", text) and not text.endswith(" "):
        return text
    raise PolicyFault(
        f"{names.quoted(text)} cannot name a part of an approval.",
        "Approvers read it: write up to 30 lower-case letters, digits, spaces or hyphens, such as "
        "`security`.",
    )


def _access_policy(text: str) -> str:
    arn = _POLICY_ARN.fullmatch(text)
    name = arn[1] if arn else text
    if name in PEOPLE_POLICIES:
        return name
    alike = names.near_names(_core(name), map(_core, PEOPLE_POLICIES))
    near = next((one for one in PEOPLE_POLICIES if _core(one) in alike), None)
    raise PolicyFault(
        f"{names.quoted(text, 160)} is an access policy for machines, or unknown.",
        f"Did you mean `{near}`? People may be given {names.listed(PEOPLE_POLICIES)}."
        if near
        else f"People may be given {names.listed(PEOPLE_POLICIES)}.",
    )


def _core(policy: str) -> str:
    """What tells the access policies for people apart: all else in their names is the same."""
    return policy.removeprefix("AmazonEKS").removesuffix("Policy")


def _kubernetes_group(text: str) -> str:
    if text.startswith(_RESERVED_PREFIXES):
        raise PolicyFault(
            f"The Kubernetes group {names.quoted(text)} is reserved: EKS refuses names that begin "
            f"with {names.listed(f'`{prefix}`' for prefix in _RESERVED_PREFIXES)}.",
            "Write a group of your own and bind it in the cluster's RBAC, such as `deployers`.",
        )
    if text and len(text) <= _MOST_GROUP_LETTERS and text.isprintable() and " " not in text:
        return text
    raise PolicyFault(
        f"{names.quoted(text)} is no name of a Kubernetes group.", "Write for example `deployers`."
    )


def _email_domain(text: str) -> str:
    if _DOMAIN.fullmatch(text):
        return text
    raise PolicyFault(
        f"{names.quoted(text)} is no email domain.",
        "Write it in lower-case letters and without `@`, such as `example.com`.",
    )


def _ticket_form(text: str) -> str:
    if len(text) > MOST_FORM_LETTERS:
        raise PolicyFault(
            f"This form of a ticket has more than {MOST_FORM_LETTERS:,} letters.",
            "Write it more simply: `^[A-Z]+-[0-9]+$`.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # a form that will mean something else
            re.compile(text)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise PolicyFault(
            f"{names.quoted(text)} is no regular expression: {error}.",
            "Write for example `^[A-Z]+-[0-9]+$`.",
        ) from error
    _ensure_quick(text)
    return text


def _ensure_quick(pattern: str) -> None:
    """Raise PolicyFault for a pattern that a crafted ticket could make slow.

    Python matches by trying, and while it does, nothing else runs: no removal of access either.
    """
    flat = _ESCAPE_OR_SET.sub("x", pattern)
    if re.search(r"\)[*+{]", flat):
        problem = "It repeats a group, and a crafted ticket could make the match take for ever."
    elif re.search(r"\(\?(?!:)", flat) or re.search(r"\\[1-9]", pattern):
        problem = "It looks around or back, and a crafted ticket could make the match slow."
    elif _ways(flat.replace("(?:", "(")) > MOST_WAYS:
        problem = (
            f"A ticket could be tried against it in more than {MOST_WAYS:,} ways, and a crafted "
            "one would keep the bot from all else."
        )
    else:
        return
    raise PolicyFault(problem, "Write it more simply: `^[A-Z]+-[0-9]+$`.")


def _ways(flat: str) -> int:
    """At least as many as there are ways to try a ticket, for a pattern that repeats no group.

    Each choice is then met once: `?` has two ways, alternatives as many as they are, `{2,5}` four.
    Repeats without an end share the letters of the ticket between them.
    """
    ways, endless, alternatives = 1, 0, [1]
    for choice in _CHOICE.finditer(flat):
        match choice[0]:
            case "(":
                alternatives.append(1)
            case "|":
                alternatives[-1] += 1
            case ")":
                ways *= alternatives.pop() if len(alternatives) > 1 else 1
            case "?":
                ways *= 2
            case "*" | "+":
                endless += 1
            case _ if choice["up_to"]:
                most = min(int(choice["most"] or _MOST_TICKET), _MOST_TICKET)
                ways *= max(most - int(choice["least"] or 0) + 1, 1)
    return prod(alternatives, start=ways) * comb(_MOST_TICKET + endless, endless)


def _principal_form(text: str) -> str:
    """An IAM principal with `{account}` where its account id would stand, or that id."""
    try:
        names.check_principal(_with_account(text))
    except DomainError as error:
        raise PolicyFault(error.sentence, "") from error
    return text


def _with_account(text: str) -> str:
    """The ARN with some account's id in place of `{account}`."""
    head, placeholder, tail = text.partition("iam::{account}:")
    arn = f"{head}iam::{ANY_ACCOUNT}:{tail}" if placeholder else text
    if "{" in arn:
        raise PolicyFault(
            f"{names.quoted(text, 160)} has braces in a place that is never filled in.",
            "Write `{account}` in place of the account id alone: "
            "`arn:aws:iam::{account}:role/eks-jit/alice`.",
        )
    return arn


def _backstop_role(text: str) -> str:
    """A role with `{account}` or an account in its ARN; EventBridge Scheduler assumes no user."""
    remedy = "Write the ARN of a role: `arn:aws:iam::{account}:role/eks-access-backstop`."
    try:
        kind = names.parse_principal(_with_account(text)).kind
    except DomainError as error:
        message = f"{names.quoted(text, 160)} is no ARN of a role that can be assumed."
        raise PolicyFault(message, remedy) from error
    if kind != "role":
        raise PolicyFault("EventBridge Scheduler assumes a role, and this is a user.", remedy)
    return text


def _schedule_group(text: str) -> str:
    if text != "default" and re.fullmatch(_SCHEDULE_GROUP, text):
        return text
    raise PolicyFault(
        "The default schedule group is everybody's: the bot removes what it does not know of."
        if text == "default"
        else f"{names.quoted(text, 70)} is no name of a schedule group.",
        "Make a group of the bot's own and name it: 1 to 64 letters, digits, dots, hyphens or "
        "underscores, such as `eks-access`.",
    )


def _principal_template(text: str) -> str:
    path, _, name = text.rpartition("/")
    if name.count("{email_name}") != 1 or "{email_name}" in path:
        raise PolicyFault(
            f"{names.quoted(text, 160)} does not give each person a role of their own.",
            "IAM names are unique whatever their path, so write `{email_name}` once, behind the "
            "last slash: `arn:aws:iam::{account}:role/eks-jit/{email_name}`.",
        )
    example = f"{path}/{name.replace('{email_name}', 'a')}"
    _principal_form(example)
    if names.is_sso_role(example.replace("{account}", ANY_ACCOUNT)):
        raise PolicyFault(
            f"{names.quoted(text, 160)} names roles of IAM Identity Center, which people share.",
            "Write a role of each person's own: `arn:aws:iam::{account}:role/eks-jit/{email_name}`",
        )
    return text


def _profile_template(text: str) -> str:
    """The name of an AWS profile, in which `{cluster}` and the like stand for the cluster's own.

    Fewer characters than the AWS CLI takes, which are those that need no quotes in its file.
    """
    found = set(_BRACED.findall(text))
    if unknown := sorted(found - set(PROFILE_PLACES)):
        raise PolicyFault(
            f"{names.quoted(unknown[0])} stands for nothing in a profile's name.",
            f"What is filled in is {_PLACES}.",
        )
    if not _PROFILE.fullmatch(_BRACED.sub("x", text)) or len(text) > _MOST_PROFILE:
        raise PolicyFault(
            f"{names.quoted(text, 80)} is not a name of an AWS profile.",
            f"Write at most {_MOST_PROFILE} letters, digits, dots, hyphens, underscores, `+` or "
            f"`@`, with a letter or a digit first, and {_PLACES} where it belongs: "
            "`eks-{cluster}`.",
        )
    return text


def fill_profile(template: str, cluster: Cluster) -> str:
    """The name of the profile for one cluster."""
    values = (cluster.name, cluster.account, cluster.region)
    filled = dict(zip(PROFILE_PLACES, values, strict=True))
    return _BRACED.sub(lambda place: filled[place[0]], template)


def _ticket_url(text: str) -> str:
    """Where tickets are: https, with `{ticket}` once behind the host, where nobody can aim it."""
    head, _, tail = text.partition(TICKET)
    if TICKET in head + tail or TICKET not in text or set("{}") & set(head + tail):
        raise PolicyFault(
            f"{names.quoted(text, 160)} does not have `{TICKET}` once, and no other braces.",
            f"Write it where the ticket belongs: `{_TICKET_URL_EXAMPLE}`.",
        )
    if _TICKET_URL_HEAD.fullmatch(head) and _URL_REST.fullmatch(tail) and len(text) <= _MOST_URL:
        return text
    raise PolicyFault(
        f"{names.quoted(text, 160)} is no address that a ticket can be linked to.",
        f"Write an https address of at most {_MOST_URL} letters with `{TICKET}` behind its host: "
        f"`{_TICKET_URL_EXAMPLE}`.",
    )


def _form(pattern: str, example: str) -> WithJsonSchema:
    """What an editor is told of a field; whether it is valid is for the validator to say."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


class Outside(Enum):
    """What a field names outside the file, in Slack or IAM: `policy_names` finds each by this."""

    PERSON = "person"
    GROUP = "user group"
    CHANNEL = "channel"
    PRINCIPAL = "IAM principal"


UserId = Annotated[
    str, checked(names.check_user_id), _form(names.USER_ID, "U02BOB7QX"), Outside.PERSON
]
GroupId = Annotated[
    str, checked(names.check_group_id), _form(names.GROUP_ID, "S02PAYLEADS"), Outside.GROUP
]
ChannelId = Annotated[
    str, checked(names.check_channel_id), _form(names.CHANNEL_ID, "C01PAYMENTS"), Outside.CHANNEL
]
Length = Annotated[
    timedelta,
    BeforeValidator(_duration),
    _form("(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?", "1h30m"),
]
Deployment = Annotated[str, AfterValidator(_deployment)]
LevelName = Annotated[str, AfterValidator(_level_name)]
RuleName = Annotated[str, AfterValidator(_rule_name)]
PartName = Annotated[str, AfterValidator(_part_name)]
AccessPolicyName = Annotated[
    str,
    AfterValidator(_access_policy),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": list(PEOPLE_POLICIES)},
                {"type": "string", "pattern": f"^{_POLICY_ARN.pattern}$"},
            ]
        }
    ),
]
KubernetesGroup = Annotated[str, AfterValidator(_kubernetes_group)]
EmailDomain = Annotated[str, AfterValidator(_email_domain)]
TicketForm = Annotated[str, AfterValidator(_ticket_form)]
ProfileTemplate = Annotated[
    str,
    AfterValidator(_profile_template),
    _form(
        r"([A-Za-z0-9]|\{(cluster|account|region)\})([A-Za-z0-9._+@-]|\{(cluster|account|region)\})*",
        "eks-{cluster}",
    ),
]
TicketUrl = Annotated[str, AfterValidator(_ticket_url)]
Principal = Annotated[str, checked(names.check_principal), Outside.PRINCIPAL]
PrincipalForm = Annotated[str, AfterValidator(_principal_form), Outside.PRINCIPAL]
PrincipalTemplate = Annotated[str, AfterValidator(_principal_template)]
BackstopRole = Annotated[str, AfterValidator(_backstop_role), Outside.PRINCIPAL]
ScheduleGroup = Annotated[
    str, AfterValidator(_schedule_group), _form(_SCHEDULE_GROUP, "eks-access")
]
