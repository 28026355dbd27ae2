"""The policy file's model: who may ask for what, who approves, and who is which IAM principal.

What stands here is the form of each entry by itself. Whether entries fit each other is asked in
`policy_checks`, and what follows from them in `decide`, `offers` and `principals`. Lists keep the
file's order, because the first rule that matches holds.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import (
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from bot.core import names
from bot.core.cluster_index import ClusterIndex, NearNames
from bot.core.durations import compact_duration, format_duration
from bot.core.model import Access, AccessScope, BackstopTerms, Cluster, Standing
from bot.core.patterns import Patterns
from bot.core.policy_approval import Approval, Automatic, Entry, OwnerPeople, People
from bot.core.policy_break_glass import MAX_LIVE, MOST_LIVE, LaterReview, Responders
from bot.core.policy_fields import (
    ANY_ACCOUNT,
    TICKET,
    AccessPolicyName,
    BackstopRole,
    ChannelId,
    Deployment,
    EmailDomain,
    KubernetesGroup,
    Length,
    LevelName,
    PolicyFault,
    Principal,
    PrincipalForm,
    PrincipalTemplate,
    ProfileTemplate,
    RuleName,
    ScheduleGroup,
    TicketForm,
    TicketUrl,
    UserId,
    checked,
    fill_profile,
)
from bot.core.removal import AlarmTimes
from bot.core.windows import Window

SOONEST_BACKSTOP = timedelta(minutes=2)
"""How soon a backstop may fire. A schedule of EventBridge Scheduler fires within a minute."""

MOST_ALARMS = 10
SOONEST_ALARM = timedelta(minutes=1)
SHORTEST_EVERY, LONGEST_EVERY = timedelta(minutes=5), timedelta(days=1)

LATEST_BACKSTOP = timedelta(hours=24)
"""How late a backstop may fire: after a day it is none any more."""


class ClusterEntry(Entry):
    """A cluster as the file names it; `cluster` is the domain's value."""

    name: Annotated[str, checked(names.check_cluster_name)]
    region: Annotated[str, checked(names.check_region)]
    account: Annotated[str, checked(names.check_account)]
    labels: dict[str, str] = Field(default_factory=dict)
    assume_role: Principal | None = None
    standing: Standing = Standing.REFUSE

    @cached_property
    def cluster(self) -> Cluster:
        return Cluster(
            name=self.name,
            region=self.region,
            account=self.account,
            assume_role=self.assume_role,
            standing=self.standing,
            labels=self.labels,
        )


class Level(Entry):
    """What people ask for by name: an access policy, or Kubernetes groups, or both.

    `policy` is the bare name of an access policy, also where the file has its ARN. `scope`
    `cluster` means that the level is only given for the whole cluster.
    """

    policy: AccessPolicyName | None = None
    kubernetes_groups: tuple[KubernetesGroup, ...] = ()
    scope: Literal["cluster"] | None = None

    @property
    def only_cluster(self) -> bool:
        return self.scope == "cluster"

    def access(self, cluster: Cluster, namespaces: tuple[str, ...]) -> Access:
        """What the level gives on `cluster`. No namespaces: the whole cluster."""
        partition = names.partition_of(cluster.region)
        return Access(
            policy_arn=f"arn:{partition}:eks::aws:cluster-access-policy/{self.policy}"
            if self.policy
            else None,
            scope=AccessScope.of(namespaces),
            kubernetes_groups=frozenset(self.kubernetes_groups),
        )

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if self.policy is None and not self.kubernetes_groups:
            raise PolicyFault(
                "This level gives nothing.",
                "Write `policy: AmazonEKSViewPolicy`, or `kubernetes_groups: […]`.",
            )
        if self.kubernetes_groups and not self.only_cluster:
            raise PolicyFault(
                "This level has Kubernetes groups, which hold wherever the cluster's RBAC binds "
                "them: a request's namespaces cannot narrow them.",
                "Add `scope: cluster`.",
            )
        return self


