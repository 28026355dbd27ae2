"""The judge of a life: after every step, do the design's invariants hold?

It shares nothing with the bot's decisions: it reads EKS's own state, the store's rows by plain SQL
and what Slack shows, and compares them with what the simulation made people do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.eks import EksStandIn, Entry
from bot.sandbox.eks_faults import Call
from bot.sandbox.scheduler import Fired
from bot.sandbox.slack_admin import ManagedWorkspace
from tests.simulation import approvals
from tests.simulation.scene import ACCOUNT, BACKSTOP_AFTER, REGION, Json, level_gives, role
from tests.simulation.shadow import BOT, Key, Shadow, Violation, covers, union
from tests.simulation.store_reading import GrantRow, RequestRow, Snapshot, StoreReader
from tests.simulation.transports import Exchange

TOLERANCE = timedelta(minutes=1, seconds=1)
PROVISION_WITHIN = timedelta(minutes=15)
DAY = timedelta(days=1)
SCANNED_EVERY = timedelta(minutes=16)
WRITES = frozenset(
    {
        "CreateAccessEntry",
        "UpdateAccessEntry",
        "DeleteAccessEntry",
        "AssociateAccessPolicy",
        "DisassociateAccessPolicy",
    }
)
_EVENTS = {
    "PENDING": "request.submitted",
    "DENIED": "request.denied",
    "CANCELLED": "request.cancelled",
    "LAPSED": "request.lapsed",
    "APPROVED": "request.approved",
    "PROVISIONING": "request.approved",
    "ACTIVE": "grant.confirmed",
    "REVOKING": "grant.revoking",
    "ENDED": "grant.ended",
}
_ORDER = ("PROVISIONING", "ACTIVE", "REVOKING", "ENDED")


@dataclass
class Seen:
    """What EKS last showed the bot of one entry. `fresh`: nothing was written since."""

    groups: frozenset[str] | None = None
    policies: dict[str, frozenset[str]] = field(default_factory=dict)
    fresh: bool = False


class Oracle:
    """`said` is what people did, as (who, what, request id); `document` the policy in force.

    While `locked_down`, nothing may be granted. `gone` are clusters that were deleted, and when; on
    those `unproven` nothing need be right until a day has proven it.
    """

    def __init__(
        self,
        setting: Json,
        reader: StoreReader,
        eks: EksStandIn,
        slack: ManagedWorkspace,
        clock: Callable[[], datetime],
    ) -> None:
        self.setting = setting
        self.document: Json | None = None
        self.locked_down = False
        self.said: Counter[tuple[str, str, str | None]] = Counter()
        self.extensions: dict[str, list[timedelta]] = {}
        self._reader = reader
        self._eks = eks
        self._slack = slack
        self._clock = clock
        self.now = Snapshot({}, {}, (), {}, (), (), (), {})
        self._seen: dict[Key, Seen] = {}
        self._longest: dict[str, timedelta] = {}
        self.shadow = Shadow(self._entry, self._reader.read_grants, clock, setting["standing"])
        self._before: dict[Key, Entry | None] = {}
        self._late = False
        self.gone: dict[str, datetime] = {}
        self.unproven: set[str] = set()
        self.transitions: Counter[str] = Counter()

    # What the transports tell

    def begin(self) -> None:
        """The bot begins a piece of work."""
        self.shadow.begin()

    def asked(self, operation: str, params: Any, late: bool) -> None:
        """A call of the bot's is about to reach EKS; `late`: it had given up waiting for it."""
        self._late = late
        if operation in WRITES:
            key = (params["clusterName"], params["principalArn"])
            self._before[key] = self._entry(*key)

    def carried_out(self, call: Call) -> None:
        """EKS carried out a call of the bot's, whatever the bot came to know of it."""
        if call.user_agent == "AmazonEventBridgeScheduler":
            return  # judged by `struck`
        if call.operation in WRITES and call.status == 200 and call.cluster and call.principal:
            key = (call.cluster, call.principal)
            before = self._before.get(key)
            self.shadow.bot_wrote(call.operation, call.params, before, late=self._late)

    def struck(self, fired: Fired, at: datetime) -> None:
        """EventBridge Scheduler carried out a schedule that was due `at`. Raises Violation."""
        self.transitions[f"schedule fired: {fired.outcome}"] += 1
        if fired.outcome == "deleted":
            self.shadow.struck((fired.cluster, fired.principal_arn), at)

    def cluster_gone(self, cluster: str) -> None:
        """Somebody deleted a cluster, and with it all its entries."""
        self.gone[cluster] = self._clock()
        self.unproven.add(cluster)
        self.shadow.cluster_gone(cluster)

    def gone_for_good(self) -> None:
        """Everything that was given is over, and the bot was not there (invariant 2)."""
        for key, book in self.shadow.books.items():
            if self.shadow.alone(key) and not book.tampered:
                raise Violation(2, f"the bot is gone, and its entry at {key} stays")

    def told(self, exchange: Exchange) -> None:
        """The bot saw an answer of EKS, or none."""
        params = exchange.params
        if "principalArn" not in params:
            return
        seen = self._seen.setdefault((params["clusterName"], params["principalArn"]), Seen())
        if exchange.operation in WRITES:
            seen.fresh = False
        elif exchange.status == 404:
            seen.groups, seen.policies, seen.fresh = None, {}, True
        elif exchange.answer is not None and exchange.status == 200:
            if exchange.operation == "DescribeAccessEntry":
                entry = exchange.answer["accessEntry"]
                seen.groups = frozenset(entry["kubernetesGroups"])
            elif exchange.operation == "ListAssociatedAccessPolicies":
                seen.policies = {
                    one["policyArn"].rpartition("/")[2]: frozenset(one["accessScope"]["namespaces"])
                    for one in exchange.answer["associatedAccessPolicies"]
                }
                seen.fresh = True

    # After each piece of work

    def look(self) -> None:
        """Compare what the store says now with what it said before. Raises Violation."""
        before, now = self.now, self._reader.read()
        self.now = now
        # A day since then is a day by the clock as it is set now.
        self.gone = {name: min(at, self._clock()) for name, at in self.gone.items()}
        events = Counter((action, request) for _, _, action, request in now.audit)
        for request in now.requests.values():
            was = before.requests.get(request.id)
            if was is None or was.state != request.state:
                self._request_changed(was, request, events)
        for grant in now.grants.values():
            known = before.grants.get(grant.id)
            if known is None or known.state != grant.state:
                self._grant_changed(known, grant, events)
            self._verify_end(known, grant)
        for request_id in now.reviewed.keys() - before.reviewed.keys():
            self._verify_review(now.requests[request_id], now.reviewed[request_id], events)
        if not before.requests.keys() <= now.requests.keys():
            raise Violation(7, "a request went from the store")
        if now.never_due:
            raise Violation(2, f"live, and never looked at again: {', '.join(now.never_due)}")
        for key in list(self.shadow.books):
            self.shadow.verify_others(key)

    def went_back(self) -> None:
        """The store lost its last commits, and nobody who is asked can know what was in them.

        What had ended by then must not be given anew. What the bot put at EKS and the store has
        forgotten, or the other way round, is as if others had done it.
        """
        lost, self.now = self.now, self._reader.read_anew()
        self.locked_down = self._reader.locked_down()
        ended = {one.id for one in lost.grants.values() if one.state == "ENDED"}
        self.shadow.went_back(
            self._reader.own(),
            {one.id for one in self.now.grants.values() if one.state != "ENDED"} & ended,
        )

    def after_tick(self, started: datetime) -> None:
        """A tick of all loops passed without any fault: what was over is being removed."""
        for grant in self.now.grants.values():
            if grant.cluster in self.unproven:
                continue
            if grant.state == "ACTIVE" and grant.ends_at <= started:
                raise Violation(2, f"{grant.id} ended {grant.ends_at} and is still active")
        for request in self.now.requests.values():
            if request.state == "PENDING" and request.lapses_at and request.lapses_at <= started:
                raise Violation(2, f"{request.id} can still be decided after {request.lapses_at}")

    def _request_changed(
        self, was: RequestRow | None, request: RequestRow, events: Counter[Any]
    ) -> None:
        self.transitions[f"request {request.state}"] += 1
        if was is not None and was.state != "PENDING":
            raise Violation(8, f"{request.id} was {was.state} and became {request.state}")
        if was is None:
            self._must_have("request.submitted", request.id, events)
            what = "ask" if request.extends is None else "extend"
            what = "break glass" if request.break_glass else what
            about = request.extends
            if not self.said[(request.requester, what, about)]:
                raise Violation(1, f"{request.id} is {request.requester}'s, who never asked")
        self._must_have(_EVENTS[request.state], request.id, events)
        match request.state:
            case "APPROVED":
                self._verify_approval(request, asked_first=was is not None)
            case "DENIED":
                self._verify_denial(request)
            case "CANCELLED" if not (
                self.said[(request.requester, "cancel", request.id)]
                or self.said[(request.requester, "break glass", None)]  # takes its place
            ):
                raise Violation(8, f"{request.id} is cancelled, and its requester did not")
            case "LAPSED" if request.lapses_at is None or self._clock() < request.lapses_at:
                raise Violation(8, f"{request.id} lapsed before its time")

    def _verify_approval(self, request: RequestRow, *, asked_first: bool) -> None:
        """The policy in force allows it now, and enough people who may said yes (invariant 1)."""
        if self.document is None:
            raise Violation(11, f"{request.id} was approved, and no policy is in force")
        if self.locked_down:
            raise Violation(11, f"{request.id} was approved, and lockdown is on")
        if not approvals.is_member(request.requester, self._slack):
            raise Violation(11, f"{request.id} was approved for somebody who is no full member")
        asks_first = request.break_glass and (self._owes(request) or asked_first)
        found = approvals.needs(self.document, request, self._slack, asks_first=asks_first)
        if found.rules is None:
            raise Violation(1, f"{request.id} was approved, and no rule allows it now")
        for rule in found.rules:
            if rule["approval"] == "automatic":
                continue
            yes = {
                user
                for user in self._slack.people
                if self.said[(user, "approve", request.id)]
                and approvals.may_decide(user, request, rule, self._slack, self.setting)
            }
            if len(yes) < rule["approval"]["required"]:
                raise Violation(
                    1, f"{request.id} was approved by {sorted(yes)} for rule {rule['name']}"
                )
        self._longest[request.id] = found.longest
        self._verify_given(request, self.document["levels"])

    def _owes(self, request: RequestRow) -> bool:
        """Whether somebody who breaks glass owes an earlier review, besides that of this one."""
        owed = self._reader.owed(request.requester)
        if owed.pop(request.id, None) is None:
            raise Violation(1, f"{request.id} broke glass and owes no review")
        return any(due <= self._clock() for due in owed.values())

    def _verify_given(self, request: RequestRow, levels: Json) -> None:
        """The grant gives what the level says, no more, and to one person."""
        grant = self.now.grants.get(request.id)
        if grant is None:
            raise Violation(2, f"{request.id} was approved without a grant that has its end")
        level = level_gives(levels, request.level)
        if (grant.policy, grant.groups) != level or grant.namespaces != set(request.namespaces):
            raise Violation(1, f"{grant.id} gives what level {request.level} does not: {grant}")
        others = {
            one.requester
            for one in self.now.grants.values()
            if one.principal == grant.principal and one.requester != grant.requester
        }
        if others - set(self.setting["shared"]):
            raise Violation(5, f"{grant.principal} serves {others} besides {grant.requester}")

    def _verify_review(self, request: RequestRow, reviewer: str, events: Counter[Any]) -> None:
        """Somebody else who may has looked at a break-glass afterwards, and said so."""
        self.transitions["break-glass reviewed"] += 1
        self._must_have("break_glass.reviewed", request.id, events)
        if not self.said[(reviewer, "review", request.id)]:
            raise Violation(8, f"{request.id} is reviewed by {reviewer}, who never did")
        if reviewer == request.requester or role(reviewer, self.setting) == request.principal:
            raise Violation(1, f"{reviewer} reviewed the break-glass {request.id} of their own")
        who_may = self.document is not None and approvals.is_member(reviewer, self._slack)
        if not who_may or not approvals.may_review(self.document or {}, reviewer, self._slack):
            raise Violation(8, f"{reviewer} reviewed {request.id}, and may not")

    def _verify_denial(self, request: RequestRow) -> None:
        document = self.document or {"clusters": []}
        rules = approvals.needs(document, request, self._slack, asks_first=True).rules or ()
        theirs = [one for one in self.now.grants.values() if one.requester == request.requester]
        if any(one.reason == "revoked" for one in theirs):
            later = approvals.needs(document, request, self._slack, after_revocation=True)
            rules = (*rules, *(later.rules or ()))
        for user in self._slack.people:
            if self.said[(user, "deny", request.id)] and any(
                approvals.may_decide(user, request, rule, self._slack, self.setting)
                for rule in rules
            ):
                return
        raise Violation(8, f"{request.id} was denied, and nobody who may did so")

    def _grant_changed(self, was: GrantRow | None, grant: GrantRow, events: Counter[Any]) -> None:
        self.transitions[f"grant {grant.state}"] += 1
        old = _ORDER.index(was.state) if was is not None else -1
        new = _ORDER.index(grant.state)
        if new < old:
            raise Violation(2, f"{grant.id} was {_ORDER[old]} and became {grant.state}")
        for state in _ORDER[old + 1 : new + 1]:
            if state == "ACTIVE" and grant.confirmed_at is None:
                continue  # given up before it was active
            self._must_have(_EVENTS[state], grant.id, events)
        seen = self._seen.get((grant.cluster, grant.principal), Seen())
        if grant.state == "ACTIVE":
            self._verify_shown(grant, seen)
        elif grant.state == "ENDED":
            self._verify_gone(grant, seen)
            self.transitions[f"grant ended as {grant.reason}"] += 1
        again = was is not None and was.reason != grant.reason
        if old < _ORDER.index("REVOKING") <= new or again:
            self._verify_reason(grant)

    def _verify_shown(self, grant: GrantRow, seen: Seen) -> None:
        shown = seen.groups is not None and grant.groups <= seen.groups
        if grant.policy is not None:
            shown = shown and covers(seen.policies.get(grant.policy), grant.namespaces)
        if not seen.fresh or not shown:
            raise Violation(6, f"{grant.id} is active, and EKS did not show its access: {seen}")

    def _verify_gone(self, grant: GrantRow, seen: Seen) -> None:
        """EKS showed nothing of the grant beyond what others of the bot or of others give."""
        if not seen.fresh:
            raise Violation(6, f"{grant.id} ended, and EKS was not looked at after the last write")
        book = self.shadow.books.get((grant.cluster, grant.principal))
        rest = [
            one
            for one in self.now.grants.values()
            if (one.cluster, one.principal) == (grant.cluster, grant.principal)
            and one.state != "ENDED"
        ]
        if book is None or grant.policy is None or grant.policy not in seen.policies:
            return
        if book.policies.get(grant.policy) != BOT or grant.policy in book.contested:
            return
        left = union(one.namespaces for one in rest if one.policy == grant.policy)
        if not covers(left, seen.policies[grant.policy]):
            raise Violation(6, f"{grant.id} ended, and EKS still showed {grant.policy}: {seen}")

    def _verify_reason(self, grant: GrantRow) -> None:
        by = {
            "returned": any(
                self.said[(grant.requester, what, id_)]
                for what in ("return", "revoke")
                for id_ in self._line_of(grant)
            ),
            "revoked": any(self.said[("operator", "revoke", id_)] for id_ in self._line_of(grant))
            or self.said[("operator", "revoke", None)]
            or self._revoked_in_slack(grant),
            "expired": self._clock() >= grant.ends_at,
            "superseded": any(one.extends == grant.id for one in self.now.grants.values()),
            "failed": True,
            "cluster gone": self._clock() - self.gone.get(grant.cluster, self._clock()) >= DAY,
            "removed": (grant.cluster, grant.principal) in self.shadow.touched,
        }
        if not by.get(grant.reason or "", False):
            raise Violation(8, f"{grant.id} ends as {grant.reason}, which is not so")

    def _line_of(self, grant: GrantRow) -> list[str]:
        """The grant, what it took over from and what takes over from it: one access, for people."""
        line = {grant.id}
        while True:
            pairs = [(one.id, one.extends) for one in self.now.grants.values() if one.extends]
            more = {id_ for pair in pairs if not line.isdisjoint(pair) for id_ in pair} - line
            if not more:
                return sorted(line)
            line |= more

    def _revoked_in_slack(self, grant: GrantRow) -> bool:
        """Whether somebody who may take the access away did so.

        Without a policy that is decided by what was kept with the grant, which is not judged here.
        """
        asked = {
            user
            for user in self._slack.people
            for id_ in self._line_of(grant)
            if self.said[(user, "revoke", id_)]
        }
        document, request = self.document, self.now.requests[grant.id]
        found = bool(asked) and (
            document is None
            or any(approvals.may_revoke(document, user, request, self._slack) for user in asked)
        )
        self.transitions["grant revoked in Slack"] += found
        return found

    def _verify_end(self, was: GrantRow | None, grant: GrantRow) -> None:
        """The end is there from the first, comes only nearer, and is as near as approved."""
        if was is not None and grant.ends_at > was.ends_at:
            raise Violation(2, f"the end of {grant.id} moved from {was.ends_at} to {grant.ends_at}")
        if was is None and grant.ends_at > self._clock() + PROVISION_WITHIN + grant.duration:
            raise Violation(2, f"{grant.id} ends {grant.ends_at}, later than it could")
        longest = self._longest.get(grant.id)
        if longest is None or grant.state != "ACTIVE" or grant.confirmed_at is None:
            return
        began = grant.began_at or grant.confirmed_at
        whole = grant.ends_at - (grant.confirmed_at if grant.extends is None else began)
        if grant.extends is None and whole > grant.duration:
            raise Violation(2, f"{grant.id} lasts {whole} and was to last {grant.duration}")
        if whole > longest + TOLERANCE:
            raise Violation(2, f"{grant.id} lasts {whole}; its rules give at most {longest}")

    def _must_have(self, action: str, request: str, events: Counter[Any]) -> None:
        if not events[(action, request)]:
            raise Violation(7, f"{request}: no audit event {action} with its transition")

    # When faults have ended and the loops have nothing left to do

    def at_rest(self) -> None:
        """EKS is exactly the union of live grants and what others put there (invariant 4)."""
        now = self._clock()
        for grant in self.now.grants.values():
            if grant.cluster in self.unproven:
                continue
            if grant.state in {"PROVISIONING", "REVOKING"}:
                raise Violation(2, f"{grant.id} is still {grant.state} at rest: {grant}")
            if grant.state == "ACTIVE" and grant.ends_at > now + grant.duration + TOLERANCE:
                raise Violation(2, f"{grant.id} is active for longer than it was given for")
        keys = {(one.cluster, one.principal_arn) for one in self._eks.all_entries()}
        keys |= {(one.cluster, one.principal) for one in self.now.grants.values()}
        for key in sorted(key for key in keys if key[0] not in self.unproven):
            self._verify_union(key)
            self._verify_schedule(key)

    def _verify_union(self, key: Key) -> None:
        live = [
            one
            for one in self.now.grants.values()
            if one.state == "ACTIVE" and (one.cluster, one.principal) == key
        ]
        entry = self._entry(*key)
        book = self.shadow.books.get(key)
        if entry is None:
            if live:
                raise Violation(4, f"{[one.id for one in live]} are active, and EKS has no entry")
            return
        if book is None:
            raise Violation(3, f"nobody made the entry at {key}")
        if self.shadow.alone(key) and not live:
            raise Violation(2, f"the entry at {key} is left over: {entry}")
        for association in entry.associations:
            policy = association.policy
            if book.policies.get(policy) != BOT or policy in book.contested:
                continue
            wanted = union(one.namespaces for one in live if one.policy == policy)
            if wanted != frozenset(association.namespaces):
                raise Violation(
                    4, f"at {key} {policy} holds on {association.namespaces}, not on {wanted}"
                )
        shown = {one.policy for one in entry.associations}
        missing = {one.policy for one in live if one.policy} - shown
        if missing:
            raise Violation(4, f"at {key} {missing} is missing")
        groups = {group for one in live for group in one.groups}
        theirs = {group for group, whose in book.groups.items() if whose != BOT}
        if not groups <= set(entry.kubernetes_groups) <= groups | theirs:
            raise Violation(4, f"at {key} the groups are {entry.kubernetes_groups}, not {groups}")

    def _verify_schedule(self, key: Key) -> None:
        """One schedule ends what is the bot's alone, soon after its end; else there is none.

        A call that made one and that the bot had given up may arrive once all is over. Such a
        schedule can hit nothing that it should not, and goes with the next scan for drift.
        """
        found = [
            one.at
            for one in self._eks.scheduler.schedules()
            if (one.hit["ClusterName"], one.hit["PrincipalArn"]) == key
            and (
                self._reader.knows_schedule(one.name)
                or self._clock() - one.modified_at > SCANNED_EVERY
            )
        ]
        ends = [
            one.ends_at
            for one in self.now.grants.values()
            if one.state == "ACTIVE" and (one.cluster, one.principal) == key
        ]
        if not ends or not self.setting["backstop"] or not self.shadow.alone(key):
            if found:
                raise Violation(2, f"the schedule at {key} is left over: {found}")
        elif len(found) != 1 or not _soon_after(max(ends), found[0]):
            raise Violation(2, f"access at {key} ends {max(ends)}, its schedules fire {found}")

    def _entry(self, cluster: str, principal: str) -> Entry | None:
        return self._eks.entry(cluster, principal, REGION, ACCOUNT)


def _soon_after(end: datetime, fires: datetime) -> bool:
    return end + BACKSTOP_AFTER <= fires <= end + BACKSTOP_AFTER + timedelta(seconds=1)
