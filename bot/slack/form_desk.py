"""The request form at work: opened, drawn again after each choice, and checked when it comes back.

It reads the policy, the store and who is in which group; it decides nothing. Group membership here
may be some minutes old, because drawing must not wait for Slack and Slack limits how often it is
asked: what the form accepts is decided anew, by the worker, from what Slack says then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.access.known import ensure_not_suspended
from bot.core.ask_checks import says_no_place
from bot.core.choices import choices_for
from bot.core.decide import begins_at, decide_for, groups_needed, with_ticket
from bot.core.durations import format_duration
from bot.core.errors import DirectoryUnavailable, InvalidInput
from bot.core.lockdown import granting_stopped
from bot.core.model import Ask, Cluster, Reason
from bot.core.names import listed
from bot.core.offers import clusters_under, requester_groups, rules_open_to
from bot.core.people import Membership
from bot.core.policy import Policy
from bot.core.rule_choice import Usage
from bot.core.tickets import looks, named_in
from bot.policy_file import LoadedPolicy
from bot.slack.blocks import Block, View
from bot.slack.fields import cluster_options
from bot.slack.form_state import IN_A_FORM, FormErrors, block_of, by_field, read_entered
from bot.slack.modals import notice_modal
from bot.slack.request_form import request_modal
from bot.slack.sources import Sources
from bot.slack.submissions import read_submission
from bot.slack.text import plain
from bot.store import given, lockdowns, requests

_NO_CHOICE = Ask("", "")
_LOOKED_BACK = 10
_CLUSTER_LISTS_KEPT = 50
_VIEWS_NOTED = 1000
# Enough people for any rule: the policy's own limit on `required` is far below.
_PLENTY = frozenset(f"U{number:09}" for number in range(1000))
_FIELDS = {
    "unknown_cluster": "cluster",
    "unknown_level": "level",
    "nobody_to_approve": "level",
    "only_cluster": "namespaces",
    "too_many_namespaces": "namespaces",
    "bad_namespace": "namespaces",
    "needs_namespaces": "namespaces",
    "two_places": "namespaces",
    "no_rule": "namespaces",
    "bad_start": "start",
    "bad_duration": "duration",
    "too_long": "duration",
    "ticket_missing": "ticket",
    "bad_ticket": "ticket",
    "reason_missing": "reason",
    "reason_too_long": "reason",
}


class FormDesk:
    """The request form. Safe to use from several threads."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._latest: dict[str, object] = {}
        self._clusters_kept: dict[tuple[str, tuple[str, ...]], tuple[Cluster, ...]] = {}

    def opened(self, user_id: str, ask: Ask | None = None) -> View:
        """The form as it opens, filled in with `ask`, or else with the person's last choice.

        What may not be had any more is left empty. Asks Slack. Raises DomainError.
        """
        self._sources.member(user_id)
        with self._sources.database.reading() as tx:
            ensure_not_suspended(tx, user_id)
            lockdown = lockdowns.current(tx)
        if lockdown is not None:
            return notice_modal(granting_stopped(lockdown))
        loaded = self._sources.policy()
        groups = requester_groups(loaded.policy)
        membership = self._sources.directory.membership_to_show(groups)
        clusters = self._clusters(loaded, user_id, membership)
        if not clusters and groups - membership.keys():
            raise DirectoryUnavailable(
                "group_unknown",
                "Slack did not say just now which user groups you are in, so there is nothing to "
                "offer. `/eks-access request …` asks without this form.",
            )
        if not clusters:
            return notice_modal(
                "No rule lets you ask for access to a cluster. Ask whoever keeps the policy file "
                "to add one."
            )
        entered = self._last(user_id) if ask is None else ask
        return self._drawn(loaded, user_id, clusters, membership, entered)

    def chosen_in(self, view_id: str) -> Callable[[], bool]:
        """Note a choice made in a view. Returns whether it is still the latest noted there."""
        mark = object()
        with self._lock:
            self._latest.pop(view_id, None)
            if len(self._latest) >= _VIEWS_NOTED:
                self._latest.pop(next(iter(self._latest)))
            self._latest[view_id] = mark
        return lambda: self._latest.get(view_id) is mark

    def redrawn(self, user_id: str, view: Mapping[str, Any]) -> View:
        """The form after a choice in `view`, with all that was entered and still may be had."""
        loaded = self._sources.policy()
        entered = read_entered(view.get("state"))
        groups = requester_groups(loaded.policy)
        membership = self._sources.directory.membership_to_show(groups)
        # Who owns what is looked up now, so that nothing is looked up when the form comes back.
        self._sources.directory.membership_to_show(groups_needed(loaded.policy, entered))
        clusters = self._clusters(loaded, user_id, membership)
        return self._drawn(loaded, user_id, clusters, membership, entered)

    def _drawn(
        self,
        loaded: LoadedPolicy,
        user_id: str,
        clusters: tuple[Cluster, ...],
        membership: Membership,
        entered: Ask,
    ) -> View:
        now = self._sources.clock()
        usage = self._used(user_id, entered, now)
        choices = choices_for(
            loaded.policy, clusters, user_id, membership, entered, now=now, usage=usage
        )
        return request_modal(choices, user_id)

    def _used(self, user_id: str, ask: Ask, now: datetime) -> Usage:
        """What automatic rules give the person around the moment at which access would begin."""
        with self._sources.database.reading() as tx:
            return given.automatically(tx, user_id, ask.cluster, begins_at(ask, now))

    def suggested(self, user_id: str, query: str) -> list[Block]:
        """The clusters to suggest for what was typed. Asks nobody."""
        loaded = self._sources.policy()
        membership = self._sources.directory.remembered(requester_groups(loaded.policy))
        return cluster_options(query, self._clusters(loaded, user_id, membership))

    def read(self, user_id: str, view: Mapping[str, Any]) -> Ask:
        """What a submitted form asks for. Asks nobody. Raises FormErrors and DomainError.

        A ticket that only the reason names is taken from there.
        """
        policy = self._sources.policy().policy
        try:
            ask = with_ticket(policy, read_submission(by_field(view.get("state"))))
        except InvalidInput as error:
            problems = {error.field or "cluster": error.sentence}
        else:
            problems = self.problems(user_id, ask)
            if not problems:
                return ask
        raise FormErrors(
            {block_of(field, view): sentence[:2000] for field, sentence in problems.items()}
        )

    def problems(self, user_id: str, ask: Ask) -> dict[str, str]:
        """What is wrong with what was entered: field → sentence; {} where nothing surely is.

        Asks nobody: what hangs on a membership that is not known is left to be decided later.
        """
        policy = self._sources.policy().policy
        if ask.cluster not in policy.clusters_by_name:
            # Not left to the policy: among ten thousand names the nearest takes long to find.
            unknown = f"{plain(ask.cluster, 80)} is no cluster here. Choose one from the list."
            return {"cluster": unknown}
        needed = groups_needed(policy, ask)
        only_owners = needed - requester_groups(policy, ask.cluster)
        membership = {
            **dict.fromkeys(only_owners, _PLENTY),
            **self._sources.directory.remembered(needed),
        }
        now = self._sources.clock()
        try:
            usage = self._used(user_id, ask, now)
            decision = decide_for(policy, ask, user_id, membership, now, usage=usage)
        except DirectoryUnavailable:
            return {}
        if decision.allowed:
            return {}
        found: dict[str, str] = {}
        for reason in decision.reasons:
            found.setdefault(_field(policy, ask, reason), _at_field(policy, ask, reason))
        return found

    def _clusters(
        self, loaded: LoadedPolicy, user_id: str, membership: Membership
    ) -> tuple[Cluster, ...]:
        """The clusters the person may ask for, kept for as long as the same rules give them."""
        rules = rules_open_to(loaded.policy, user_id, membership)
        key = (loaded.digest, tuple(rule.name for rule in rules))
        with self._lock:
            kept = self._clusters_kept.get(key)
        if kept is None:
            kept = clusters_under(loaded.policy, rules)
            with self._lock:
                if len(self._clusters_kept) >= _CLUSTER_LISTS_KEPT:
                    self._clusters_kept.pop(next(iter(self._clusters_kept)))
                self._clusters_kept[key] = kept
        return kept

    def _last(self, user_id: str) -> Ask:
        """What the person chose last, without the words that belonged to that one request."""
        with self._sources.database.reading() as tx:
            own = requests.of_requester(tx, user_id, limit=_LOOKED_BACK)
        last = next((one for one in own if one.extends is None), None)
        if last is None:
            return _NO_CHOICE
        return Ask(last.cluster.name, last.level, last.namespaces, last.duration)