class Principals(Entry):
    """Which IAM principal each person is. `shared` lists those that several people use."""

    users: dict[UserId, PrincipalForm] = Field(default_factory=dict)
    template: PrincipalTemplate | None = None
    email_domains: tuple[EmailDomain, ...] = ()
    shared: tuple[PrincipalForm, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.template is None and not self.users:
            raise PolicyFault(
                "This maps nobody to an IAM principal, so nobody could be given access.",
                "Write `users: {U01ALICE: …}` or a `template:` with `email_domains:`.",
            )
        if self.template is not None and not self.email_domains:
            raise PolicyFault(
                "The template has no email domains, so anybody's address would do.",
                "Add `email_domains: [example.com]` with the domains that are yours.",
            )
        return self

    @cached_property
    def users_by_key(self) -> dict[tuple[str, str, str], tuple[str, ...]]:
        """Mapped users by principal; the account in the key is `{account}` where the ARN has it."""
        found: dict[tuple[str, str, str], tuple[str, ...]] = {}
        for user, arn in self.users.items():
            key = form_key(arn)
            found[key] = (*found.get(key, ()), user)
        return found

    @cached_property
    def shared_keys(self) -> frozenset[tuple[str, str, str]]:
        return frozenset(form_key(arn) for arn in self.shared)


def form_key(arn: str) -> tuple[str, str, str]:
    """As `names.principal_key`, for an ARN that may have `{account}` in place of its account."""
    _, kind, name = names.principal_key(arn.replace("{account}", ANY_ACCOUNT))
    return arn.split(":")[4], kind, name


class LabelSelector(Entry):
    """The clusters that have every one of these labels."""

    labels: dict[str, str] = Field(min_length=1)


def _selector_kind(value: object) -> str:
    return "by name" if isinstance(value, str) else "by labels"


ClusterSelector = Annotated[
    Annotated[str, checked(names.check_cluster_pattern), Tag("by name")]
    | Annotated[LabelSelector, Tag("by labels")],
    Discriminator(_selector_kind),
]


class ClusterChoice(Entry):
    """What a rule and break-glass have in common: which clusters, which levels, how long."""

    clusters: tuple[ClusterSelector, ...] = Field(min_length=1)
    levels: tuple[LevelName, ...] = Field(min_length=1)
    max_duration: Length

    @cached_property
    def cluster_patterns(self) -> Patterns:
        return Patterns(selector for selector in self.clusters if isinstance(selector, str))

    @cached_property
    def label_selectors(self) -> tuple[LabelSelector, ...]:
        return tuple(s for s in self.clusters if isinstance(s, LabelSelector))

    def covers(self, cluster: Cluster) -> bool:
        return self.cluster_patterns.cover(cluster.name) or any(
            selector.labels.items() <= cluster.labels.items() for selector in self.label_selectors
        )


def _approval_kind(value: object) -> str:
    """Which form stands there, in words that are no key: pydantic puts them into its locations."""
    if isinstance(value, str):
        return "one word"
    automatic = isinstance(value, Automatic) or (isinstance(value, dict) and "automatic" in value)
    return "without owners" if automatic else "by owners"


class Rule(ClusterChoice):
    """One rule. No `requesters`: any full member of the workspace may ask; no `when`: always.

    `ends_with_ticket`: the ticket has to be open, and what is given ends when it closes.
    """

    name: RuleName
    namespaces: tuple[Annotated[str, checked(names.check_namespace_pattern)], ...] | None = Field(
        default=None, min_length=1
    )
    scope: Literal["cluster"] | None = None
    requesters: People | None = None
    approval: Annotated[
        Annotated[Literal["automatic"], Tag("one word")]
        | Annotated[Automatic, Tag("without owners")]
        | Annotated[Approval, Tag("by owners")],
        Discriminator(_approval_kind),
    ]
    ticket: TicketForm | None = None
    ends_with_ticket: bool = False
    when: Window | None = None

    @cached_property
    def namespace_patterns(self) -> Patterns:
        return Patterns(self.namespaces or ())

    @cached_property
    def ticket_pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.ticket) if self.ticket is not None else None

    def covers_namespace(self, namespace: str | None) -> bool:
        """Whether `namespace` is in the rule; None asks for the whole cluster.

        A rule for the whole cluster covers every single namespace too: less may be asked for.
        """
        if self.scope == "cluster":
            return True
        return namespace is not None and self.namespace_patterns.cover_namespace(namespace)

    @model_validator(mode="after")
    def _one_scope(self) -> Self:
        if self.namespaces is None and self.scope is None:
            raise PolicyFault(
                "This rule does not say where it holds.",
                "Write `namespaces: [payments]`, or `scope: cluster` for whole clusters.",
            )
        if self.namespaces is not None and self.scope is not None:
            raise PolicyFault(
                "This rule has namespaces and `scope: cluster`, which covers all of them.",
                "Keep one of the two.",
            )
        return self


