"""The defences of docs/security.md taken out, each caught by the tests that are named there.

Where two defences stand behind each other, both are taken out: what is left would still refuse.

**To add a row to the table**, or a test to a row, add `threat(NUMBER, "what the bug does", "the
test, below tests/", Change(file, old, new))` here, or for payloads, AWS and the bot itself in
`threat_mutations_world`. Each test that a row names needs a bug that makes it fail; one bug may
serve several, by `also=`. A bug in `mutations` that names the test by its whole address serves as
well. `python -m tests.simulation.mutants --threat NUMBER` shows whether they do, and a quick test
refuses a row or a test without its bug.
"""

from __future__ import annotations

from tests.simulation.mutation import Change, Mutation, threat
from tests.simulation.threat_mutations_world import WORLD

REVIEW, APPROVALS = "bot/core/review.py", "bot/core/approvals.py"
ACCESS, PEOPLE = "bot/access/review.py", "bot/core/people.py"
SEATING = "bot/core/seating.py"
GLASS, POST_REVIEW = "bot/core/break_glass.py", "bot/core/post_review.py"
HTTP, EXTEND = "bot/http.py", "bot/access/extend.py"
LIFECYCLE, LIMITS = "bot/core/lifecycle.py", "bot/access/limits.py"

_NOBODY_EXCLUDED = Change(APPROVALS, "    if user in excluded:\n        return frozenset()\n", "")
_NO_PRINCIPAL_COMPARED = Change(
    REVIEW,
    "    if _same_principal(policy, request, clicker.id, clicker_principal_arn):",
    "    if not clicker.id:",
)
_LAST_GOOD_FORGOTTEN = Change(
    "bot/policy_file.py",
    "        self._findings = problem.findings\n",
    "        self._findings = problem.findings\n        self._loaded = None\n",
)
_DECIDED_AGAIN = Change(
    LIFECYCLE,
    'can still be decided at `now`."""\n    if request.state is not RequestState.PENDING:',
    'can still be decided at `now`."""\n    if not request.id:',
)


