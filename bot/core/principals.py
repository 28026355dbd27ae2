"""Which IAM principal a person is on a cluster: one person per principal, unless declared shared.

An access entry elevates everybody who can be its principal. So a principal is never guessed: it
comes from the map of Slack user ids, or from an email address that Slack confirmed, on a domain
of the policy's, in plain letters.
"""

from __future__ import annotations

import contextlib
import re

from bot.core.errors import InvalidInput, Refused
from bot.core.model import Cluster, Person, Principal
from bot.core.names import is_sso_role, parse_principal, partition_of, principal_key, quoted
from bot.core.people import not_full_member
from bot.core.policy import Policy

_EMAIL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def principal_for(policy: Policy, person: Person, cluster: Cluster) -> Principal:
    """The principal of `person` on `cluster`.

    Raises Refused with what to do: nobody mapped, an email that proves nothing, a role that other
    people share without the policy saying so, a role of the bot itself, a partition that is not the
    cluster's.
    """
    arn = _arn_of(policy, person, cluster)
    if parse_principal(arn).partition != partition_of(cluster.region):
        raise Refused(
            "wrong_partition",
            f"You are mapped to {arn}, which is in another AWS partition than {cluster.name}. "
            + _ask_to_map(person),
        )
    if principal_key(arn) in policy.own_roles:
        raise Refused(
            "role_of_the_bot",
            f"You would be {arn}, and under that name the bot itself works. "
            + _ask_to_map(person, "a role of your own"),
        )
    shared = is_shared(policy, arn, cluster)
    if is_sso_role(arn) and not shared:
        raise Refused(
            "sso_role",
            f"You are mapped to {arn}, a role of IAM Identity Center. Access for it would be "
            "access for everybody who can assume it. "
            + _ask_to_map(person, "a role of your own, or to declare it under `principals.shared`"),
        )
    others = tuple(sorted(people_on(policy, arn, cluster) - {person.id}))
    if others and not shared:
        raise Refused(
            "principal_taken",
            f"You are mapped to {arn}, and so is somebody else, so access for you would be access "
            "for both. "
            + _ask_to_map(person, "a role of your own, or to declare it under `principals.shared`"),
        )
    return Principal(arn=arn, shared=shared, shared_with=others)


def people_on(policy: Policy, arn: str, cluster: Cluster) -> frozenset[str]:
    """The Slack user ids that the policy's map puts on this principal on this cluster.

    People who get theirs from the template are not known here.
    """
    found: set[str] = set()
    for key in _keys(arn, cluster):
        found.update(policy.principals.users_by_key.get(key, ()))
    return frozenset(found)


def mapped_with(policy: Policy, user: str, cluster: Cluster) -> frozenset[str]:
    """`user`, and those whom the policy's map puts on the same principal on this cluster."""
    form = policy.principals.users.get(user)
    if form is None:
        return frozenset({user})
    return people_on(policy, _filled(form, cluster), cluster) | {user}


def possible_principals(policy: Policy, person: Person, cluster: Cluster) -> frozenset[str]:
    """Every principal that may be this person's on the cluster, by the map or by any email address.

    For telling whether two accounts are one person's, which is decided on suspicion: an address
    that is not confirmed, foreign, an alias or in capitals gives no access, and tells enough.
    """
    found = set()
    form = policy.principals.users.get(person.id)
    if form is not None:
        found.add(_filled(form, cluster))
    if policy.principals.template is not None and person.email:
        name = person.email.rpartition("@")[0].partition("+")[0].lower()
        arn = _filled(policy.principals.template.replace("{email_name}", name), cluster)
        with contextlib.suppress(InvalidInput):
            parse_principal(arn)
            found.add(arn)
    return frozenset(found)


def _arn_of(policy: Policy, person: Person, cluster: Cluster) -> str:
    form = policy.principals.users.get(person.id)
    if form is not None:
        return _filled(form, cluster)
    if policy.principals.template is None:
        raise Refused(
            "no_principal",
            f"You are mapped to no IAM principal, so there is nothing that could be given access "
            f"to {cluster.name}. " + _ask_to_map(person),
        )
    arn = _filled(
        policy.principals.template.replace("{email_name}", _email_name(policy, person)), cluster
    )
    try:
        parse_principal(arn)
    except InvalidInput as error:
        raise Refused(
            "bad_principal",
            f"Your email address makes the IAM principal {quoted(arn, 160)}, which cannot be. "
            + _ask_to_map(person),
        ) from error
    return arn


def _email_name(policy: Policy, person: Person) -> str:
    """The part before the `@`, where the address is proof of who the person is."""
    email = person.email
    if not_full_member(person, person.team_id) is not None:
        raise Refused(
            "email_not_trusted",
            "Only a full member's email address says who somebody is. " + _ask_to_map(person),
        )
    if not email:
        raise Refused(
            "no_email",
            "Slack gives no email address for you, and you are mapped to no IAM principal. "
            + _ask_to_map(person),
        )
    if not person.email_confirmed:
        raise Refused(
            "email_unconfirmed",
            f"Your email address {quoted(email, 80)} is not confirmed in Slack, so it does not say "
            "who you are. Confirm it in Slack under Settings, Account, and ask again.",
        )
    name, _, domain = email.rpartition("@")
    # Not before the check for ASCII: lower() turns some foreign letters into a to z.
    if not email.isascii() or domain.lower() not in policy.principals.email_domains:
        raise Refused(
            "foreign_domain",
            f"Your email address {quoted(email, 80)} is on none of the policy's email domains. "
            + _ask_to_map(person),
        )
    if _EMAIL_NAME.fullmatch(name):
        return name
    if "+" in name:
        problem = "has a `+`: anybody can make such an alias, so it names nobody"
    elif name != name.lower():
        problem = "has capital letters, which another address could have as small ones"
    else:
        problem = "has other letters than a to z, digits, dots, hyphens and underscores"
    raise Refused(
        "email_not_plain",
        f"Your email address {quoted(email, 80)} {problem}. {_ask_to_map(person)}",
    )


def is_shared(policy: Policy, arn: str, cluster: Cluster) -> bool:
    """Whether the policy declares that several people use this principal on the cluster."""
    return not policy.principals.shared_keys.isdisjoint(_keys(arn, cluster))


def _filled(form: str, cluster: Cluster) -> str:
    return form.replace("{account}", cluster.account)


def _keys(arn: str, cluster: Cluster) -> set[tuple[str, str, str]]:
    """The keys under which the file may name this principal: by account, or by `{account}`."""
    account, kind, name = principal_key(arn)
    keys = {(account, kind, name)}
    if account == cluster.account:
        keys.add(("{account}", kind, name))
    return keys


def _ask_to_map(person: Person, to: str = "an IAM principal of your own") -> str:
    return (
        f"Ask whoever keeps the policy file to map your Slack id `{person.id}` to {to}, under "
        "`principals.users`."
    )