class BreakGlass(ClusterChoice):
    """Access without approval for those on call, reviewed afterwards by somebody else.

    Who has `max_live` of them at the same time needs an approval for the next.
    """

    responders: Responders
    review: LaterReview
    max_live: Annotated[int, Field(strict=True, ge=1, le=MOST_LIVE)] = MAX_LIVE


class Tickets(Entry):
    """Where tickets are kept. `url` is an https address with `{ticket}` in it.

    `check` names the service that is asked whether a ticket is open; its address and its token come
    from the environment.
    """

    url: TicketUrl
    check: Literal["jira", "pagerduty"] | None = None

    def link(self, ticket: str) -> str:
        """The address of one ticket, whatever stands in it: nothing in it can leave its place."""
        return self.url.replace(TICKET, quote(ticket, safe="", errors="replace"))


class Lockdown(Entry):
    """Who may stop all granting from Slack, and who may break glass meanwhile; else nobody."""

    owners: OwnerPeople
    break_glass: People | None = None


class Drift(Entry):
    """What to do where a live grant's access was taken away at EKS by hand.

    `repair` makes it anew, if the bot saw it since it was started; otherwise the grant ends.
    """

    repair: bool = Field(default=False, strict=True)


class LateRemovals(Entry):
    """When people are told that a removal is late: at these times after it was due, then regularly.

    `alarm_after` are lengths of time, each longer than the one before; `then_every` is how often it
    is told after the last of them, until EKS has confirmed the removal.
    """

    alarm_after: tuple[Length, ...] = Field(
        default=AlarmTimes().after, min_length=1, max_length=MOST_ALARMS
    )
    then_every: Length = AlarmTimes().every

    @property
    def times(self) -> AlarmTimes:
        return AlarmTimes(self.alarm_after, self.then_every)

    # Each key by itself, so that one that is wrong does not hide the other.

    @field_validator("alarm_after")
    @classmethod
    def _in_order(cls, after: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        said = []
        if min(after) < SOONEST_ALARM:
            said.append(f"A removal may take {format_duration(SOONEST_ALARM)} without being late.")
        if any(one >= another for one, another in itertools.pairwise(after)):
            said.append("The times of the alarms are not in order.")
        if said:
            raise PolicyFault(
                " ".join(said),
                f"Write {compact_duration(SOONEST_ALARM)} at least, and each longer than the one "
                "before, such as `alarm_after: [2m, 10m, 30m]`.",
            )
        return after

    @field_validator("then_every")
    @classmethod
    def _is_heard(cls, every: timedelta) -> timedelta:
        if not SHORTEST_EVERY <= every <= LONGEST_EVERY:
            raise PolicyFault(
                f"Alarms every {format_duration(every)} are heard by nobody.",
                f"Write {compact_duration(SHORTEST_EVERY)} to {compact_duration(LONGEST_EVERY)}, "
                "such as `then_every: 1h`.",
            )
        return every


class Backstop(Entry):
    """What ends access where the bot never comes back: a schedule for each entry it makes.

    `role` is what EventBridge Scheduler assumes, `{account}` in it the account of the cluster;
    `group` is the schedule group, and `after` how long after the last end the schedule fires.
    """

    role: BackstopRole
    group: ScheduleGroup
    after: Length = timedelta(minutes=10)

    def terms(self, account: str) -> BackstopTerms:
        """What this means for the clusters of one account."""
        return BackstopTerms(self.role.replace("{account}", account), self.group, self.after)

    @model_validator(mode="after")
    def _leaves_the_bot_its_turn(self) -> Self:
        if not SOONEST_BACKSTOP <= self.after <= LATEST_BACKSTOP:
            raise PolicyFault(
                f"The backstop would fire {format_duration(self.after)} after the end of access.",
                f"Write {format_duration(SOONEST_BACKSTOP)} at least, because the bot has its turn "
                f"first, and {format_duration(LATEST_BACKSTOP)} at most.",
            )
        return self


class Policy(Entry):
    """The whole file. `deployment` goes into the ownership tag of every access entry."""

    deployment: Deployment
    audit_channel: ChannelId | None = None
    security_channel: ChannelId | None = None
    tickets: Tickets | None = None
    profile: ProfileTemplate | None = None
    clusters: tuple[ClusterEntry, ...] = Field(min_length=1)
    levels: dict[LevelName, Level] = Field(min_length=1)
    principals: Principals
    rules: tuple[Rule, ...]
    break_glass: tuple[BreakGlass, ...] = ()
    lockdown: Lockdown | None = None
    drift: Drift = Drift()
    late_removals: LateRemovals | None = None
    backstop: Backstop | None = None

    _rules_on: dict[str, tuple[Rule, ...]] = PrivateAttr(default_factory=dict)

    @cached_property
    def clusters_by_name(self) -> dict[str, Cluster]:
        if self.backstop is None:
            return {entry.name: entry.cluster for entry in self.clusters}
        return {
            entry.name: replace(entry.cluster, backstop=self.backstop.terms(entry.account))
            for entry in self.clusters
        }

    @cached_property
    def own_roles(self) -> dict[tuple[str, str, str], tuple[str | int, ...]]:
        """The roles by which the bot and the backstop work, by principal, and where each stands."""
        roles: dict[tuple[str, str, str], tuple[str | int, ...]] = {}
        for index, entry in enumerate(self.clusters):
            if self.backstop is not None:
                role = self.backstop.terms(entry.account).role
                roles[names.principal_key(role)] = ("backstop", "role")
            if entry.assume_role is not None:
                roles[names.principal_key(entry.assume_role)] = ("clusters", index, "assume_role")
        return roles

    def profile_on(self, cluster: Cluster) -> str | None:
        """The AWS profile with which people use a cluster, also one not named here any more."""
        return fill_profile(self.profile, cluster) if self.profile is not None else None

    @property
    def alarm_times(self) -> AlarmTimes:
        """When a removal that is late is told."""
        return self.late_removals.times if self.late_removals is not None else AlarmTimes()

    @property
    def alarm_channel(self) -> str | None:
        """Where a removal that is late is told; None where it goes to people."""
        return self.security_channel or self.audit_channel

    @cached_property
    def rule_index(self) -> ClusterIndex:
        """Which rules cover a cluster, found without a look at each."""
        return ClusterIndex(
            (
                (one for one in rule.clusters if isinstance(one, str)),
                (frozenset(one.labels.items()) for one in rule.label_selectors),
            )
            for rule in self.rules
        )

    @cached_property
    def near_clusters(self) -> NearNames:
        """Which cluster a mistyped name means."""
        return NearNames(self.clusters_by_name)

    def rules_on(self, cluster: str) -> tuple[Rule, ...]:
        """The rules that cover the cluster of this name, in order; none where it is unknown.

        Worked out once per cluster: with a thousand rules a decision must not look at each.
        """
        known = self._rules_on.get(cluster)
        if known is None:
            value = self.clusters_by_name.get(cluster)
            if value is None:
                return ()
            known = tuple(self.rules[place] for place in self.rule_index.places(value))
            self._rules_on[cluster] = known
        return known