PEOPLE_AND_POLICY: tuple[Mutation, ...] = (
    # The requester approves
    threat(
        1,
        "let the requester review their own",
        "access/test_review.py::test_the_requester_reviews_nothing_of_their_own_not_even_as_an_owner",
        Change(REVIEW, "    if clicker.id == request.requester:", "    if not clicker.id:"),
        _NO_PRINCIPAL_COMPARED,
        _NOBODY_EXCLUDED,
    ),
    threat(
        1,
        "let a second account on the principal review",
        "access/test_review.py::"
        "test_a_second_account_that_the_template_puts_on_the_same_principal_reviews_nothing",
        _NO_PRINCIPAL_COMPARED,
        _NOBODY_EXCLUDED,
    ),
    threat(
        1,
        "compare only the principals that an address proves",
        "access/test_second_account.py::"
        "test_whoever_may_be_the_requester_by_their_address_does_not_review",
        Change(
            "bot/core/principals.py",
            'name = person.email.rpartition("@")[0].partition("+")[0].lower()',
            'name = person.email.rpartition("@")[0]',
        ),
    ),
    threat(
        1,
        "let a deputy of the requester's second account review",
        "access/test_second_account.py::"
        "test_a_second_account_that_owns_the_rule_has_no_deputy_for_the_first",
        Change(
            "bot/access/delegate.py",
            "one for one in found if _may_review(facts, request, one.owner))",
            "one for one in found if facts.person(one.owner))",
        ),
    ),
    threat(
        1,
        "count an owner's two accounts as two words",
        "access/test_second_account.py::"
        "test_an_owners_two_accounts_are_one_word_also_by_a_deputy_of_one",
        Change(
            ACCESS,
            "next((holder[key] for key in sorted(own & holder.keys())), owner)",
            "owner",
        ),
    ),
    # A click by somebody who may not
    threat(
        2,
        "let anybody review who is asked",
        "access/test_review.py::test_somebody_who_was_an_owner_until_a_minute_ago_reviews_nothing",
        Change(
            PEOPLE,
            "    if surely_belongs(user, people, membership):\n        return True\n    _ensure",
            "    if people.users or people.groups:\n        return True\n    _ensure",
        ),
    ),
    threat(
        2,
        "let guests, bots and the deactivated review",
        "access/test_review.py::test_an_owner_who_is_no_full_member_reviews_nothing",
        Change(
            REVIEW,
            "    if outsider is not None:\n        return outsider\n    if clicker.id =="
            " request.requester:",
            "    if clicker.id == request.requester:",
        ),
    ),
    threat(
        2,
        "believe the team that the payload names",
        "e2e/test_approval.py::"
        "test_an_outsider_over_slack_connect_cannot_approve_though_the_payload_names_our_team",
        Change(
            "bot/slack/listeners.py",
            '                team_id=user.get("team_id"),',
            '                team_id=(body.get("team") or {}).get("id"),',
        ),
        Change(PEOPLE, "    if not person.is_in(team_id):", "    if not team_id:"),
    ),
    threat(
        2,
        "keep whom an event says has left",
        "e2e/test_lookups.py::test_somebody_taken_out_of_a_group_asks_for_nothing_more_by_it",
        Change("bot/slack/people.py", "self._groups.forget(group_id)", "self._people.forget('')"),
    ),
    # Clicks that race, or come too late
    threat(
        3,
        "decide what another decides at the same moment",
        "access/test_races.py::test_of_approve_and_deny_at_once_one_holds",
        _DECIDED_AGAIN,
        Change(
            "bot/store/requests.py",
            ".where(requests.c.id == request.id, requests.c.state == RequestState.PENDING.value)\n"
            "        .values(\n            _decided_columns",
            ".where(requests.c.id == request.id)\n        .values(\n            _decided_columns",
        ),
        also=("access/test_races.py::test_two_owners_who_approve_at_once_make_one_grant",),
    ),
    threat(
        3,
        "take a click on an old copy for a new one",
        "e2e/test_approval.py::"
        "test_a_click_on_an_old_copy_after_the_end_changes_nothing_and_is_answered",
        _DECIDED_AGAIN,
    ),
    # What changes between the request and the approval
    threat(
        4,
        "approve what the level meant when it was asked for",
        "access/test_policy_changes.py::test_a_click_after_the_change_grants_nothing",
        Change(
            REVIEW,
            "    if again.access != request.access or moved(policy, request.cluster):",
            "    if moved(policy, request.cluster):",
        ),
        Change(ACCESS, "    if decision.access != request.access:", "    if not decision.access:"),
    ),
    threat(
        4,
        "count an approval for good, owner or not",
        "access/test_review.py::"
        "test_an_approval_by_somebody_who_is_no_owner_any_more_counts_no_more",
        Change(
            ACCESS,
            "        one.reviewer: _seats(facts, request, one.reviewer, decision, one.at)\n",
            "        one.reviewer: {key: frozenset({one.reviewer}) for key in one.rules}\n",
        ),
    ),
    # Extensions
    threat(
        5,
        "count an extension by itself",
        "e2e/test_extension.py::test_an_extension_cannot_add_up_past_the_rules_maximum",
        Change(
            "bot/core/model.py",
            "            duration=self.already + self.duration,",
            "            duration=self.duration,",
        ),
    ),
    threat(
        5,
        "let anybody extend",
        "e2e/test_extension.py::test_nobody_extends_for_somebody_else",
        Change(
            LIFECYCLE,
            'may ask to prolong the grant at `now`."""\n    if by != grant.requester:',
            'may ask to prolong the grant at `now`."""\n    if not by:',
        ),
    ),
    threat(
        5,
        "miss an extension that is being given while its access is revoked",
        "access/test_races.py::test_an_end_that_races_an_extension_ends_that_too",
        Change(
            "bot/access/end.py",
            "        requests.lock(tx, new)\n        held |= new\n",
            "        requests.lock(tx, new)\n        return line\n",
        ),
    ),
    threat(
        5,
        "extend on a cluster that has moved",
        "access/test_policy_changes.py::"
        "test_no_automatic_extension_is_given_on_a_cluster_that_has_moved",
        Change(EXTEND, "    if moved(facts.policy, request.cluster):", "    if not request.id:"),
    ),
    threat(
        5,
        "revoke one part of an access alone",
        "access/test_revoking.py::"
        "test_a_longer_one_that_eks_has_not_confirmed_is_not_taken_away_alone",
        Change(
            "bot/access/end.py",
            "chosen = _held_line(tx, grant_id) or (grants.get(tx, grant_id),)",
            "chosen = (grants.get(tx, grant_id),)",
        ),
    ),
    # Break-glass
    threat(
        6,
        "let anybody break glass",
        "access/test_break_glass.py::test_somebody_who_is_not_among_the_responders_is_refused",
        Change(GLASS, "    return False, tuple(silent)", "    return True, tuple(silent)"),
    ),
    threat(
        6,
        "forget that a review is overdue",
        "access/test_break_glass.py::"
        "test_while_a_review_is_overdue_the_next_one_waits_for_an_owner_of_it",
        Change(
            GLASS,
            "    waits = _waits_because(overdue, revoked, live, admitted)",
            "    waits = _waits_because((), revoked, live, admitted)",
        ),
    ),
    threat(
        6,
        "break glass without a reason",
        "access/test_break_glass.py::test_what_may_not_be_asked_for_is_refused_and_stores_nothing",
        Change(GLASS, "        *reason_problems(ask),\n", ""),
    ),
    threat(
        6,
        "let whoever broke glass review it",
        "access/test_post_review.py::"
        "test_whoever_broke_glass_does_not_review_it_not_even_as_an_owner",
        Change(POST_REVIEW, "    if clicker.id == request.requester:", "    if not clicker.id:"),
        Change(
            POST_REVIEW,
            "    if same or clicker.id in people_on(",
            "    if not clicker.id and people_on(",
        ),
    ),
    threat(
        6,
        "let a second account review a break-glass",
        "access/test_post_review.py::"
        "test_a_second_account_on_the_same_principal_does_not_review_it",
        Change(
            POST_REVIEW, "    if same or clicker.id in people_on", "    if clicker.id in people_on"
        ),
    ),
    threat(
        6,
        "take any level of the schedule for on call",
        "oncall/test_pagerduty.py::"
        "test_the_first_level_of_a_named_schedule_is_on_call_and_the_second_is_not",
        Change(
            "bot/oncall.py",
            "if by_schedule and entry.escalation_level == _FIRST_LEVEL:",
            "if by_schedule:",
        ),
    ),
    threat(
        6,
        "break glass however often it is broken already",
        "access/test_break_glass.py::"
        "test_who_has_as_many_as_may_be_waits_for_an_owner_with_the_next",
        Change(GLASS, "len(live) >= entry.max_live:", "len(live) >= 1000 * entry.max_live:"),
    ),
    # Floods
    threat(
        7,
        "take as many clicks as come",
        "e2e/test_defences.py::test_a_flood_of_one_person_is_stopped_and_giving_back_is_not",
        Change(LIMITS, ">= MOST_A_MINUTE:", ">= 1000 * MOST_A_MINUTE:"),
    ),
    threat(
        7,
        "let as many requests wait as come",
        "access/test_second_account.py::test_ten_requests_of_one_person_may_wait_and_no_more",
        Change(LIMITS, ">= MOST_PENDING:", ">= 1000 * MOST_PENDING:"),
    ),
    threat(
        7,
        "pass on as many questions as come",
        "access/test_question.py::test_there_is_an_end_to_questions",
        Change("bot/access/question.py", "audit.ASKED)) >= MOST:", "audit.ASKED)) >= 1000 * MOST:"),
    ),
    threat(
        7,
        "let as many extensions wait as come",
        "access/test_second_account.py::test_an_extension_that_waits_counts_like_any_other_request",
        Change(
            EXTEND,
            "        ensure_not_too_many_pending(tx, request.requester)\n",
            "        assert request.requester\n",
        ),
    ),
    threat(
        7,
        "ask Slack for each who asks, and leave nothing for what must not wait",
        "e2e/test_lookups.py::test_one_person_who_asks_often_keeps_nobody_from_locking_down",
        Change(
            "bot/slack/call_budget.py",
            "most = allowance.a_minute if reserved else allowance.a_minute - allowance.reserved",
            "most = allowance.a_minute",
        ),
        Change(
            "bot/slack/shared_answers.py",
            "if cached is not None and cached.began >= since:",
            "if cached is not None and cached.began > self._now():",
        ),
        also=(
            "slack/test_lookups.py::"
            "test_ordinary_questions_leave_the_reserve_to_what_must_not_wait",
        ),
    ),
    threat(
        8,
        "believe an address that nobody has confirmed",
        "core/test_policy_principals.py::test_an_address_that_proves_nothing_gives_no_principal",
        Change(
            "bot/core/principals.py",
            "    if not person.email_confirmed:\n        raise",
            "    if not email:\n        raise",
        ),
        also=("access/test_submit.py::test_an_email_address_that_proves_nothing_is_nobody",),
    ),
    # What strangers post
    threat(
        9,
        "parse what is not signed",
        "test_http.py::test_what_has_not_slacks_signature_is_not_even_parsed",
        Change(
            HTTP,
            "        if not slack.verifier.is_valid(body, timestamp, signature):\n"
            "            return _refused()\n",
            "",
        ),
    ),
    threat(
        9,
        "read what cannot be signed",
        "test_http.py::test_what_cannot_have_slacks_signature_is_not_even_read",
        Change(HTTP, "        if not _may_be_signed(request, ", "        if not max(1, "),
        also=("test_http.py::test_a_time_that_is_none_or_long_ago_is_refused",),
    ),
    threat(
        24,
        "work on a payload on the event loop",
        "test_http.py::test_a_payload_under_way_holds_up_no_probe",
        Change(HTTP, "return await run_in_threadpool(_answer, slack,", "return _answer(slack,"),
    ),
    # Changes by hand at EKS
    threat(
        15,
        "give back by an extension what others took away",
        "reconcile/test_drift_by_hand.py::"
        "test_an_extension_that_waits_does_not_bring_back_what_others_took_away",
        Change(
            "bot/reconcile/drift_watch.py",
            "for grant in drift.whole(lost, grants.live_of_entry(tx, entry.id)):",
            "for grant in [one for one in live if one.id in lost]:",
        ),
    ),
    threat(
        15,
        "reach whatever account the credentials are of",
        "reconcile/test_access_faults.py::"
        "test_with_the_credentials_of_another_account_nothing_is_read_as_gone",
        Change(
            "bot/aws/clients.py",
            "    if account != cluster.account:\n        raise TemporaryAwsProblem(",
            "    if not account:\n        raise TemporaryAwsProblem(",
        ),
        also=("reconcile/test_cluster_gone.py::test_credentials_of_another_account_prove_nothing",),
    ),
    # A broken policy file
    threat(
        20,
        "forget the last good policy",
        "e2e/test_policy_alarm.py::"
        "test_people_read_that_the_policy_file_is_broken_and_that_it_is_good_again",
        _LAST_GOOD_FORGOTTEN,
    ),
    threat(
        20,
        "ask the policy before revoking",
        "e2e/test_outages.py::"
        "test_a_broken_policy_file_keeps_the_last_good_one_and_stops_no_revocation",
        _LAST_GOOD_FORGOTTEN,
        Change(
            "bot/wiring.py",
            "            work(entry_id)\n            self._backstop_loop.wake()\n",
            "            self._policy_in_force()\n"
            "            work(entry_id)\n            self._backstop_loop.wake()\n",
        ),
    ),
    threat(
        20,
        "have whoever revokes wait for a policy file that is being read",
        "test_policy_file.py::test_whoever_revokes_does_not_wait_for_a_file_that_is_being_read",
        Change("bot/policy_file.py", "_SOON_SECONDS = 1.0", "_SOON_SECONDS = None"),
    ),
    threat(
        20,
        "tell every finding of a policy file",
        "test_policy_file.py::test_of_many_findings_the_first_are_told_and_the_rest_is_counted",
        Change("bot/policy_findings.py", "len(found) > MOST_FINDINGS", "not found"),
        Change("bot/policy_findings.py", "[:MOST_FINDINGS]", "[:]"),
        Change("bot/policy_findings.py", "found[MOST_FINDINGS:]", "found[:0]"),
    ),
    threat(
        20,
        "record whatever an event says, however much it is",
        "store/test_audit_secrets.py::"
        "test_what_is_too_much_for_an_event_is_cut_and_holds_no_half_of_a_secret",
        Change("bot/store/audit.py", "bounded(masked(event.details))", "masked(event.details)"),
    ),
    threat(
        20,
        "let nobody revoke where there is no policy",
        "e2e/test_outages.py::"
        "test_an_owner_revokes_though_the_bot_has_had_no_good_policy_since_its_start",
        Change(
            "bot/slack/fact_finder.py",
            "        except PolicyUnavailable:\n            return None\n",
            "        except PolicyUnavailable:\n            raise\n",
        ),
    ),
    # A trail that was rewritten
    threat(
        21,
        "take a later anchor's word for an earlier one",
        "store/test_audit_tampered.py::"
        "test_what_was_rewritten_stays_evidence_once_the_bot_has_anchored_again",
        Change(
            "bot/core/audit_findings.py",
            "        for vouched, span in spans.items()\n",
            "        for vouched, span in spans.items()\n"
            "        if _next_fit(scan, anchors, span) is None\n",
        ),
    ),
    # Approvals from a seat that is not that person's
    threat(
        28,
        "let two deputies speak for one owner",
        "core/test_approvals.py::"
        "test_one_owner_with_two_deputies_is_one_word_also_where_an_escalation_comes_later",
        Change(SEATING, "(frozenset({person, seat}), at)", "(frozenset({person}), at)"),
    ),
    threat(
        28,
        "count an owner beside their own deputy",
        "core/test_approvals.py::test_an_owner_who_counts_as_a_deputy_has_no_deputy_beside_them",
        Change(SEATING, "(frozenset({person, seat}), at)", "(frozenset({seat}), at)"),
    ),
    threat(
        28,
        "count whoever came first, needed or not",
        "core/test_approvals.py::test_an_approval_that_is_not_needed_takes_nobodys_place",
        Change(
            SEATING,
            "        found.setdefault((taken & matter[room], room), way)\n",
            "        if not found:\n"
            "            found.setdefault((taken & matter[room], room), way)\n",
        ),
    ),
    threat(
        28,
        "forget a name that somebody wants later",
        "core/test_approvals.py::test_approvals_count_as_in_small_worlds_where_every_way_is_tried",
        Change(SEATING, "names | own | {person} if own", "own | {person} if own"),
    ),
    threat(
        28,
        "take everybody for what they are by the last click",
        "access/test_delegate.py::test_a_word_given_as_a_deputy_stands_after_the_delegation",
        Change(
            ACCESS,
            "        one.reviewer: _seats(facts, request, one.reviewer, decision, one.at)\n",
            "        one.reviewer: _seats(facts, request, one.reviewer, decision, facts.now)\n",
        ),
    ),
    # A command read as more than was meant
    threat(
        26,
        "take an option that is not known for the reason",
        "slack/test_misspelt_requests.py::test_no_misspelling_gives_more_than_the_right_spelling",
        Change(
            "bot/slack/options.py",
            "        return bool(DASHES.match(bare)) and not _ONLY_DASHES.match(bare)\n",
            "        return DASHES.sub('', bare).partition('=')[0] in {*_OPTIONS, *_SAME}\n",
        ),
    ),
    threat(
        26,
        "take no namespace for the whole cluster",
        "slack/test_misspelt_requests.py::"
        "test_no_namespace_is_no_place_and_the_whole_cluster_is_said",
        Change(
            "bot/core/decide.py",
            "    if not level.only_cluster and says_no_place(ask):",
            "    if level.only_cluster and says_no_place(ask):",
        ),
    ),
    threat(
        26,
        "take a tick for the whole of one cluster for that of another",
        "slack/test_request_form.py::"
        "test_a_tick_for_the_whole_cluster_holds_for_what_it_was_shown_with",
        Change(
            "bot/slack/inputs.py",
            "    return marked(WHOLE_CLUSTER, cluster, level) in values\n",
            "    return bool(values and cluster and level)\n",
        ),
    ),
    threat(
        26,
        "propose the level that comes first, whatever it gives",
        "core/test_policy_offers.py::test_what_is_proposed_gives_no_more_than_was_meant",
        Change(
            "bot/core/offers.py",
            "    known = policy.levels.get(asked)\n    if known is not None:",
            "    known = policy.levels.get(asked)\n    if not levels:",
        ),
    ),
    # What others on the machine or on the way could read
    threat(
        36,
        "leave the SQLite file open to everybody on the machine",
        "store/test_database.py::test_nobody_else_reads_a_sqlite_file_nor_those_beside_it",
        Change("bot/store/database.py", "os.O_CREAT, 0o600", "os.O_CREAT, 0o644"),
        Change(
            "bot/store/database.py", "            if mode & _OTHERS:", "            if not mode:"
        ),
    ),
    threat(
        36,
        "leave a SQLite file of before open to everybody",
        "store/test_database.py::"
        "test_a_sqlite_file_of_before_is_closed_to_others_and_gets_no_right_that_it_had_not",
        Change(
            "bot/store/database.py", "            if mode & _OTHERS:", "            if not mode:"
        ),
    ),
    threat(
        36,
        "send the tokens to whatever address is set",
        "test_settings.py::test_a_token_goes_to_no_address_on_which_it_could_be_read",
        Change(
            "bot/settings.py",
            '        _ensure_address(self.slack_api_url, "SLACK_API_URL")\n'
            "        return _secret(self.slack_app_token",
            "        return _secret(self.slack_app_token",
        ),
    ),
    threat(
        37,
        "answer any web site on the port of the local EKS",
        "sandbox/test_other_sites.py::test_a_foreign_host_and_another_sites_page_are_refused",
        Change("bot/sandbox/eks_server.py", "        if problem is not None:", "        if False:"),
    ),
    threat(
        37,
        "answer any web site on the paths of Slack's API",
        "sandbox/test_other_sites.py::test_a_foreign_host_and_another_sites_page_are_refused",
        Change(
            "bot/sandbox/slack_server.py",
            "Starlette(routes=routes, middleware=[Middleware(NoOtherSite)])",
            "Starlette(routes=routes)",
        ),
        also=("sandbox/test_other_sites.py::test_another_sites_page_opens_no_socket",),
    ),
    threat(
        37,
        "take every name for this machine's",
        "sandbox/test_other_sites.py::test_a_foreign_host_and_another_sites_page_are_refused",
        Change(
            "bot/sandbox/foreign.py",
            '    if not is_loopback(urlsplit(f"//{host}").hostname or ""):',
            '    if not host.startswith(("127.", "localhost", "[::1]")):',
        ),
    ),
    threat(
        38,
        "let a session of a person's role be called as its maker likes",
        "aws/test_person_role.py::test_nobody_else_is_let_in_and_nobody_under_another_name",
        Change(
            "deploy/person-role-trust.json",
            '            "EKSGetTokenAuth"\n',
            '            "EKSGetTokenAuth", "bob@example.com"\n',
        ),
    ),
    threat(
        27,
        "take the live access of a bot on another database away",
        "e2e/test_another_database.py::test_a_bot_on_an_empty_database_takes_nothing_from_another_"
        "until_an_operator_adopts",
        Change(
            "bot/core/planner.py",
            "return _is_of(observed, owner.deployment) and store_of(observed) in owner.stores",
            "return _is_of(observed, owner.deployment)",
        ),
    ),
    threat(
        39,
        "tell everybody who the administrators of a cluster are",
        "e2e/test_who.py::"
        "test_only_those_who_are_concerned_with_a_cluster_read_whose_entries_are_on_it",
        Change(
            "bot/slack/desk.py",
            "        principals = self._sees_principals(policy, cluster, person)\n",
            "        principals = self._sees_principals(policy, cluster, person) or True\n",
        ),
    ),
    threat(
        39,
        "take somebody without a principal for one who may ask",
        "core/test_rights.py::"
        "test_principals_are_shown_to_who_may_ask_or_owns_something_there_or_is_security",
        Change(
            "bot/core/rights.py",
            "    return bool(asks) and _has_principal(policy, person, cluster)\n",
            "    return bool(asks)\n",
        ),
    ),
)

THREATS = (*PEOPLE_AND_POLICY, *WORLD)
