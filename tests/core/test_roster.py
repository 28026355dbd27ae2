"""What on a cluster's entries is the bot's, and what others put there."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model import AccessScope
from bot.core.planner import DEPLOYMENT_TAG, AssociationRecord, EntryRecord, ObservedEntry
from bot.core.roster import Known, sorted_out

ANA, OPS = "arn:aws:iam::111122223333:role/ana", "arn:aws:iam::111122223333:role/ops"
VIEW, EDIT = "arn:view", "arn:edit"
CLUSTER = AccessScope()
ENTRY = ObservedEntry(
    arn="arn:entry/1",
    type="STANDARD",
    tags={DEPLOYMENT_TAG: "acme"},
    policies={VIEW: CLUSTER, EDIT: CLUSTER},
    kubernetes_groups=frozenset({"ours", "theirs"}),
)
RECORD = EntryRecord(
    created=True,
    arn="arn:entry/1",
    associations={VIEW: AssociationRecord(CLUSTER, confirmed=True)},
    kubernetes_groups=frozenset({"ours"}),
)
OURS = {ANA: Known(RECORD, "acme")}
ALL_OF_IT = replace(
    RECORD,
    associations={arn: AssociationRecord(CLUSTER, confirmed=True) for arn in (VIEW, EDIT)},
    kubernetes_groups=frozenset({"ours", "theirs"}),
)


def test_of_an_entry_of_the_bot_only_what_others_added_is_by_hand() -> None:
    found = sorted_out({ANA: ENTRY}, OURS, OURS)
    assert found.others == ()
    [(principal, added)] = found.by_hand
    assert principal == ANA
    assert set(added.policies) == {EDIT}
    assert added.kubernetes_groups == {"theirs"}


def test_an_entry_of_the_bot_as_it_made_it_is_not_mentioned() -> None:
    whole = {ANA: Known(ALL_OF_IT, "acme")}
    found = sorted_out({ANA: ENTRY}, whole, whole)
    assert found.by_hand == ()
    assert found.others == ()


def test_an_entry_that_the_store_knows_nothing_of_is_others() -> None:
    found = sorted_out({OPS: ENTRY}, OURS, OURS)
    assert found.others == ((OPS, ENTRY),)
    assert found.by_hand == ()


def test_another_entry_in_the_place_of_ours_is_others() -> None:
    for other in (replace(ENTRY, arn="arn:entry/2"), replace(ENTRY, tags={})):
        [(principal, entry)] = sorted_out({ANA: other}, OURS, OURS).others
        assert principal == ANA
        assert EDIT in entry.policies


def test_what_the_bot_added_to_an_entry_of_others_is_not_called_theirs() -> None:
    beside = {OPS: Known(replace(RECORD, created=False, arn=None), "acme")}
    [(_, entry)] = sorted_out({OPS: replace(ENTRY, tags={})}, beside, beside).others
    assert set(entry.policies) == {EDIT}


def test_what_the_bot_puts_there_or_takes_away_meanwhile_is_not_called_others() -> None:
    whole = {ANA: Known(ALL_OF_IT, "acme")}
    for before, after in ((whole, {}), ({}, whole), (whole, OURS), (OURS, whole)):
        found = sorted_out({ANA: ENTRY}, before, after)
        assert found.by_hand == ()
        assert found.others == ()
