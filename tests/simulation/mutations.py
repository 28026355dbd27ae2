"""Deliberate bugs: small changes of the source, each of which must be caught.

An old text that is no longer in its file exactly once is a mistake of this list, and a quick test
says so. What the simulation cannot see names the test that does.
"""

from __future__ import annotations

from tests.simulation.mutation import SIMULATION, Change, Mutation, misfit
from tests.simulation.threat_mutations import THREATS

ACCESS, PLANNER = "bot/reconcile/access.py", "bot/core/planner.py"
GRANTS, TROUBLES = "bot/reconcile/access_grants.py", "bot/reconcile/access_troubles.py"
LIFECYCLE, REVIEW = "bot/core/lifecycle.py", "bot/core/review.py"
BACKSTOP = "bot/core/backstop.py"
ANOTHER_STORE = "tests/reconcile/test_another_store.py"
CONNECTION = "bot/slack/connection.py"


def _bug(
    name: str, file: str, old: str, new: str, by: str = SIMULATION, *, first: int = 0
) -> Mutation:
    return Mutation(name, (Change(file, old, new),), by, first=first)


BUGS: tuple[Mutation, ...] = (
    # The commands that use an access
    _bug(
        "look a cluster up as whoever runs the command",
        "bot/slack/connect.py",
        'words += ("--assume-role-arn", grant.principal_arn)',
        "pass",
        "tests/e2e/test_connect.py::test_the_commands_work_in_the_documented_set_up",
    ),
    _bug(
        "have a profile that is the role already assume it once more",
        "bot/slack/connect.py",
        'return (*words, "--profile", profile)',
        'words += ("--profile", profile)',
        "tests/e2e/test_connect.py::test_the_commands_work_in_the_documented_set_up",
    ),
    _bug(
        "leave out the profile that the policy file names",
        "bot/slack/projector.py",
        "profile=policy.profile_on(request.cluster) if policy else None",
        "profile=None",
        "tests/e2e/test_connect.py::test_the_commands_work_in_the_documented_set_up",
    ),
    _bug(
        "have a role look up a cluster of another account",
        "bot/slack/connect.py",
        "if not _is_elsewhere(grant):",
        "if True:",
        "tests/slack/test_connect.py::"
        "test_a_role_of_another_account_is_not_asked_to_look_the_cluster_up",
    ),
    _bug(
        "show somebody else's commands",
        "bot/slack/desk.py",
        "if grant is not None and user_id == grant.requester and is_running(grant, now):",
        "if grant is not None and is_running(grant, now):",
        "tests/e2e/test_home.py::"
        "test_live_access_shows_its_commands_again_to_whoever_has_it_and_nobody_else",
    ),
    _bug(
        "connect to access that is over",
        "bot/core/lifecycle.py",
        "grant.state is not GrantState.ACTIVE or now >= grant.ends_at:\n"
        "        raise Conflict(\n"
        '            "not_active",\n'
        '            f"{grant.id} is not active, so there is nothing to connect to. "',
        "grant.state is GrantState.ENDED:\n"
        "        raise Conflict(\n"
        '            "not_active",\n'
        '            f"{grant.id} is not active, so there is nothing to connect to. "',
        "tests/core/test_lifecycle.py::test_active_access_alone_is_used_and_by_whoever_has_it",
    ),
    _bug(
        "leave a break-glass on Home without a way to connect",
        "bot/slack/home.py",
        "    if running:\n        buttons",
        "    if running and not request.break_glass:\n        buttons",
        "tests/slack/test_home.py::test_a_break_glass_that_runs_can_be_connected_to_and_not_extended",
    ),
    _bug(
        "answer mine without the time left",
        "bot/slack/replies.py",
        '        line += f" · {phrases.time_left(grant, now)}"\n',
        "",
        "tests/slack/test_replies.py::test_mine_lists_requests_with_what_can_be_done",
    ),
    _bug(
        "print the commands as their words are",
        "bot/slack/blocks.py",
        "*map(shlex.join, lines)",
        '*map(" ".join, lines)',
        "tests/slack/test_connect.py::"
        "test_whatever_a_name_holds_a_shell_reads_the_words_that_were_meant",
    ),
    _bug(
        "take any words for the name of a profile",
        "bot/core/policy_fields.py",
        'not _PROFILE.fullmatch(_BRACED.sub("x", text))',
        "not text",
        "tests/core/test_policy.py::test_a_profile_that_is_none_is_refused",
    ),
    # What people read at a decision
    _bug(
        "ask for more time as if it were new access",
        "bot/slack/phrases.py",
        'verb = "for" if request.extends is None else "to extend"',
        'verb = "for"',
        "tests/slack/test_home.py::test_more_time_is_decided_as_more_time",
    ),
    _bug(
        "tell of the end of what an extension goes on with",
        "bot/slack/direct.py",
        'return _message(request, f"{phrases.subject(request)} goes on: it was extended.")',
        "pass",
        "tests/slack/test_direct.py::test_more_time_is_told_as_such_up_to_the_new_end",
    ),
    _bug(
        "let anybody answer what the requester was asked",
        "bot/access/question.py",
        "if answerer_id != request.requester or not asked:",
        "if not asked:",
        "tests/access/test_question.py::test_only_what_was_asked_is_answered_and_by_the_requester",
    ),
    _bug(
        "mention the same owners of a break-glass in every channel",
        "bot/slack/glass_card.py",
        "asked = channel in {None, *request.shown_in[:1]}",
        "asked = channel != request",
        "tests/slack/test_glass.py::"
        "test_each_of_those_concerned_is_mentioned_once_in_the_channel_it_is_for",
    ),
    _bug(
        "mention no owner of the place where glass is broken",
        "bot/core/break_glass.py",
        "        if new.users or new.groups:\n            found[",
        "        if new.users and not new.users:\n            found[",
        "tests/e2e/test_break_glass.py::test_a_break_glass_notifies_each_of_those_concerned_once",
    ),
    _bug(
        "ring for the end that was announced and came on time",
        "bot/slack/projection.py",
        "if grant.end_reason is EndReason.EXPIRED and on_time",
        "if grant.end_reason is EndReason.FAILED and on_time",
        "tests/slack/test_projection.py::"
        "test_an_end_that_was_announced_and_came_on_time_makes_no_sound",
    ),
    _bug(
        "give access back on one click",
        "bot/slack/blocks.py",
        'return button("return", label, request_id, confirm=confirm)',
        'return button("return", label, request_id)',
        "tests/slack/test_home.py::test_access_is_given_back_only_on_being_asked_again",
    ),
    _bug(
        "drop the reason that the form of a revocation holds",
        "bot/slack/stored.py",
        "    request_id, reason = read_revocation(view)\n",
        '    (request_id, _), reason = read_revocation(view), ""\n',
        "tests/e2e/test_break_glass.py::test_an_owner_of_the_place_revokes_it_with_a_click",
    ),
    _bug(
        "let an approval after the asked start pass for one before it",
        "bot/core/model.py",
        "self.start_at < approved_at)",
        "self.start_at > approved_at)",
        "tests/e2e/test_scheduled.py::test_an_approval_after_the_start_that_was_asked_for_says_so",
    ),
    _bug(
        "wait for calls that hang before a stop",
        "bot/cli.py",
        "    hurry.start()\n",
        "",
        "tests/cli/test_cli_run.py::test_a_stop_waits_for_no_call_that_hangs",
    ),
    _bug(
        "take a role of Identity Center without its path",
        "bot/core/names.py",
        "if parsed.name.startswith(_SSO_NAME) and",
        "if not parsed.name and",
        "tests/core/test_names.py",
    ),
    _bug(
        "take output that finds no room for a finding",
        "bot/start.py",
        "error.errno not in _NO_ROOM",
        "error.errno",
        "tests/cli/test_cli.py::test_output_that_finds_no_room_is_told_and_is_no_finding",
    ),
    # What was rewritten is told as that
    _bug(
        "cut half a secret out of what is too long",
        "bot/store/audit.py",
        "bounded(masked(event.details))",
        "masked(bounded(event.details))",
        "tests/store/test_audit_secrets.py",
    ),
    _bug(
        "read on through a policy file that is wrong everywhere",
        "bot/yaml_lines.py",
        "if len(reader.problems) > MOST_PROBLEMS:",
        "if len(reader.problems) > MOST_VALUES:",
        "tests/test_policy_file.py",
    ),
    _bug(
        "read a list of any length",
        "bot/yaml_lines.py",
        "if len(into.data) >= MOST_ITEMS:",
        "if len(into.data) >= MOST_VALUES:",
        "tests/test_policy_file.py",
    ),
    _bug(
        "grant by a policy file that is being replaced",
        "bot/policy_file.py",
        "return self._in_force(patience=None)",
        "return self._in_force(patience=_SOON_SECONDS)",
        "tests/test_policy_file.py::test_whoever_grants_waits_for_a_file_that_is_being_read",
    ),
    _bug(
        "wait for a policy file before access is taken away",
        "bot/wiring.py",
        "policy_soon=self.policy.soon,",
        "policy_soon=self.policy.current,",
        "tests/e2e/test_outages.py::"
        "test_an_owner_revokes_while_a_policy_file_is_read_that_takes_for_ever",
    ),
    _bug(
        "take a younger anchor for one that vouches for what was there before",
        "bot/core/audit_findings.py",
        "return self._by_time[until - 1][1] if until else self._without_time",
        "return self._by_time[-1][1] if until else self._without_time",
        "tests/store/test_audit_tampered.py",
    ),
    # Nobody who is kept out comes in
    _bug(
        "give something to whoever is suspended",
        "bot/core/people.py",
        "    if person.suspended:\n",
        "    if person.suspended and not team_id:\n",
        "tests/access/test_suspension.py::test_whoever_is_suspended_gets_nothing_new",
    ),
    _bug(
        "count what a suspended person approved",
        "bot/access/delegate.py",
        "    facts = as_stored(tx, facts)\n    found",
        "    found",
        "tests/access/test_suspension.py::test_what_they_approved_does_not_count_any_more",
    ),
    _bug(
        "leave whoever is suspended what they have",
        "bot/access/suspension.py",
        "tuple(_revoked(tx, live, by, now))",
        "tuple(_revoked(tx, live[:0], by, now))",
        "tests/access/test_suspension.py::test_what_is_live_is_revoked_and_what_waits_is_closed",
    ),
    _bug(
        "leave open what a suspended person asked for",
        "bot/access/suspension.py",
        "tuple(_closed(tx, waiting, by, now))",
        "tuple(_closed(tx, waiting[:0], by, now))",
        "tests/access/test_suspension.py::test_what_is_live_is_revoked_and_what_waits_is_closed",
    ),
    _bug(
        "leave the deputies of whoever is suspended",
        "bot/access/suspension.py",
        "end_all_of(tx, person, by, now)",
        "end_all_of(tx, by, by, now)",
        "tests/access/test_suspension.py::test_deputies_of_theirs_end_and_they_are_nobodys_deputy",
    ),
    _bug(
        "suspend beside whoever is granting",
        "bot/access/suspension.py",
        "    locks.until_nobody_grants(tx)\n",
        "",
        "tests/access/test_suspension.py::test_a_grant_on_its_way_is_revoked_too",
    ),
    _bug(
        "let anybody end what an operator suspended",
        "bot/access/suspension.py",
        "current.began_by == OPERATOR and by != OPERATOR",
        "current.began_by == by and by != OPERATOR",
        "tests/access/test_suspension.py::"
        "test_an_operators_suspension_is_ended_by_an_operator_alone",
    ),
    _bug(
        "end a suspension however late",
        "bot/store/inbox.py",
        "REVOKING = frozenset({Kind.REVOKE, Kind.LOCKDOWN, Kind.SUSPEND})",
        "REVOKING = frozenset({Kind.REVOKE, Kind.LOCKDOWN, Kind.SUSPEND, Kind.UNSUSPEND})",
        "tests/store/test_inbox.py",
    ),
    _bug(
        "let a return evade the revocation that comes after it",
        "bot/access/end.py",
        "or not given.note_late_revocation(tx, last.id, now)",
        "or last.id",
        "tests/access/test_suspension.py::test_a_return_just_before_a_revoke_evades_nothing",
    ),
    _bug(
        "ask EKS to give what was revoked since the plan",
        ACCESS,
        "                access_grants.ensure_still_giving(tx, entry.id, giving)\n",
        '                log.debug("planned")\n',
        "tests/reconcile/test_access_races.py::"
        "test_eks_is_not_asked_to_give_what_was_ended_since_the_plan",
    ),
    _bug(
        "tell nobody of a deputy in their name",
        "bot/slack/delegations.py",
        "_announce(tx, key, begun.owner, own, begun)",
        "_announce(tx, key, begun.deputy, own, begun)",
        "tests/e2e/test_suspension.py::"
        "test_nobody_else_suspends_and_an_owner_is_told_of_a_deputy_in_their_name",
    ),
    # No secret is written down
    _bug(
        "write down a secret with blanks before it",
        "bot/core/masking.py",
        '_IS = r"[ \\t]{0,8}(?:=>',
        '_IS = r"(?:=>',
        "tests/core/test_masking.py",
    ),
    _bug(
        "write down what stands under the name of a secret",
        "bot/core/masking.py",
        "                if isinstance(one, str) and names_a_secret(str(name))\n",
        "                if one is MASK\n",
        "tests/core/test_masking.py::"
        "test_what_stands_under_the_name_of_a_secret_is_masked_whatever_it_looks_like",
    ),
    _bug(
        "log what stands under the name of a secret",
        "bot/logs.py",
        "    if isinstance(value, str | bytes) and names_a_secret(name):\n",
        "    if value is MASK:\n",
        "tests/test_logs.py",
    ),
    _bug(
        "tell a secret in an error of the command line",
        "bot/cli_exit.py",
        "without_secrets(sentence)",
        "sentence",
        "tests/cli/test_cli_database.py::test_an_error_of_the_command_line_holds_no_secret",
    ),
    _bug(
        "write down a private key that has headers",
        "bot/core/masking.py",
        "(?s:(?:[^-]|-(?!----END))*+)",
        "(?s:[^-]*+)",
        "tests/core/test_masking.py",
    ),
    _bug(
        "try what repeats again in another way",
        "bot/core/masking.py",
        '    r"github_pat_\\w{20,}+",',
        '    r"github_pat_\\w{20,}",',
        "tests/core/test_masking.py",
    ),
    _bug(
        "mask the name of a Kubernetes service",
        "bot/core/masking.py",
        "(?=[TE][A-Z0-9]{0,20}/)",
        "",
        "tests/core/test_masking.py",
    ),
    # What the policy names is looked up
    _bug(
        "overlook who stands as a key of a mapping",
        "bot/core/policy_names.py",
        "            yield from _names(_inner(hint, 0), key, keys)\n",
        "",
        "tests/core/test_policy_names.py",
    ),
    _bug(
        "look up no user group beside those of rules",
        "bot/doctor_people.py",
        "    for group, places in places_of(policy, Outside.GROUP).items():\n",
        "    for group, places in places_of(policy, Outside.GROUP).items():\n"
        '        if places[0][0] != "rules":\n'
        "            continue\n",
        "tests/cli/test_doctor.py::"
        "test_every_id_and_role_of_the_policy_file_is_looked_up_whatever_key_it_stands_under",
    ),
    _bug(
        "take a role under another path for the one in the policy",
        "bot/doctor_roles.py",
        '"" if there == arn else',
        '"" if there else',
        "tests/cli/test_doctor.py::test_a_role_that_is_not_there_or_has_another_path_is_told",
    ),
    _bug(
        "have a missing plan of Slack's looked at again in a minute",
        "bot/doctor_slack.py",
        "    if problem.remedy:\n",
        "    if problem.remedy and not problem.stays:\n",
        "tests/cli/test_doctor.py::test_the_remedy_follows_from_what_slack_says",
    ),
    _bug(
        "take a cluster without access entries for a good one where the listing answers",
        "bot/doctor.py",
        "    if mode == _WITHOUT_ENTRIES:",
        "    if mode is None:",
        "tests/cli/test_doctor.py::"
        "test_a_cluster_whose_mode_has_no_entries_is_a_finding_also_where_the_listing_answers",
    ),
    # Who has standing access is told, the widest first
    _bug(
        "put policies that nobody knows before cluster-admin",
        "bot/core/standing_width.py",
        "    return _POLICIES.get(name, Width.OTHER)\n",
        "    return _POLICIES.get(name, Width.CLUSTER_ADMIN)\n",
        "tests/reconcile/test_drift_reports.py::"
        "test_machines_and_policies_that_nobody_knows_hide_no_cluster_admin",
    ),
    _bug(
        "take machines for people",
        "bot/reconcile/standing.py",
        "    return one.described.type != STANDARD or is_machine(_names(one), groups)\n",
        "    return one.described.type != STANDARD or not (groups or one)\n",
        "tests/reconcile/test_drift_reports.py::"
        "test_machines_and_policies_that_nobody_knows_hide_no_cluster_admin",
    ),
    _bug(
        "name the first policy by its letters",
        "bot/reconcile/standing.py",
        "for name in policies_widest_first(scopes)",
        "for name in sorted(scopes, reverse=True)",
        "tests/reconcile/test_drift_reports.py::"
        "test_machines_and_policies_that_nobody_knows_hide_no_cluster_admin",
    ),
    _bug(
        "cut cluster-admins from the weekly message without counting them",
        "bot/slack/drift_views.py",
        "'more principal')}{_told(': ', widths)}.",
        "'more principal')}.",
        "tests/slack/test_drift_views.py::"
        "test_what_the_digest_does_not_name_is_counted_by_what_it_allows",
    ),
    # Who was at the command line
    _bug(
        "leave out of the trail who was at the command line",
        "bot/store/audit.py",
        "    if event.actor != OPERATOR or not who:\n",
        "    if event.actor != who:\n",
        "tests/cli/test_cli_operator.py::"
        "test_what_ends_or_changes_something_says_who_did_it_and_why",
    ),
    _bug(
        "believe a variable who is at the command line",
        "bot/cli_common.py",
        "pwd.getpwuid(os.getuid()).pw_name",
        'os.environ.get("LOGNAME") or pwd.getpwuid(os.getuid()).pw_name',
        "tests/cli/test_cli_operator.py::"
        "test_a_variable_makes_nobody_somebody_else_and_sudo_says_who_came",
    ),
    _bug(
        "revoke nothing where the account has no name",
        "bot/cli_common.py",
        "    with suppress(KeyError, OSError):  # a",
        "    with suppress(OSError):  # a",
        "tests/cli/test_cli_operator.py::"
        "test_access_ends_where_neither_the_account_nor_the_host_has_a_name",
    ),
    _bug(
        "look back for thirty days alone",
        "bot/cli.py",
        "parse_duration(text, longest=None)",
        "parse_duration(text)",
        "tests/cli/test_cli_grants.py::test_a_look_back_may_be_as_long_as_somebody_likes",
    ),
    # What is given is no wider than meant
    _bug(
        "take what may be missing in a ticket's form for one way",
        "bot/core/policy_fields.py",
        "                ways *= 2\n",
        "                ways *= 1\n",
        "tests/core/test_ticket_forms.py",
    ),
    _bug(
        "take alternatives in a ticket's form for one way",
        "bot/core/policy_fields.py",
        "                alternatives[-1] += 1\n",
        "                alternatives[-1] += 0\n",
        "tests/core/test_ticket_forms.py",
    ),
    _bug(
        "be silent on what is above view on every cluster without approval",
        "bot/core/policy_checks_width.py",
        '    if "*" in rule.clusters:',
        '    if "*" in rule.name:',
        "tests/core/test_policy_checks_width.py",
    ),
    _bug(
        "be silent on a month above view",
        "bot/core/policy_checks_width.py",
        "LONG = timedelta(days=7)",
        "LONG = timedelta(days=30)",
        "tests/core/test_policy_checks_width.py",
    ),
    _bug(
        "take a group for no more than view",
        "bot/core/policy_checks_width.py",
        " or bool(level.kubernetes_groups))",
        ")",
        "tests/core/test_policy_checks_width.py",
    ),
    _bug(
        "be silent on a group that is cluster-admin by name",
        "bot/core/policy_checks_width.py",
        "            if _NAMED_CLUSTER_ADMIN.search(group):",
        '            if group == "system:masters":',
        "tests/core/test_policy_checks_width.py",
    ),
    _bug(
        "let the file map somebody to a role of the bot",
        "bot/core/policy_checks_principals.py",
        "    yield from _roles_of_the_bot(policy)\n",
        "",
        "tests/core/test_policy_checks_width.py",
    ),
    _bug(
        "let an address be a role of the bot",
        "bot/core/principals.py",
        "    if principal_key(arn) in policy.own_roles:",
        "    if not arn:",
        "tests/core/test_policy_principals.py::"
        "test_nobody_is_the_bot_by_an_address_that_is_called_like_its_role",
    ),
    # Done means observed
    _bug(
        "confirm without observing",
        GRANTS,
        "if given and not plan.changes(grant.access) and not plan.blocks(grant.access):",
        "if not plan.blocks(grant.access):",
    ),
    _bug(
        "call it ended with what is to be removed still shown",
        GRANTS,
        " and not plan.removals and not plan.unsettled:",
        ":",
    ),
    _bug(
        "skip the read-back",
        ACCESS,
        "        if actions:\n            observed = access_entries.observe(",
        "        if plan.additions:\n"
        "            from bot.core import lifecycle\n"
        "            from bot.core.model import GrantState\n"
        "            from bot.reconcile.storing import store_grant\n"
        "            with self._database.transaction() as tx:\n"
        "                for one in giving:\n"
        "                    if one.state is GrantState.PROVISIONING:\n"
        "                        done = lifecycle.confirm(one, self._clock())\n"
        "                        store_grant(tx, one, *done)\n"
        "        if actions:\n            observed = access_entries.observe(",
    ),
    _bug(
        "call a write that is under way not to come",
        "bot/store/entries.py",
        "return written_at is not None and now - written_at < PROPAGATION",
        "return written_at is None",
    ),
    _bug(
        "forget the intent before a write",
        ACCESS,
        "        self._intend(entry, action, giving, epoch)\n",
        "",
    ),
    _bug(
        "take what happens while the store is read for a store that went back",
        "bot/reconcile/memory.py",
        "well = newest.holds(tx, self._known, noted)",
        "well = self._holds(tx)",
        "tests/reconcile/test_store_went_back.py::"
        "test_what_another_thread_does_while_the_store_is_read_is_no_store_that_went_back",
    ),
    # Two stores under one deployment name
    _bug(
        "take away what another store made",
        PLANNER,
        "return _is_of(observed, owner.deployment) and store_of(observed) in owner.stores",
        "return _is_of(observed, owner.deployment)",
        first=30,
    ),
    _bug(
        "take an entry that names no store for one of a new store's",
        PLANNER,
        "return self.adopted | {self.store} if self.store else self.adopted",
        'return self.adopted | {self.store or "", ""}',
        f"{ANOTHER_STORE}::"
        "test_a_new_store_takes_away_no_entry_that_another_made_and_tells_of_it_once",
    ),
    _bug(
        "take an entry that another store was faster to make for its own",
        PLANNER,
        "return tagged and (record.arn == observed.arn or store_of(observed) in self.stores)",
        "return tagged",
        f"{ANOTHER_STORE}::test_where_another_was_faster_to_make_the_entry_it_is_that_ones",
    ),
    _bug(
        "add to an entry of another store where the cluster says augment",
        PLANNER,
        "elif of_another_store(observed, owner):",
        "elif not owner:",
        f"{ANOTHER_STORE}::test_nothing_is_built_upon_an_entry_that_another_made",
    ),
    _bug(
        "make entries that name no store",
        "bot/aws/access_entries.py",
        "            if owner.store is not None:\n",
        "            if not owner.deployment:\n",
        "tests/aws/test_access_entries.py::test_an_entry_is_created_with_its_tags_and_its_groups",
    ),
    _bug(
        "take away schedules of another store",
        "bot/reconcile/drift_scan.py",
        "                if shown is None or not backstop.is_named(\n"
        "                    name, owner, cluster.name, shown.principal_arn\n"
        "                ):\n",
        "                if shown is None or owner is None:\n",
        "tests/reconcile/test_backstop_scan.py",
    ),
    _bug(
        "be sure of the database once it gave access itself",
        "bot/store/stores.py",
        "        grants.c.created_at <= first,\n",
        "",
        f"{ANOTHER_STORE}::test_it_stays_unsure_also_once_it_gives_access_itself",
    ),
    _bug(
        "give the alarm about the wrong database once and never again",
        "bot/reconcile/adoption.py",
        "alarm_times(self._policy).number(max(self._clock() - found.since, timedelta()))",
        "0",
        f"{ANOTHER_STORE}::test_the_alarm_comes_at_once_and_then_as_of_late_removals",
    ),
    _bug(
        "be ready on the wrong database",
        "bot/wiring.py",
        'problems["adoption"] = self._adoption.problem()',
        'problems["adoption"] = None',
        "tests/e2e/test_another_database.py",
    ),
    _bug(
        "adopt for every deployment",
        "bot/store/stores.py",
        "for name, one in adopted if name == deployment",
        "for name, one in adopted if name",
        f"{ANOTHER_STORE}::test_adopting_for_one_deployment_is_not_for_another",
    ),
    _bug(
        "adopt without being told to",
        "bot/cli_adopt.py",
        "        if yes and theirs:\n",
        "        if theirs:\n",
        "tests/cli/test_cli_adopt.py::test_without_yes_it_lists_them_and_changes_nothing",
    ),
    _bug(
        "forget at the upgrade that the store gave access",
        "migrations/versions/0016_give_the_store_an_identity.py",
        'adopted = [[deployment, ""] for deployment in op.get_bind().scalars(gave)]',
        "adopted: list[list[str]] = [] if op.get_bind().scalars(gave) else []",
        "tests/store/test_migrations.py::"
        "test_a_store_that_gave_access_before_identities_knows_for_which_deployment",
    ),
    _bug(
        "let the bot put no third tag on its entries",
        "deploy/iam-policy.json",
        '"aws:TagKeys": ["eks-access:deployment", "eks-access:grant", "eks-access:store"],',
        '"aws:TagKeys": ["eks-access:deployment", "eks-access:grant"],',
        "tests/aws/test_iam_policy.py::test_it_allows_everything_that_the_bot_does",
    ),
    _bug(
        "start without saying on which database",
        "bot/cli.py",
        "        database=database.place,\n",
        "",
        "tests/cli/test_cli_run.py::"
        "test_the_bot_runs_serves_health_is_alone_on_its_file_and_stops_in_good_order",
    ),
    _bug(
        "find nothing wrong with a database beside another",
        "bot/doctor.py",
        "strange = 0 if problems else _of_another_store(database)",
        "strange = 0",
        "tests/cli/test_doctor.py::test_entries_that_were_made_from_another_database_are_counted",
    ),
    _bug(
        "tell the password of the database",
        "bot/store/database.py",
        "return f\"postgresql://{host}{port}/{url.database or ''}\"",
        "return f\"postgresql://{url.password}{host}{port}/{url.database or ''}\"",
        "tests/store/test_database.py",
    ),
    # Standing access
    _bug(
        "ignore foreign tags",
        PLANNER,
        "tagged = observed.tags.get(DEPLOYMENT_TAG) == self.deployment",
        "tagged = bool(self.deployment)",
        first=80,
    ),
    _bug(
        "add to standing access though the cluster refuses",
        PLANNER,
        "elif standing is not Standing.AUGMENT:",
        "elif not standing:",
        first=46,
    ),
    _bug(
        "delete instead of disassociate",
        PLANNER,
        "            removals.append(Disassociate(arn))",
        "            removals.append(DeleteEntry())",
    ),
    _bug(
        "delete an entry with what others put on it",
        PLANNER,
        "alone = not foreign and not record.foreign_groups(observed)",
        "alone = True",
    ),
    _bug(
        "drop others' groups",
        PLANNER,
        "wanted = foreign | desired.kubernetes_groups",
        "wanted = desired.kubernetes_groups",
    ),
    # The union
    _bug(
        "drop the union",
        GRANTS,
        "desired = planner.union(grant.access for grant in giving)",
        "desired = planner.union(grant.access for grant in giving[-1:])",
    ),
    _bug(
        "let the later scope replace the earlier",
        PLANNER,
        "present.union(access.scope) if present else access.scope",
        "access.scope",
    ),
    # The end
    _bug(
        "expiry off by one",
        LIFECYCLE,
        "if grant.state is GrantState.ACTIVE and now >= grant.ends_at:\n        return EndReason",
        "if grant.state is GrantState.ACTIVE and now > grant.ends_at:\n        return EndReason",
    ),
    _bug(
        "let a late confirmation move the end",
        LIFECYCLE,
        "        ends_at=min(grant.ends_at, now + grant.duration),\n        problem=None,",
        "        ends_at=now + grant.duration + PROVISION_WITHIN,\n        problem=None,",
    ),
    _bug(
        "give a removal up after some tries",
        TROUBLES,
        "        times.append(now + pause(attempts, max(asked, default=None)))\n",
        "        if attempts < 2:\n            times.append(now + pause(attempts))\n",
    ),
    _bug(
        "forget what the clock did",
        GRANTS,
        "set_right = lifecycle.after_clock_jump(grant, now)",
        "set_right = None",
        first=72,
    ),
    _bug(
        "believe a clock that was ahead in when a removal began",
        LIFECYCLE,
        "    if grant.state is GrantState.REVOKING and since is not None and since > latest:",
        "    if grant.state is GrantState.ENDED and since is not None and since > latest:",
        "tests/reconcile/test_access_clock.py",
    ),
    _bug(
        "wait for a clock that was ahead",
        "bot/store/entries.py",
        '        | (_TO_DO & (entries.c.due_at > bindparam("put_off")))\n',
        "",
        "tests/reconcile/test_access_clock.py",
    ),
    _bug(
        "take a pause of a clock that was ahead for one that Slack asked for",
        "bot/store/due.py",
        'ahead = began.is_(None) | (began > bindparam("ahead", type_=began.type))',
        "ahead = began.is_(None)",
        "tests/store/test_inbox.py",
    ),
    _bug(
        "take what Slack asks for, once it is long, for the fault of a wrong clock",
        "bot/store/due.py",
        "return now if until is not None and until - now > LONGEST_PAUSE else None",
        "return None if until is not None and until - now > LONGEST_PAUSE else now",
        "tests/reconcile/test_messages_faults.py",
    ),
    _bug(
        "read Retry-After as whole seconds alone",
        "bot/core/retry_after.py",
        'r"[0-9]{1,9}(\\.[0-9]{0,9})?"',
        'r"[0-9]{1,9}"',
        "tests/core/test_retry_after.py",
    ),
    _bug(
        "give up an alarm because Slack wants it later",
        "bot/reconcile/announcements.py",
        "if delayed.after is None and now - announcement",
        "if now - announcement",
        "tests/reconcile/test_announcements.py",
    ),
    _bug(
        "call it connected because another connection is tried",
        CONNECTION,
        "            self._session = _Session(app, self._now())\n",
        "            self._session = _Session(app, self._now())\n"
        "            self._proven_at = self._now()\n",
        "tests/slack/test_connection.py::test_nothing_that_is_tried_makes_it_ready",
    ),
    _bug(
        "take an acknowledgement that is lost with its connection for a fault of ours",
        "bot/slack/connection.py",
        "        except NotSent:\n",
        "        except ZeroDivisionError:\n",
        "tests/slack/test_connection.py::test_an_acknowledgement_that_is_lost_with_its_connection_is_told_as_such",
    ),
    _bug(
        "call it connected before Slack has said hello",
        CONNECTION,
        "if session is None or session.greeted_at is None:",
        "if session is None:",
        "tests/slack/test_connection.py",
    ),
    _bug(
        "say that what stays works once Slack answers",
        "bot/slack/people.py",
        "    if known.stays:\n",
        "    if not code:\n",
        "tests/slack/test_slack_errors.py",
    ),
    _bug(
        "try for ever to change a message that cannot be changed any more",
        "bot/reconcile/messages.py",
        "if code not in STALE and code not in REFUSED:",
        "if code not in REFUSED:",
        "tests/reconcile/test_messages_faults.py",
    ),
    _bug(
        "take credentials that AWS refuses for a fault of AWS's own",
        "bot/aws/errors.py",
        "        problem = refused or _problem(",
        "        problem = _problem(",
        "tests/aws/test_errors.py",
    ),
    _bug(
        "ask a Slack that refuses at every look",
        CONNECTION,
        "self._now() + max(wait, asked.total_seconds())",
        "self._now()",
        "tests/slack/test_connection.py",
    ),
    _bug(
        "believe a connection on which nothing comes while others get all",
        CONNECTION,
        "if others < OTHERS_PAYLOADS:",
        "if others >= 0:",
        "tests/slack/test_connection.py",
    ),
    _bug(
        "let an extension count by itself",
        "bot/core/model.py",
        "            duration=self.already + self.duration,",
        "            duration=self.duration,",
        first=52,
    ),
    _bug(
        "count an extension from when the clock was ahead",
        "bot/core/model.py",
        "        return min(self.began_at, self.confirmed_at - had_lasted)\n",
        "        return self.began_at\n",
        "tests/reconcile/test_access_clock.py::"
        "test_an_extension_made_while_the_clock_was_ahead_counts_towards_the_rules_maximum",
    ),
    _bug(
        "extend from an end that the clock had wrong",
        LIFECYCLE,
        "    if after_clock_jump(grant, now) is not None:\n        raise",
        "    if not by:\n        raise",
        "tests/reconcile/test_access_clock.py::"
        "test_access_is_not_extended_from_an_end_that_is_still_to_be_set_right",
    ),
    _bug(
        "take any error on a removal for gone",
        "bot/aws/access_entries.py",
        "        if not is_not_found(error):\n            raise\n\n\ndef",
        "        del error\n\n\ndef",
        "tests/aws/test_access_entries.py",
    ),
    # Who may
    _bug(
        "allow a requester's own approval",
        "bot/core/approvals.py",
        "    if user in excluded:\n        return frozenset()\n",
        "",
        "tests/core/test_approvals.py",
    ),
    Mutation(
        "allow a requester's own approval everywhere",
        (
            Change(REVIEW, "    if clicker.id == request.requester:", "    if not clicker.id:"),
            Change(
                "bot/slack/needs.py",
                "            if request.requester == item.actor:",
                "            if not item.actor:",
            ),
            Change(
                REVIEW,
                "    if _same_principal(policy, request, clicker.id, clicker_principal_arn):",
                "    if not clicker.id:",
            ),
            Change(
                "bot/core/approvals.py",
                "    if user in excluded:\n        return frozenset()\n",
                "",
            ),
        ),
    ),
    _bug(
        "do not check owners at the click",
        "bot/core/people.py",
        "    if surely_belongs(user, people, membership):\n        return True\n    _ensure",
        "    if people.users or people.groups:\n        return True\n    _ensure",
    ),
    _bug(
        "count one person twice",
        "bot/core/approvals.py",
        "if len(have[one.key]) < one.required)",
        "if 2 * len(have[one.key]) < one.required)",
    ),
    _bug(
        "show an approval in the place of every owner whose deputy it was",
        "bot/core/approvals.py",
        "one.seats.get(key) or one.deputy_of",
        "one.deputy_of",
        "tests/core/test_steps.py::test_a_deputy_of_two_owners_is_no_second_word_for_one_of_them",
    ),
    _bug(
        "record no seats",
        "bot/access/review.py",
        "        seats={key: tuple(sorted(owners)) for key, owners in places.items() if owners},\n",
        "",
        "tests/access/test_delegate.py::"
        "test_a_deputy_decides_in_the_place_of_an_owner_until_the_time_is_over",
    ),
    _bug(
        "count whoever approved once, owner or not",
        "bot/access/review.py",
        " and _still_counts(facts, request, one.reviewer)",
        "",
        "tests/access/test_review.py",
    ),
    _bug(
        "decide by a membership that is kept",
        "bot/slack/shared_answers.py",
        "if cached is not None and cached.began >= since:",
        "if cached is not None:",
        "tests/slack/test_lookups.py::"
        "test_what_decides_is_never_older_than_the_click_nor_than_half_a_minute",
    ),
    _bug(
        "ask Slack once for each who waits",
        "bot/slack/shared_answers.py",
        "if call is None or (urgent and not shares):",
        "if call is None or not shares:",
        "tests/slack/test_lookups.py",
    ),
    _bug(
        "keep a membership that an event says has changed",
        "bot/slack/shared_answers.py",
        "            self._cached.pop(key, None)\n",
        "",
        "tests/slack/test_lookups.py",
    ),
    _bug(
        "keep what was read while an event was under way",
        "bot/slack/shared_answers.py",
        "            self._under_way.pop(key, None)\n",
        "",
        "tests/slack/test_lookups.py",
    ),
    _bug(
        "leave nothing of Slack's limits for what must not wait",
        "bot/slack/call_budget.py",
        "most = allowance.a_minute if reserved else allowance.a_minute - allowance.reserved",
        "most = allowance.a_minute",
        "tests/slack/test_lookups.py",
    ),
    _bug(
        "ask a method of Slack before its Retry-After is over",
        "bot/slack/call_budget.py",
        "            if closed_until > now:",
        "            if closed_until > now and not reserved:",
        "tests/slack/test_lookups.py",
    ),
    _bug(
        "refuse what Slack's limits only delay",
        "bot/slack/inbox.py",
        "            if not self._wait_for_slack(item, error.after):\n",
        "            if error.after:\n",
        "tests/e2e/test_lookups.py::test_what_slack_limits_waits_and_is_answered",
    ),
    _bug(
        "grant by a policy file with errors",
        "bot/policy_file.py",
        "return (None if findings else policy), data, findings",
        "return policy, data, findings",
        first=23,
    ),
    _bug(
        "let guests and the deactivated in",
        "bot/core/people.py",
        "    if person.deleted:\n",
        "    if person.deleted and not person.id:\n",
        "tests/access/test_review.py",
    ),
    _bug(
        "grant while lockdown is on",
        "bot/access/lockdown.py",
        '    if current is not None:\n        raise Refused("lockdown"',
        '    if current is None and not tx:\n        raise Refused("lockdown"',
        first=18,
    ),
    _bug(
        "let anybody revoke",
        "bot/core/revoking.py",
        "    if belongs(clicker_id, owners, membership):\n        return None\n",
        "    if clicker_id:\n        return None\n",
    ),
    _bug(
        "let anybody look at a break-glass afterwards",
        "bot/core/post_review.py",
        "    if not belongs(clicker.id, owners, membership):",
        "    if not clicker.id:",
        first=103,
    ),
    _bug(
        "give by an extension whose end has passed",
        LIFECYCLE,
        "    return min(grant.provision_by, grant.ends_at)",
        "    return grant.provision_by",
        "tests/reconcile/test_backstop.py",
    ),
    # The backstop
    _bug(
        "give before the schedule is read back",
        BACKSTOP,
        "    if known is None or not known.confirmed:\n        return False",
        "    if known is None:\n        return False",
        "tests/reconcile/test_backstop.py",
    ),
    _bug(
        "schedule the first end of several",
        BACKSTOP,
        "    at = max(fires_at(grant",
        "    at = min(fires_at(grant",
        first=215,
    ),
    _bug(
        "keep the schedule of an entry that others put something on",
        BACKSTOP,
        "    if terms is None or alone is False:",
        "    if terms is None:",
        first=215,
    ),
    # The command line
    _bug(
        "give a revocation up that the database broke off",
        "bot/cli.py",
        "            broken_off += 1\n",
        "            broken_off = _BROKEN_OFF_TRIES\n",
        "tests/cli/test_cli_revoke_postgresql.py::"
        "test_a_revocation_that_is_broken_off_is_tried_again",
    ),
    _bug(
        "let one that cannot be revoked keep the rest",
        "bot/cli.py",
        "        except (Conflict, StoreUnavailable) as error:\n",
        "        except Conflict as error:\n",
        "tests/cli/test_cli_revoke_postgresql.py::"
        "test_one_that_is_broken_off_each_time_is_named_and_keeps_no_other",
    ),
    # The store
    _bug(
        "work through a pooler that swaps sessions",
        "bot/store/pooler.py",
        "if len(answered) != len(connections) or",
        "if len(answered) < len(connections) and",
        "tests/cli/test_cli_pooler.py::"
        "test_a_pooler_that_swaps_sessions_is_refused_with_the_remedy",
    ),
    _bug(
        "hold a claim at a server that only reads",
        "bot/store/claims.py",
        """"SELECT current_setting('transaction_read_only') = 'off'\"""",
        '"SELECT true"',
        "tests/store/test_claims.py::test_a_claim_whose_session_only_reads_by_now_holds_no_more",
    ),
    _bug(
        "hold each claim in a session of its own",
        "bot/store/claims.py",
        "if self._session is None or not self._session.fit:",
        "if self._session is None or self._session.fit:",
        "tests/store/test_claims.py::"
        "test_sixty_claims_are_held_by_one_session_and_leave_every_transaction_working",
    ),
    _bug(
        "hold claims in connections of the pool",
        "bot/store/database.py",
        "            taken.detach()\n            until_detached.pop_all()\n",
        "            until_detached.pop_all()\n            self._own_sessions.append(taken)\n",
        "tests/store/test_claims.py::"
        "test_sixty_claims_are_held_by_one_session_and_leave_every_transaction_working",
    ),
    _bug(
        "hold claims on where their session is over",
        "bot/store/claims.py",
        "        except StoreUnavailable:\n            return False\n",
        "        except StoreUnavailable:\n            return True\n",
        "tests/store/test_claims.py::"
        "test_with_their_session_all_claims_are_lost_and_another_replica_takes_them",
    ),
    _bug(
        "claim in a session as old as those that the pool gave up",
        "bot/store/claims.py",
        "return not self._over and self._renewals == self._database.renewals",
        "return not self._over",
        "tests/store/test_claims.py::"
        "test_new_claims_are_not_in_a_session_as_old_as_those_that_the_pool_gave_up",
    ),
    _bug(
        "end the claims of work under way when the pool gives up its sessions",
        "bot/store/claims.py",
        "unused = session.claims == 0 and session is not self._session",
        "unused = session is not self._session",
        "tests/store/test_claims.py::"
        "test_new_claims_are_not_in_a_session_as_old_as_those_that_the_pool_gave_up",
    ),
    _bug(
        "leave a session open that no claim is in any more",
        "bot/store/claims.py",
        "        if unused:\n            session.end()\n",
        "        del unused\n",
        "tests/store/test_claims.py::"
        "test_new_claims_are_not_in_a_session_as_old_as_those_that_the_pool_gave_up",
    ),
    _bug(
        "let the server end the claims of a session that lies idle",
        "bot/store/database.py",
        '"idle_session_timeout": 0}',
        '"lock_timeout": 0}',
        "tests/store/test_claims.py::"
        "test_a_session_that_the_server_ends_when_idle_does_not_take_the_claims_with_it",
    ),
    _bug(
        "wait for an hour for a server that is frozen",
        "bot/store/silence.py",
        "heard > self.most_silence:",
        "heard > 3600:",
        "tests/store/test_frozen.py::test_a_frozen_session_is_given_up_and_the_next_one_works",
    ),
    _bug(
        "take a server that works on a long statement for a frozen one",
        "bot/store/database.py",
        "    most, session.most_silence = session.most_silence, None\n",
        "    most = session.most_silence\n",
        "tests/store/test_frozen.py::"
        "test_a_statement_that_may_take_as_long_as_it_needs_is_not_taken_for_a_frozen_server",
    ),
    _bug(
        "connect as psycopg does, which waits for ever for a frozen server",
        "bot/store/database.py",
        "    connection.most_silence = _silence(statement, patience)\n",
        "",
        "tests/store/test_frozen.py::test_a_frozen_session_is_given_up_and_the_next_one_works",
    ),
    _bug(
        "use a session again that only reads",
        "bot/store/faults.py",
        "READ_ONLY = Fault(\n    Handling.NEW_SESSION,",
        "READ_ONLY = Fault(\n    Handling.SAME_SESSION,",
        "tests/store/test_troubles.py::"
        "test_sessions_of_a_server_that_became_read_only_under_them_are_used_no_more",
    ),
    _bug(
        "take a server that only reads for the store",
        "bot/store/database.py",
        'parsed.query.get("target_session_attrs", "read-write")',
        'parsed.query.get("target_session_attrs", "any")',
        "tests/store/test_troubles.py::"
        "test_a_failover_to_a_server_that_only_reads_is_told_and_over_when_it_is_over",
    ),
    _bug(
        "use a session again after an error that nobody sorted",
        "bot/store/faults.py",
        "UNKNOWN = Fault(\n    Handling.NEW_SESSION,",
        "UNKNOWN = Fault(\n    Handling.SAME_SESSION,",
        "tests/store/test_faults.py",
    ),
    _bug(
        "wait for a lock for ever",
        "bot/store/database.py",
        '        "lock_timeout": int(patience * 1000),\n',
        "",
        "tests/store/test_troubles.py::test_no_statement_and_no_idle_transaction_lasts_for_ever",
    ),
    _bug(
        "call a store writable of which a table is locked",
        "bot/store/database.py",
        "            self._check_tables()\n",
        "            pass\n",
        "tests/store/test_troubles.py::"
        "test_a_table_locked_for_maintenance_is_waited_for_as_long_as_patience_lasts",
    ),
    _bug(
        "try a write that does not reach the disk",
        "bot/store/database.py",
        "self.trying() as tx, _written_through(tx):",
        "self.trying() as tx:",
        "tests/store/test_troubles.py::test_a_write_that_is_tried_reaches_the_disk",
    ),
    _bug(
        "let a transaction wait for itself",
        "bot/store/database.py",
        "                self._thread.writes = True\n",
        "",
        "tests/store/test_troubles.py::"
        "test_a_transaction_inside_another_is_refused_before_it_waits_for_itself",
    ),
    _bug(
        "ignore the guarded state in an update",
        "bot/store/grants.py",
        'grants.c.id == bindparam("grant"), grants.c.state == bindparam("expected")',
        'grants.c.id == bindparam("grant")',
        "tests/store/test_grants.py",
    ),
    _bug(
        "change without an audit event",
        "bot/access/end.py",
        "    grants.change(tx, revoking, expected=grant.state)\n    audit.record(tx, events)\n",
        "    grants.change(tx, revoking, expected=grant.state)\n    del events\n",
    ),
    _bug(
        "acknowledge what is not stored",
        "bot/slack/listeners.py",
        "                self._tell_later(body, error_reply(error))\n                ack()\n",
        "                del error\n                ack()\n",
        "tests/e2e/test_outages.py::"
        "test_the_database_away_at_the_click_is_said_and_nothing_is_half_done",
    ),
    _bug(
        "wait for Slack before the acknowledgement",
        "bot/slack/listeners.py",
        "        now = self._clock()\n"
        "        with self._database.transaction(left=_time_to_store) as tx:\n"
        "            if kind not in inbox.NEVER_LIMITED:",
        '        now = self._clock()\n        self._directory.person(user["id"])\n'
        "        with self._database.transaction(left=_time_to_store) as tx:\n"
        "            if kind not in inbox.NEVER_LIMITED:",
    ),
    _bug(
        "rest though something changed meanwhile",
        "bot/store/messages.py",
        'requests.c.id == bindparam("request"), requests.c.version == bindparam("shown")',
        'requests.c.id == bindparam("request")',
        "tests/store/test_messages.py",
    ),
    _bug(
        "tell late access at every look",
        "bot/reconcile/late_unstored.py",
        "            self._told |= {one.id: numbers[one.id] for one in late}\n",
        "",
        "tests/reconcile/test_late_unstored.py",
    ),
    _bug(
        "tell late access to a channel that takes nothing",
        "bot/reconcile/late_unstored.py",
        "        if channel is not None and self._post(channel, said):\n            return True\n",
        "        if channel is not None:\n            return self._post(channel, said)\n",
        "tests/reconcile/test_late_unstored.py",
    ),
    # Clusters that are gone
    _bug(
        "end access with a cluster after one look",
        "bot/core/gone.py",
        "return self.at - self.since >= GONE_AFTER",
        "return self.at >= self.since",
        "tests/core/test_gone.py",
    ),
    _bug(
        "count the time in which nobody looked for a cluster",
        "bot/core/gone.py",
        "not -CLOCK_TOLERANCE <= now - before.at <= LONGEST_GAP:",
        "not before.at:",
        "tests/core/test_gone.py",
    ),
    _bug(
        "take a cluster for gone in whatever account",
        "bot/reconcile/access.py",
        "            self._clients.prove_account(entry.cluster)\n",
        "            pass\n",
        "tests/reconcile/test_cluster_gone.py",
    ),
    _bug(
        "look for ever for a cluster that is gone",
        "bot/reconcile/access.py",
        "            if looks.gone:\n",
        "            if looks.gone and not entry.id:\n",
        "tests/reconcile/test_cluster_gone.py",
    ),
    _bug(
        "keep the day of a cluster that came back",
        "bot/store/entries.py",
        'seen = {"looked_at": looked_at, "unknown_since": None, "unknown_at": None}',
        'seen = {"looked_at": looked_at}',
        "tests/reconcile/test_cluster_gone.py",
    ),
    _bug(
        "forget access that EKS shows",
        "bot/cli_forget.py",
        "    if answer.code == _SHOWN:\n",
        '    if answer.code == "never":\n',
        "tests/cli/test_cli_forget.py::"
        "test_it_is_refused_while_eks_shows_the_access_unless_it_is_said_plainly",
    ),
    _bug(
        "forget access that nobody could ask EKS about",
        "bot/cli_forget.py",
        "    if answer.code not in _GONE:\n",
        '    if answer.code in {"no_credentials", "wrong_account"}:\n',
        "tests/cli/test_cli_forget.py::"
        "test_where_nobody_can_ask_eks_nothing_is_forgotten_unless_it_is_said_plainly",
    ),
    _bug(
        "forget access on a cluster of the policy file",
        "bot/cli_forget.py",
        "    if any(one.key == cluster.key for one in policy.clusters_by_name.values()):\n",
        "    if cluster is None:\n",
        "tests/cli/test_cli_forget.py",
    ),
    _bug(
        "alarm every hour for ever",
        "bot/core/removal.py",
        "// max(self.every, FIRST_DAY)",
        "// self.every",
        "tests/core/test_removal.py",
    ),
    # What the policy file replaced meanwhile
    _bug(
        "go on with a role that AWS refuses",
        "bot/reconcile/access.py",
        "other = role_fallback.by_policy(entry, problems, self._named)",
        "other = None",
        "tests/reconcile/test_role_fallback.py",
    ),
    _bug(
        "take a cluster of the same name for the one of the row",
        "bot/reconcile/role_fallback.py",
        "if cluster is None or cluster.key != entry.cluster.key:",
        "if cluster is None:",
        "tests/reconcile/test_role_fallback.py",
    ),
    _bug(
        "keep a role that was refused as well",
        "bot/reconcile/access.py",
        "        if not role_fallback.refused(one.problem for one in troubles):\n",
        "        if other is not None:\n",
        "tests/reconcile/test_role_fallback.py",
    ),
    _bug(
        "leave a schedule to a role that AWS refuses",
        "bot/reconcile/backstop.py",
        "other = role_fallback.by_policy(look.entry, [problem], self._named)",
        "other = None",
        "tests/reconcile/test_role_fallback.py",
    ),
    # Faults that lives meet: the store, what disappears, what nobody foresaw
    _bug(
        "take a session that only reads for one that is well",
        "bot/store/database.py",
        "    if fault.handling is faults.Handling.NEW_SESSION:\n"
        "        context.is_disconnect = True\n",
        "    if fault is faults.AWAY:\n        context.is_disconnect = True\n",
        first=46,
    ),
    _bug(
        "take a store that went back for the one that was seen",
        "bot/reconcile/memory.py",
        "return newest.holds(tx, self._known, self._noted)",
        "return tx is not None",
        first=441,
    ),
    _bug(
        "reach a cluster by the role of its row alone",
        "bot/reconcile/role_fallback.py",
        "    if cluster.assume_role == entry.cluster.assume_role:\n        return None\n",
        "    if cluster.assume_role != entry.cluster.assume_role:\n        return None\n",
        first=17,
    ),
    _bug(
        "begin the day of a cluster that is gone with each look",
        "bot/core/gone.py",
        "    return Unknown(min(before.since, now), now)",
        "    return Unknown(now, now)",
        first=27,
    ),
    _bug(
        "take half an answer of Slack for what nobody foresaw",
        "bot/reconcile/slack_errors.py",
        "(SlackClientError, OSError, HTTPException, UnicodeDecodeError)",
        "(SlackClientError, OSError, UnicodeDecodeError)",
        first=12,
    ),
    # Signals that measure the trying
    _bug(
        "call late only what is being removed",
        "bot/core/removal.py",
        "    return to_change + LATE_AFTER if to_change is not None else None",
        "    return None",
        "tests/core/test_removal.py",
    ),
    _bug(
        "take a loop for well because it looks",
        "bot/loop_health.py",
        "if since is not None and abs(now - since) >= STALE:",
        "if last_look is None and since is not None:",
        "tests/test_jobs.py",
    ),
    _bug(
        "let one item that fails for ever make the bot unready",
        "bot/loop_health.py",
        "whole = away or self._one_by_one or len(self._failed) > 1",
        "whole = True",
        "tests/test_jobs.py",
    ),
    _bug(
        "take a store that can be read for one that can be written",
        "bot/store/watch.py",
        "            self.database.try_write()\n",
        "            pass\n",
        "tests/store/test_watch.py",
    ),
    _bug(
        "wait for a store that is mute",
        "bot/store/watch.py",
        "asked.result(self._wait_seconds)",
        "asked.result()",
        "tests/store/test_watch.py",
    ),
    _bug(
        "count nothing as late while the store cannot be read",
        "bot/metrics.py",
        "        if self._store.live is not None:\n",
        "        if answers.reads and self._store.live is not None:\n",
        "tests/test_http.py",
    ),
    _bug(
        "tell late access by the store's outbox alone",
        "bot/wiring.py",
        '        self._jobs.every(_STORE_SECONDS, "store", unstored.look)\n',
        "        assert unstored is not None\n",
        "tests/e2e/test_store_takes_no_writes.py::"
        "test_access_past_its_end_is_told_though_the_store_takes_no_writes",
    ),
    # The order in which access ends
    _bug(
        "let a flood of one person go before what others ask for",
        "bot/store/inbox.py",
        "    order = (items.c.tried, items.c.turn, items.c.id)",
        "    order = (items.c.tried, items.c.id)",
        "tests/e2e/test_order_of_ending.py::"
        "test_three_hundred_commands_of_one_person_delay_nobody_who_ends_access",
    ),
    _bug(
        "let the same command wait as often as it is typed",
        "bot/store/inbox.py",
        '        "subject": subject(kind, document),',
        '        "subject": None,',
        "tests/store/test_inbox.py::test_of_each_person_kind_and_request_one_waits",
    ),
    _bug(
        "forget at once what was refused",
        "bot/slack/inbox.py",
        "                if isinstance(error, Refused):\n",
        "                if isinstance(error, Refused) and not error.code:\n",
        "tests/e2e/test_order_of_ending.py::"
        "test_who_asks_the_same_again_is_answered_without_a_look_at_slack",
    ),
    _bug(
        "remember a refusal under another policy",
        "bot/slack/refusals.py",
        "            digest = self._policy().digest",
        '            digest = self._policy().digest[:0] or "any"',
        "tests/slack/test_refusals.py::test_under_another_policy_it_is_decided_anew",
    ),
    _bug(
        "remember refusals for ever",
        "bot/slack/refusals.py",
        "timedelta(0) <= self._clock() - at < REMEMBERED",
        "timedelta(0) <= self._clock() - at",
        "tests/slack/test_refusals.py::test_for_a_minute_the_same_is_refused_as_before",
    ),
    # What Slack says has failed
    _bug(
        "commit what came to its commit too late",
        "bot/store/database.py",
        "if left is not None and left() <= 0:",
        "if left is not None and left() < -60:",
        "tests/store/test_time_to_store.py::test_what_comes_to_its_commit_too_late_is_rolled_back",
    ),
    _bug(
        "call a commit undone that broke off",
        "bot/store/database.py",
        "        if not error.connection_invalidated:\n            raise\n        raise Store",
        "        if not error.connection_invalidated or error:\n            raise\n"
        "        raise Store",
        "tests/store/test_time_to_store.py::test_a_commit_that_broke_off_is_not_called_undone",
    ),
    _bug(
        "tell nobody that it was taken though Slack said it failed",
        "bot/slack/listeners.py",
        "receipt.seconds_since() > _SLACK_WAITS_SECONDS",
        "receipt.seconds_since() > 60 * _SLACK_WAITS_SECONDS",
        "tests/e2e/test_late_acknowledgement.py::"
        "test_who_was_told_of_a_failure_reads_that_it_was_taken_all_the_same",
    ),
    _bug(
        "count from when a thread was free",
        "bot/receipt.py",
        "            _received.set(received)",
        "            _received.set(time.monotonic())",
        "tests/test_receipt.py::test_the_wait_for_a_thread_counts",
    ),
    # What can be exhausted from outside
    _bug(
        "let silent connections take all files",
        "bot/http_server.py",
        "while len(connections) >= MAX_CONNECTIONS:",
        "while len(connections) >= 100_000:",
        "tests/cli/test_cli_run.py::"
        "test_silent_connections_to_the_http_port_keep_no_removal_and_no_probe_waiting",
    ),
    _bug(
        "wait for a request for ever",
        "bot/http_server.py",
        "self._deadline = self.loop.call_later(self._patience, transport.abort)",
        "self._deadline = None",
        "tests/test_http_server.py::test_a_request_that_comes_byte_by_byte_is_not_waited_for",
    ),
    _bug(
        "close connections that are being answered",
        "bot/http_server.py",
        "if isinstance(one, _Connection) and one.idle]",
        "if isinstance(one, _Connection)]",
        "tests/test_http_server.py::test_one_that_is_being_answered_is_not_closed_for_others",
    ),
    _bug(
        "let one connection ask for ever",
        "bot/http_server.py",
        'headers=[("connection", "close")]',
        "headers=[]",
        "tests/test_http_server.py::"
        "test_who_sends_many_requests_at_once_is_answered_once_and_makes_room",
    ),
    _bug(
        "say for each try that no file is left",
        "bot/http_server.py",
        "self._no_files.warn(cause=error.strerror)",
        'log.warning("no connection can be accepted", cause=error.strerror)',
        "tests/test_http_server.py::"
        "test_where_no_file_is_left_the_log_says_so_once_and_it_goes_on_afterwards",
    ),
    _bug(
        "let probes take every thread",
        "bot/http.py",
        "_LOOKS_AT_ONCE = 2",
        "_LOOKS_AT_ONCE = 40",
        "tests/test_http_server.py::test_probes_take_few_threads_and_few_connections_of_the_store",
    ),
    _bug(
        "log each refused payload",
        "bot/http.py",
        "    _refusals.warn()",
        '    log.warning("a payload whose signature does not fit")',
        "tests/test_http.py::test_what_strangers_send_fills_no_log",
    ),
    # Answers that are none, and work that fails
    _bug(
        "take half an answer of Slack for a fault of the bot",
        "bot/reconcile/slack_errors.py",
        "(SlackClientError, OSError, HTTPException, UnicodeDecodeError)",
        "(SlackClientError, OSError)",
        "tests/slack/test_odd_answers.py::test_an_answer_that_slack_did_not_take_is_put_off",
    ),
    _bug(
        "take an answer of AWS that nobody can read for a fault of the bot",
        "bot/aws/errors.py",
        "(BotoCoreError, ResponseParserError, UnicodeDecodeError, KeyError)",
        "(BotoCoreError,)",
        "tests/aws/test_odd_answers.py",
    ),
    _bug(
        "let items that fail fill the batch for ever",
        "bot/jobs.py",
        "self.due(beside) if self._batched else self.due()",
        "self.due(0) if self._batched else self.due()",
        "tests/test_jobs.py::"
        "test_a_batch_of_items_that_fail_for_ever_keeps_nothing_from_being_done",
    ),
    _bug(
        "let returns that nobody can read stand before the others",
        "bot/slack/inbox.py",
        "_BATCH + beside, kinds",
        "_BATCH, kinds",
        "tests/reconcile/test_poisoned.py",
    ),
    _bug(
        "try what failed again at once",
        "bot/jobs.py",
        "if failed and failed.again_at <= now",
        "if failed",
        "tests/test_jobs.py::test_pauses_between_tries_grow_to_a_minute_and_go_on_for_ever",
    ),
    _bug(
        "lose work that ends with what is no Exception",
        "bot/jobs.py",
        "        except BaseException as error:  # noqa: BLE001",
        "        except Exception as error:  # noqa: BLE001",
        "tests/test_jobs.py::test_work_that_fails_is_put_off_whatever_it_raises",
    ),
    _bug(
        "let what failed go before what is new",
        "bot/jobs.py",
        "if self._new and not (may_try and self._was_new):",
        "if self._new and not may_try:",
        "tests/test_jobs.py::test_what_is_new_is_not_behind_all_that_is_tried_again",
    ),
    _bug(
        "let what is new keep what failed from being tried",
        "bot/jobs.py",
        "if self._new and not (may_try and self._was_new):",
        "if self._new:",
        "tests/test_jobs.py::test_what_is_tried_again_is_not_behind_all_that_is_new",
    ),
    _bug(
        "let items that hang stop a loop",
        "bot/jobs.py",
        "self._workers + min(self._count_slow(now), self._workers)",
        "self._workers + 0 * self._count_slow(now)",
        "tests/test_jobs.py::test_items_that_hang_keep_no_other_from_being_done",
    ),
    _bug(
        "sleep through the hour by which a clock was set back",
        "bot/jobs.py",
        "if abs(job.next_run_time - now) > job.trigger.interval:",
        "if now - job.next_run_time > job.trigger.interval:",
        "tests/test_jobs.py::test_loops_go_on_though_the_clock_is_set",
    ),
    _bug(
        "call a loop well by what it did before the clock was set back",
        "bot/loop_health.py",
        "if since is not None and abs(now - since) >= STALE:",
        "if since is not None and now - since >= STALE:",
        "tests/test_jobs.py::test_a_clock_that_was_set_back_makes_no_loop_well",
    ),
    _bug(
        "take a dead connection for one that answers, while the clock is set back",
        CONNECTION,
        "self._now() - proven <= SILENT_AFTER_SECONDS",
        "self._clock().timestamp() - proven <= SILENT_AFTER_SECONDS",
        "tests/slack/test_connection.py::"
        "test_a_clock_that_was_set_back_makes_no_dead_connection_alive",
    ),
    _bug(
        "put a start off by a clock that was ahead",
        "bot/slack/starts.py",
        "        return again_at <= now or again_at > now + LONGEST_PAUSE",
        "        return again_at <= now",
        "tests/access/test_start.py",
    ),
    _bug(
        "have all jobs share ten threads",
        "bot/jobs.py",
        "            executor=name,\n",
        "",
        "tests/test_jobs.py::test_jobs_that_hang_hold_no_other_up_however_many_they_are",
    ),
    _bug(
        "tell a job that fails each time",
        "bot/jobs.py",
        "        return worth_telling(self._failures)\n",
        "        return True\n",
        "tests/test_jobs.py::test_other_work_that_fails_is_repeated_and_told_ever_more_seldom",
    ),
    _bug(
        "read a cluster again at full speed after a fault nobody foresaw",
        "bot/reconcile/drift_scan.py",
        "                self._put_off(cluster, fault, attempts)\n",
        "",
        "tests/reconcile/test_drift_scan.py::"
        "test_a_fault_nobody_foresaw_is_put_off_as_known_ones_are",
    ),
    _bug(
        "go through the looked-at tickets while others add to them",
        "bot/access/tickets.py",
        "        with self._lock:\n            self._looked[grant_id] = now\n",
        "        self._looked[grant_id] = now\n",
        "tests/access/test_tickets.py::test_a_grant_may_be_looked_at_while_the_loop_looks_for_more",
    ),
    _bug(
        "send again what Slack took and the store did not",
        "bot/reconcile/messages.py",
        "        self._store(request_id)\n        with self._database.reading() as tx:\n",
        "        self._unstored.pop(request_id, None)\n"
        "        with self._database.reading() as tx:\n",
        "tests/reconcile/test_messages_faults.py",
    ),
    _bug(
        "announce again what Slack took and the store did not",
        "bot/reconcile/announcements.py",
        "            if _said(announcement) in self._unstored:\n",
        "            if not announcement.key:\n",
        "tests/reconcile/test_announcements.py",
    ),
    _bug(
        "let one announcement stop its channel",
        "bot/reconcile/announcements.py",
        "not self._try(announcement)",
        "not self._post(announcement)",
        "tests/reconcile/test_announcements.py",
    ),
    _bug(
        "forget where a card is",
        "bot/reconcile/messages.py",
        "        self._put(request.id, replace(known, digest=wanted.digest))\n        return True",
        "        return True",
        "tests/reconcile/test_messages_shown.py",
    ),
    _bug(
        "forget a card while no policy names its channel",
        "bot/slack/projection.py",
        "[audit_channel] if audit_channel is not None else carded)",
        "[audit_channel] if audit_channel is not None else [])",
        "tests/reconcile/test_messages_shown.py",
    ),
    _bug(
        "leave an alarm to a channel that others read",
        "bot/reconcile/unheard.py",
        "ALARMS, REFUSED | UNFIT, since",
        "ALARMS, REFUSED, since",
        "tests/reconcile/test_late_removals.py::"
        "test_an_alarm_for_a_channel_that_others_read_goes_to_people",
    ),
    _bug(
        "tell people nothing while the bot may not look at channels",
        "bot/slack/channels.py",
        "        if not is_channel(channel_id):\n            return None\n",
        "",
        "tests/reconcile/test_late_removals.py",
    ),
    _bug(
        "repair by what an earlier process saw",
        "bot/reconcile/drift_watch.py",
        "looked_at is not None and self._started_at <= looked_at <= now",
        "looked_at is not None",
        "tests/reconcile/test_drift_by_hand.py",
    ),
    _bug(
        "wait for a mute STS as long as botocore does",
        "bot/aws/clients.py",
        "            core.set_default_client_config(_CONFIG)\n",
        "",
        "tests/aws/test_clients.py::"
        "test_sts_that_is_mute_holds_the_calls_of_a_role_for_seconds_alone",
    ),
    _bug(
        "leave what two workers looked at to nobody",
        "bot/store/due.py",
        "asked = func.coalesce(due_at, literal(AT_ONCE, due_at.type))",
        "asked = func.coalesce(due_at, literal(None, due_at.type))",
        "tests/store/test_never_due.py",
    ),
    _bug(
        "look through all of history for what is never due",
        "migrations/versions/0014_index_what_is_never_due.py",
        "[column], sqlite_where=where, postgresql_where=where)",
        "[column])",
        "tests/store/test_never_due.py::test_to_look_costs_no_more_with_a_long_history",
    ),
    _bug(
        "look through all ended grants for those that are live",
        "bot/store/never_due.py",
        "WHERE state IN ({_STATES})",
        "WHERE state <> 'ENDED'",
        "tests/store/test_never_due.py::test_to_look_costs_no_more_with_a_long_history",
    ),
    _bug(
        "tell of a loop by another clock than that of its jobs",
        "bot/jobs.py",
        "            loop.clock, loop.wake = clock, self._loop_waker(loop)\n",
        "            loop.wake = self._loop_waker(loop)\n",
        "tests/test_jobs.py::test_loops_go_on_though_the_clock_is_set",
    ),
    _bug(
        "ask AWS again before it wants to be asked",
        "bot/aws/errors.py",
        "    problem.after = retry_after_of_aws(headers)\n",
        "    del headers\n",
        "tests/reconcile/test_access_faults.py::"
        "test_aws_is_left_alone_for_as_long_as_it_asks_and_a_minute_at_most",
    ),
    _bug(
        "leave access where it is for a day at AWS's word",
        "bot/reconcile/backoff.py",
        "    return min(_LIMIT, max(_FIRST * (1 << doublings), asked or timedelta()))\n",
        "    return max(min(_LIMIT, _FIRST * (1 << doublings)), asked or timedelta())\n",
        "tests/reconcile/test_access_faults.py::"
        "test_aws_is_left_alone_for_as_long_as_it_asks_and_a_minute_at_most",
    ),
    _bug(
        "make no backstop later though AWS asks for it",
        "bot/reconcile/backstop.py",
        "pause(attempts, problem.after if problem is not None else None)",
        "pause(attempts)",
        "tests/reconcile/test_backstop.py::test_the_scheduler_is_left_alone_for_as_long_as_it_asks",
    ),
    _bug(
        "say that the store is not ready and not why",
        "bot/store/watch.py",
        "Answers(reads=True, writes=False, problem=reason(error))",
        "Answers(reads=True, writes=False, problem=str(error))",
        "tests/store/test_watch.py::test_a_store_that_reads_and_takes_no_writes_is_told_as_such",
    ),
    _bug(
        "say that a loop fails and not why",
        "bot/loop_health.py",
        "                self._why = reason(error)\n",
        "                self._why = str(error)\n",
        "tests/test_jobs.py::test_a_loop_that_is_not_well_says_why",
    ),
    _bug(
        "try a write for everybody who asks whether the bot is ready",
        "bot/store/watch.py",
        "            if early > 0:\n",
        "            if early > BETWEEN_SECONDS:\n",
        "tests/store/test_watch.py::test_however_many_ask_a_write_is_tried_twice_a_second",
    ),
    _bug(
        "answer by what the store did before the question",
        "bot/store/watch.py",
        "        with self._lock:\n"
        "            # Whoever asks from here on may want to know of something that this one does "
        "not see.\n"
        "            self._next = None\n"
        "        self._begun_at = self._monotonic()\n"
        "        return self._ask()\n",
        "        answers = self._ask()\n"
        "        self._begun_at = self._monotonic()\n"
        "        return answers\n",
        "tests/store/test_watch.py::test_nobody_is_answered_by_a_try_from_before_the_question",
    ),
    _bug(
        "give by what a store knew before it went back",
        ACCESS,
        "            elif not self._memory.is_same(tx, epoch):\n                raise WentBack\n",
        "",
        "tests/reconcile/test_store_went_back.py",
    ),
    _bug(
        "repair what a store that went back says",
        "bot/reconcile/drift_watch.py",
        "return self._seen.get(entry.id) == self._memory.epoch or (",
        "return entry.id in self._seen or (",
        "tests/reconcile/test_store_went_back.py::test_what_was_revoked_is_not_given_anew",
    ),
    _bug(
        "give what was approved before the store went back",
        "bot/reconcile/memory.py",
        "        for grant in ended:\n",
        "        for grant in ():\n",
        "tests/reconcile/test_store_went_back.py::test_what_was_approved_and_not_given_yet_ends",
    ),
    _bug(
        "carry out twice what a store that went back has forgotten",
        "bot/reconcile/memory.py",
        "            inbox.refuse_new(tx, _ANSWER, now)\n",
        "            pass\n",
        "tests/reconcile/test_store_went_back.py",
    ),
    _bug(
        "end a lockdown again out of a store that went back",
        "bot/store/inbox.py",
        "& (inbox.c.subject == _LOCKDOWN_OFF)",
        "& (inbox.c.subject == None)",
        "tests/reconcile/test_store_went_back.py::"
        "test_what_people_sent_is_not_carried_out_twice_and_what_takes_away_is",
    ),
    _bug(
        "end a lockdown however late",
        "bot/slack/inbox.py",
        "if late and not inbox.takes_away(item.kind, item.document):",
        "if late and item.kind not in inbox.NEVER_LIMITED:",
        "tests/e2e/test_lockdown.py::test_its_end_is_not_carried_out_late",
    ),
    _bug(
        "write what people typed into the log with an error",
        "bot/store/database.py",
        "hide_parameters=True,  # what",
        "hide_parameters=False,  # what",
        "tests/store/test_database.py::test_what_people_typed_is_in_no_error_of_the_database",
    ),
    _bug(
        "refuse as before whoever came into a group",
        "bot/slack/listeners.py",
        "        self._refusals.forget()\n",
        "        pass\n",
        "tests/e2e/test_order_of_ending.py::test_who_came_into_a_group_is_not_refused_as_before",
    ),
    _bug(
        "take somebody of another workspace of the Grid for a stranger",
        "bot/core/model.py",
        "team_id in {self.team_id, *self.teams}",
        "team_id == self.team_id",
        "tests/e2e/test_grid.py",
    ),
    _bug(
        "take anybody of a Grid for one of ours",
        "bot/core/model.py",
        "team_id in {self.team_id, *self.teams}",
        "(team_id == self.team_id or bool(self.teams))",
        "tests/e2e/test_grid.py::"
        "test_somebody_of_the_organisation_who_is_not_in_this_workspace_is_refused",
    ),
    _bug(
        "take whoever was met over Slack Connect for one of ours",
        "bot/core/model.py",
        "return not self.is_stranger and",
        "return",
        "tests/e2e/test_grid.py",
    ),
    _bug(
        "believe a payload of a workspace that the person is not in",
        "bot/slack/fact_finder.py",
        "        if not (person.is_in(str(team_id)) and person.is_in(str(item.team_id))):\n",
        "        if not person.is_in(str(team_id)):\n",
        "tests/e2e/test_grid.py::"
        "test_a_payload_of_a_workspace_that_the_person_is_not_in_is_refused",
    ),
    _bug(
        "let a user group that is gone block whoever is named beside it",
        "bot/slack/people.py",
        "            if why is None:\n                raise\n",
        "            raise\n",
        "tests/e2e/test_gone_groups.py",
    ),
    _bug(
        "let a channel that is archived block whoever is named beside it",
        "bot/slack/channels.py",
        'return Gone("is archived")',
        'raise _no_owners(channel_id, "is archived")',
        "tests/slack/test_channels.py",
    ),
    _bug(
        "give automatically behind a rule whose requesters are gone",
        "bot/core/rule_choice.py",
        " or _needs_review(rule, passed)",
        "",
        "tests/access/test_gone_groups.py::"
        "test_a_rule_behind_one_whose_requesters_are_gone_gives_nothing_without_a_review",
    ),
    _bug(
        "count a group that is gone as nobody's without a word",
        "bot/core/review.py",
        'gone_words(one.everybody, membership, f"rule {one.key}")',
        "one.part[:0]",
        "tests/access/test_gone_groups.py",
    ),
    _bug(
        "tell again and again that a group is gone",
        "bot/slack/gone_groups.py",
        "                if announcements.group_is_gone(tx, group) is (why is None):\n",
        "                if why is not None:\n",
        "tests/slack/test_gone_groups.py",
    ),
    _bug(
        "count the members of a group that is disabled",
        "bot/slack/people.py",
        "urgent=urgent, usergroup=group_id)",
        "urgent=urgent, usergroup=group_id, include_disabled=True)",
    ),
    _bug(
        "ask Slack anew for each approval of whoever was just refused one",
        "bot/slack/inbox.py",
        "                raise refused_again(error) from error\n",
        "                return\n",
        "tests/e2e/test_lookups.py::test_who_was_just_refused_uses_up_no_look_up_that_others_need",
    ),
    _bug(
        "let what is kept approve for whoever was just refused",
        "bot/store/database.py",
        "            yield tx\n            raise _TakenBackError\n",
        "            yield tx\n",
        "tests/e2e/test_lookups.py::test_what_is_kept_lets_nobody_approve_who_was_just_refused",
    ),
    _bug(
        "ask Slack anew for each revoke of whoever was just refused one",
        "bot/slack/fact_finder.py",
        "again = item.kind is Kind.REVOKE and self._refused(item.actor, REVOKING)",
        "again = False",
        "tests/e2e/test_order_of_ending.py::"
        "test_who_was_just_refused_uses_up_no_more_of_what_slack_may_be_asked",
    ),
    _bug(
        "let a memory that fails stop every removal",
        "bot/reconcile/access.py",
        "            self._remember()\n",
        "            self._memory.look()\n",
        "tests/reconcile/test_store_went_back.py::"
        "test_where_the_memory_fails_access_is_taken_away_and_none_is_given",
    ),
    _bug(
        "take for an anchor what no database can hold",
        "bot/aws/anchor_bucket.py",
        "/([0-9]{12,18})-",
        "/([0-9]+)-",
        "tests/aws/test_anchor_bucket.py::test_only_anchors_of_the_deployment_are_read",
    ),
    _bug(
        "leave the lock of a session that is given up",
        "bot/store/database.py",
        "        _give_way(context.connection)\n",
        "        pass\n",
        "tests/store/test_database.py::"
        "test_a_session_that_is_given_up_keeps_no_lock_though_its_error_is_kept",
    ),
    _bug(
        "remember nothing as a round begins",
        ACCESS,
        "            self._memory.note(tx)\n            access_grants.pass_time(",
        "            access_grants.pass_time(",
        "tests/reconcile/test_store_went_back.py::"
        "test_a_return_is_remembered_though_eks_did_not_answer",
    ),
    _bug(
        "remember what a round writes before it is committed",
        ACCESS,
        "            self._memory.note(tx)\n"
        "            access_grants.pass_time(tx, entry_id, now)\n",
        "            access_grants.pass_time(tx, entry_id, now)\n"
        "            self._memory.note(tx)\n",
        "tests/reconcile/test_store_went_back.py::test_what_is_rolled_back_was_never_there",
    ),
    _bug(
        "remember no end of what was not given yet",
        ACCESS,
        "            self._memory.note(tx)  # what ends here may have been revoked since the round "
        "began\n",
        "",
        "tests/reconcile/test_store_went_back.py::"
        "test_what_was_revoked_while_a_round_was_under_way_is_not_given_either",
    ),
    _bug(
        "forget what a store has lost for what is newer",
        "bot/reconcile/memory.py",
        "        if newest.holds(tx, Newest(event=self._known.event), self._noted):\n",
        "        if tx is not None:\n",
        "tests/reconcile/test_store_went_back.py::"
        "test_what_a_store_has_lost_is_not_forgotten_for_what_is_newer",
    ),
    _bug(
        "remember nothing of what a card shows",
        "bot/reconcile/messages.py",
        "            self._note(tx)\n",
        "",
        "tests/reconcile/test_store_went_back.py::test_what_a_card_shows_is_remembered",
    ),
    _bug(
        "let the message loop know no memory",
        "bot/wiring.py",
        "            note=self._memory.note,\n",
        "",
        "tests/simulation/test_simulation.py::"
        "test_a_card_that_showed_what_the_store_has_lost_is_set_right",
    ),
    _bug(
        "forget only what this replica itself finds lost",
        "bot/reconcile/memory.py",
        "            elif told:\n",
        "            elif told and not well:\n",
        "tests/reconcile/test_store_went_back.py",
    ),
    _bug(
        "know a store by the number of its last event alone",
        "bot/store/newest.py",
        '        audit_events.c.at == bindparam("at", type_=UtcDateTime()),\n'
        '        audit_events.c.action == bindparam("action"),\n'
        '        func.coalesce(audit_events.c.request_id, "") == bindparam("request"),\n',
        "",
        "tests/reconcile/test_store_went_back.py",
    ),
    _bug(
        "ask no anchor as the bot starts",
        "bot/reconcile/memory.py",
        "self._known = Newest(anchored)  # first: where what follows fails, nothing is given",
        "pass",
        "tests/reconcile/test_store_went_back.py",
    ),
    _bug(
        "have nobody look at what the sweep finds",
        "bot/reconcile/sweep.py",
        "            never_due.make_due(tx, now)\n",
        "",
        "tests/reconcile/test_sweep.py",
    ),
    _bug(
        "look at an entry again only once it fails",
        TROUBLES,
        "times = [due for grant in live if (due := lifecycle.due_at(grant)) is not None]",
        "times = [now for grant in live if lifecycle.due_at(grant) is None and not unsettled]",
    ),
    _bug(
        "show a state that is not read back",
        "bot/slack/cards.py",
        '            lines = [f"*GRANTING…*',
        '            lines = [f"*ACTIVE…*',
        "tests/slack/test_cards.py",
    ),
)


MUTATIONS = (*BUGS, *THREATS)


def misfits() -> list[str]:
    """What in this list no longer fits the source."""
    return [line for mutation in MUTATIONS for line in misfit(mutation)]