def _field(policy: Policy, ask: Ask, reason: Reason) -> str:
    if reason.code == "no_rule" and not ask.namespaces:
        return "level"
    level = policy.levels.get(ask.level)
    if level is not None and level.only_cluster and _FIELDS.get(reason.code) == "namespaces":
        return "level"
    return _FIELDS.get(reason.code, "cluster")


def _at_field(policy: Policy, ask: Ask, reason: Reason) -> str:
    """The reason as a form says it, where the policy's own sentence speaks of commands."""
    rule = next((one for one in policy.rules if one.name == reason.rule), None)
    if reason.code == "too_long" and rule is not None and ask.duration is not None:
        return (
            f"{format_duration(ask.duration)} is too long: rule {rule.name} gives at most "
            f"{format_duration(rule.max_duration)}."
        )
    if reason.code in {"ticket_missing", "bad_ticket"} and rule is not None:
        forms = tuple(filter(None, (rule.ticket_pattern,)))
        named = named_in(ask.reason, forms)
        # Slack shows what stands at a field as it is.
        wanted = "".join(f" It has to {looks(form, plain)}." for form in forms)
        if reason.code == "ticket_missing" and named:
            several = listed((plain(one, 80) for one in named), "and", 3)
            return f"The reason names {several}. Enter the one that this is for."
        if reason.code == "ticket_missing":
            return f"Rule {rule.name} needs a ticket, here or in the reason.{wanted}"
        ticket = plain(ask.ticket or "", 80)
        return f"{ticket} is no ticket for rule {rule.name}.{wanted}"
    if reason.code == "needs_namespaces" and not says_no_place(ask):
        return reason.sentence
    return IN_A_FORM.get(reason.code, reason.sentence)
