"""Deliberate bugs for the table of docs/security.md: payloads, AWS, and the bot itself.

How a row is added stands in `threat_mutations`.
"""

from __future__ import annotations

from tests.simulation.mutation import Change, Mutation, threat

HTTP, PLANNER, TEXT = "bot/http.py", "bot/core/planner.py", "bot/slack/text.py"
RECONCILE, PRINCIPALS, NAMES = (
    "bot/reconcile/access.py",
    "bot/core/principals.py",
    "bot/core/names.py",
)
_PEOPLE = '"ArnLike": {"eks:principalArn": "arn:aws:iam::111122223333:role/eks-jit/*"}'

WORLD: tuple[Mutation, ...] = (
    # Payloads
    threat(
        9,
        "believe whoever posts",
        "test_http.py::test_a_payload_whose_signature_does_not_fit_changes_nothing",
        Change(
            HTTP,
            "        if not slack.verifier.is_valid(body, timestamp, signature):\n"
            "            return _refused()\n",
            "",
        ),
        Change(
            "bot/slack/listeners.py",
            "request_verification_enabled=signing_secret is not None,",
            "request_verification_enabled=False,",
        ),
    ),
    threat(
        9,
        "take the same payload twice",
        "test_http.py::test_a_captured_request_that_is_sent_again_makes_no_second_one",
        Change("bot/store/inbox.py", '"trigger_id": trigger_id,', '"trigger_id": None,'),
    ),
    threat(
        9,
        "read a body to its end however long it is",
        "test_http.py::test_a_body_longer_than_any_of_slacks_is_not_read_to_its_end",
        Change(
            HTTP, "if len(received) > MAX_BODY_BYTES:", "if len(received) > 9 * MAX_BODY_BYTES:"
        ),
    ),
    threat(
        10,
        "read a form as Slack would send it",
        "slack/test_request_form.py::test_any_json_can_be_drawn_again",
        Change(
            "bot/slack/form_state.py",
            'values = state.get("values") if isinstance(state, dict) else None',
            'values = state.get("values")',
        ),
    ),
    threat(
        10,
        "open a form for whoever names the request",
        "e2e/test_again.py::test_nobody_asks_again_with_somebody_elses_words",
        Change(
            "bot/slack/desk.py",
            "        if request.requester != user_id:\n"
            "            raise Refused(\n"
            '                "not_yours",\n'
            "                f\"{request_id} is somebody else's request. `/eks-access` opens",
            "        if not request.requester:\n"
            "            raise Refused(\n"
            '                "not_yours",\n'
            "                f\"{request_id} is somebody else's request. `/eks-access` opens",
        ),
    ),
    threat(
        10,
        "let everybody ask for what a rule gives a group",
        "e2e/test_request_form.py::test_nobody_is_offered_what_only_a_group_may_have",
        Change(
            "bot/core/rule_choice.py",
            "return rule.requesters is None or belongs(",
            "return bool(rule.name) or belongs(",
        ),
        Change(
            "bot/core/offers.py",
            "return rule.requesters is None or surely_belongs(",
            "return bool(rule.name) or surely_belongs(",
        ),
    ),
    threat(
        11,
        "let people mention whomever they type",
        "slack/test_text.py::test_safe_shows_words_and_does_nothing",
        Change(TEXT, ', "@": "\\uff20"}', "}"),
    ),
    threat(
        11,
        "show what turns the direction of a text",
        "slack/test_text.py::test_nothing_invisible_is_left",
        Change(TEXT, '{"Cc", "Cf", "Cs", "Co", "Cn"}', '{"Cc", "Cs", "Co", "Cn"}'),
        also=("e2e/test_bad_input.py::test_a_reason_cannot_pass_for_the_bots_own_words",),
    ),
    threat(
        12,
        "take a name of any length for a namespace",
        "core/test_names.py::test_what_is_no_namespace_is_refused_with_the_reason",
        Change(NAMES, "    elif len(text) > MOST_NAMESPACE_LETTERS:", "    elif len(text) > 1000:"),
    ),
    threat(
        12,
        "look at no name of a namespace",
        "core/test_policy_decide.py::test_what_is_no_namespace_is_given_by_no_glob",
        Change(
            "bot/core/decide.py",
            "return two_places_problem(ask) or namespace_problem(ask)",
            "return two_places_problem(ask) if namespace_problem else None",
        ),
    ),
    threat(
        12,
        "let a glob cover a system namespace",
        "core/test_patterns.py::test_no_glob_covers_a_system_namespace",
        Change(
            "bot/core/patterns.py",
            "        if name in SYSTEM_NAMESPACES:\n            return name in self.literals\n",
            "        assert SYSTEM_NAMESPACES\n",
        ),
        also=(
            "core/test_policy_decide.py::test_a_system_namespace_is_given_by_its_own_name_alone",
        ),
    ),
    # AWS
    threat(
        13,
        "let the file map somebody to a role of the bot's own",
        "core/test_policy_checks_width.py::test_a_person_mapped_to_a_role_of_the_bot_is_an_error",
        Change(
            "bot/core/policy_checks_principals.py",
            "            if stands is not None:\n",
            "            if stands is not None and not user:\n",
        ),
    ),
    threat(
        13,
        "take whatever entry there is for the bot's",
        "reconcile/test_access_standing.py::"
        "test_an_entry_of_others_is_untouched_and_the_grant_fails_with_a_sentence",
        Change(PLANNER, "    if record.created and tagged:", "    if observed.arn:"),
        also=("reconcile/test_access_standing.py::test_a_node_roles_entry_is_untouched",),
    ),
    threat(
        13,
        "take an entry for the bot's by its tag alone",
        "core/test_planner.py::"
        "test_an_entry_with_our_tag_that_the_bot_did_not_make_is_somebody_elses",
        Change(PLANNER, "    if record.created and tagged:", "    if tagged:"),
    ),
    threat(
        13,
        "take an entry for the bot's by the store alone",
        "core/test_planner.py::test_an_entry_that_is_no_longer_tagged_as_ours_is_never_deleted",
        Change(PLANNER, "    if record.created and tagged:", "    if record.created:"),
    ),
    threat(
        13,
        "let the backstop delete whatever is there",
        "reconcile/test_backstop.py::"
        "test_an_entry_that_somebody_made_in_the_meantime_is_out_of_its_reach",
        Change(
            "deploy/backstop-policy.json",
            f"{_PEOPLE},\n"
            '        "StringEquals": {"aws:ResourceTag/eks-access:deployment": "acme-prod"}\n',
            f"{_PEOPLE}\n",
        ),
    ),
    threat(
        13,
        "take the deployment's tag alone for an orphan's sign",
        "reconcile/test_drift_scan.py::"
        "test_entries_of_others_are_bit_for_bit_the_same_after_many_scans",
        Change(
            PLANNER,
            '        and is_id(observed.tags.get(GRANT_TAG, ""))\n',
            "        and is_id is not None\n",
        ),
    ),
    threat(
        14,
        "give two people one principal",
        "access/test_submit.py::"
        "test_two_people_on_one_principal_are_refused_unless_it_is_declared_shared",
        Change(PRINCIPALS, "    if others and not shared:", "    if others and not arn:"),
    ),
    threat(
        14,
        "give a role of Identity Center to one of its people",
        "core/test_policy_principals.py::"
        "test_a_role_of_identity_center_is_refused_unless_it_is_declared_shared",
        Change(
            PRINCIPALS,
            "    if is_sso_role(arn) and not shared:",
            "    if is_sso_role(arn) and not arn:",
        ),
    ),
    threat(
        14,
        "take a service-linked role for a person's",
        "core/test_names.py::test_what_no_access_entry_can_be_for_is_refused_with_the_reason",
        Change(
            NAMES, '    if form and not form[4].startswith("aws-service-role/"):', "    if form:"
        ),
    ),
    threat(
        14,
        "give two accounts one principal where they ask at once",
        "access/test_races.py::test_of_two_accounts_on_one_principal_at_once_one_is_refused",
        Change("bot/access/submit.py", "    locks.one_on_principal(tx, principal.arn)  #", "    #"),
    ),
    threat(
        14,
        "tell no approver whom else a shared principal elevates",
        "slack/test_cards.py::test_a_shared_principal_is_a_warning_with_names",
        Change(
            "bot/slack/cards.py",
            "    lines += shared_warning(request.principal, names)\n",
            "",
        ),
    ),
    threat(
        15,
        "write to EKS before it is stored",
        "reconcile/test_access_faults.py::test_a_call_that_fails_delays_and_does_no_more",
        Change(
            RECONCILE,
            "entries.intend_association(tx, entry.id, policy_arn, scope, now)\n",
            "assert scope\n",
        ),
        Change(
            RECONCILE,
            "                    entries.intend_creation(tx, entry.id, groups, now)\n",
            "                    assert groups is not None\n",
        ),
    ),
    threat(
        15,
        "end nothing that the last process has not ended",
        "reconcile/test_access_crashes.py::test_after_a_crash_anywhere_nothing_outlives_its_end",
        Change(RECONCILE, "            access_grants.pass_time(tx, entry_id, now)\n", ""),
    ),
    threat(
        17,
        "write to EKS before what may have to be taken away is stored",
        "reconcile/test_access_crashes.py::test_access_revoked_after_a_crash_anywhere_goes_whole",
        Change(
            RECONCILE,
            "entries.intend_association(tx, entry.id, policy_arn, scope, now)\n",
            "assert scope and policy_arn\n",
        ),
        Change(
            RECONCILE,
            "                    entries.intend_creation(tx, entry.id, groups, now)\n",
            "                    assert groups is not None and now\n",
        ),
    ),
    threat(
        15,
        "leave a scope that others widened",
        "reconcile/test_access_by_hand.py::test_a_scope_widened_by_hand_goes_with_the_grant",
        Change(
            PLANNER,
            "if not _ours(arn, scope, self)\n",
            "if not _ours(arn, scope, self) or scope != self.associations[arn].scope\n",
        ),
    ),
    threat(
        15,
        "take a cluster for gone within an hour",
        "reconcile/test_cluster_gone.py::"
        "test_access_ends_with_its_cluster_once_aws_has_known_none_for_a_day",
        Change(
            "bot/core/gone.py",
            "GONE_AFTER = timedelta(hours=24)",
            "GONE_AFTER = timedelta(hours=1)",
        ),
    ),
    threat(
        16,
        "read the first page alone",
        "aws/test_access_entries.py::test_the_principals_of_a_cluster_are_read_to_the_last_page",
        Change(
            "bot/aws/access_entries.py",
            '[arn for page in pages for arn in page["accessEntries"]]',
            'list(next(iter(pages))["accessEntries"])',
        ),
        also=(
            "reconcile/test_drift_scan.py::"
            "test_many_entries_are_listed_by_pages_and_described_once_a_day",
        ),
    ),
    threat(
        16,
        "work on few entries at a time",
        "reconcile/test_access_grants.py::test_many_grants_that_end_in_one_second_end_in_one_round",
        Change(RECONCILE, "_BATCH = 200", "_BATCH = 2"),
    ),
    # The bot itself
    threat(
        17,
        "store what is live with no time at which it is looked at",
        "store/test_never_due.py::test_the_database_refuses_what_one_row_alone_tells",
        Change(
            "migrations/versions/0009_keep_what_is_live_due.py",
            'f"CREATE TRIGGER {table}_live_is_due_{event} AFTER {event.upper()} ON {table} "',
            'f"CREATE TEMP TRIGGER {table}_live_is_due_{event} AFTER {event.upper()} ON {table} "',
        ),
    ),
    threat(
        17,
        "set a backstop far behind the end",
        "reconcile/test_backstop.py::"
        "test_where_the_bot_never_comes_back_access_ends_shortly_after_its_end",
        Change("bot/core/backstop.py", "    at = end + after\n", "    at = end + 2 * after\n"),
    ),
    threat(
        17,
        "work on what another replica works on",
        "reconcile/test_access_races.py::test_many_replicas_at_once_do_everything_once",
        Change(
            RECONCILE,
            "            if still_held is None:\n                return\n",
            "            still_held = still_held or (lambda: True)\n",
        ),
    ),
    threat(
        17,
        "believe a clock that was ahead in when access ends",
        "reconcile/test_access_clock.py::"
        "test_access_confirmed_while_the_clock_was_ahead_ends_after_its_length_of_time",
        Change(
            "bot/core/lifecycle.py",
            "    ends_at = min(grant.ends_at, now + grant.duration)\n",
            "    ends_at = grant.ends_at\n",
        ),
    ),
    threat(
        17,
        "give anew what ended since the backup",
        "e2e/test_restored_backup.py::"
        "test_what_ended_since_the_backup_stays_ended_and_what_was_made_since_goes",
        Change(
            "bot/core/drift.py",
            "return (Finding(Kind.GONE, grants=everyone),) if active else ()",
            "return ()",
        ),
    ),
    threat(
        18,
        "end access only while Slack answers",
        "e2e/test_outages.py::test_access_ends_while_slack_is_away_and_slack_is_told_later",
        Change(
            "bot/wiring.py",
            '                "access", access.due, self._then_messages(access.reconcile)',
            '                "access",\n'
            "                lambda beside: self._client.auth_test() and access.due(beside),\n"
            "                self._then_messages(access.reconcile)",
        ),
    ),
    threat(
        18,
        "ask Slack before a command is acknowledged",
        "e2e/test_outages.py::test_a_slack_that_answers_no_call_delays_no_acknowledgement",
        Change(
            "bot/slack/listeners.py",
            "            command = commands.parse(_typed(body))\n",
            '            self._client.users_info(user=body["user_id"])\n'
            "            command = commands.parse(_typed(body))\n",
        ),
    ),
    threat(
        18,
        "take an archived channel for something that passes",
        "e2e/test_bad_input.py::test_an_archived_channel_does_not_leave_a_request_stuck_in_silence",
        Change(
            "bot/reconcile/slack_errors.py",
            "_ARCHIVED = SlackProblem(ProblemKind.PLACE,",
            "_ARCHIVED = SlackProblem(ProblemKind.PASSING,",
        ),
        also=(
            "reconcile/test_late_removals.py::"
            "test_an_alarm_that_an_archived_channel_does_not_take_goes_to_people",
        ),
    ),
    threat(
        18,
        "let nobody revoke whom Slack does not describe",
        "e2e/test_outages.py::test_an_owner_revokes_though_slack_describes_nobody",
        Change(
            "bot/slack/people.py",
            '            if error.code == "unknown_person":\n',
            "            if error.code:\n",
        ),
    ),
    # The store waits two seconds for a lock, which alone would be short enough.
    threat(
        19,
        "store what Slack has given up by then",
        "e2e/test_late_acknowledgement.py::"
        "test_a_break_glass_that_slack_says_failed_is_not_done_once_the_table_is_free",
        Change(
            "bot/slack/listeners.py",
            "self._database.transaction(left=_time_to_store)",
            "self._database.transaction()",
        ),
        Change(
            "bot/store/database.py",
            '"lock_timeout": int(patience * 1000),',
            '"lock_timeout": 10_000,',
        ),
    ),
    threat(
        21,
        "let the trail be changed",
        "store/test_audit_append_only.py::test_what_is_written_is_neither_changed_nor_removed",
        Change(
            "migrations/versions/0002_make_the_audit_trail_append_only.py",
            'f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"',
            'f"CREATE TEMP TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"',
        ),
    ),
    threat(
        21,
        "seal an event without its cluster",
        "store/test_audit_any_change.py::test_any_value_that_is_changed_is_found",
        Change("bot/core/audit_chain.py", '        "cluster": event.cluster,\n', ""),
    ),
    threat(
        21,
        "believe a trail that is shorter than its anchors",
        "store/test_audit_tampered.py::test_an_end_that_is_cut_off_shows_by_an_anchor",
        Change(
            "bot/core/audit_findings.py",
            "[one for one in anchors if one.position > scan.last.position]",
            "[one for one in anchors if one.position < 0]",
        ),
    ),
    threat(
        22,
        "write down what is a token by its form",
        "core/test_masking.py::test_a_secret_is_masked_and_what_stands_around_it_stays",
        Change(
            "bot/core/masking.py",
            '        text = form.sub(rf"\\1{MASK}", text)\n',
            "        assert form\n",
        ),
        also=("test_logs.py::test_a_secret_anywhere_in_a_log_line_is_taken_out",),
    ),
    threat(
        22,
        "record what people paste as they pasted it",
        "store/test_audit_secrets.py::test_what_people_paste_into_a_reason_is_masked",
        Change("bot/store/audit.py", "bounded(masked(event.details))", "bounded(event.details)"),
    ),
    threat(
        22,
        "tell the password of a database that is away",
        "cli/test_cli_database.py::test_an_unreachable_database_is_told_without_its_password",
        Change(
            "bot/cli_common.py",
            'cause = cause_without_secrets(error) if error.code in TOLD_BY_THE_DRIVER else ""',
            "cause = environment().database_url",
        ),
    ),
    threat(
        23,
        "leave an error of PostgreSQL unsorted",
        "store/test_faults.py::test_every_sqlstate_that_psycopg_knows_is_sorted_and_none_beside",
        Change("bot/store/faults.py", '    (READ_ONLY, "25006"),\n', ""),
    ),
    threat(
        24,
        "close the newest connection for another",
        "test_http_server.py::"
        "test_the_oldest_silent_connections_are_closed_and_a_probe_is_answered",
        Change("bot/http_server.py", "min(idle, key=lambda one", "max(idle, key=lambda one"),
    ),
    threat(
        24,
        "serve in the order in which things came",
        "store/test_inbox.py::test_people_take_turns_however_much_one_of_them_asks_for",
        Change(
            "bot/store/inbox.py", "partition_by=(inbox.c.actor, _TRIED)", "partition_by=(_TRIED,)"
        ),
    ),
    threat(
        30,
        "let the bot's role delete anybody's entry",
        "aws/test_iam_policy.py::test_it_allows_no_write_for_a_principal_outside_the_peoples_path",
        Change(
            "deploy/iam-policy.json",
            '"Action": ["eks:DisassociateAccessPolicy", "eks:DeleteAccessEntry"],\n'
            '      "Resource": "arn:aws:eks:*:111122223333:access-entry/*",\n'
            '      "Condition": {\n'
            f"        {_PEOPLE},\n",
            '"Action": ["eks:DisassociateAccessPolicy", "eks:DeleteAccessEntry"],\n'
            '      "Resource": "arn:aws:eks:*:111122223333:access-entry/*",\n'
            '      "Condition": {\n',
        ),
        also=("aws/test_iam_policy.py::test_no_condition_can_be_left_out",),
    ),
)
