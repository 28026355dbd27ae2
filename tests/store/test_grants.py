"""Grants: what is read is what was stored, and each changes only from where it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy.exc import IntegrityError
from store_examples import (
    ANA,
    BEN,
    HOUR,
    LAB,
    NOW,
    access_grants,
    add_grant,
    grant,
    request,
)

from bot.core.errors import Conflict, NotFound
from bot.core.model import Grant, GrantState, RequestState
from bot.store import entries, grants, requests
from bot.store.database import Database
from bot.store.tables import grants as grants_table

ID = grant().id


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=access_grants)
def test_a_grant_reads_back_as_it_was_stored(database: Database, whole: Grant) -> None:
    with database.transaction() as tx:
        tx.execute(grants_table.delete())
        if requests.of_requester(tx, ANA) == []:
            requests.add(tx, request(state=RequestState.APPROVED))
        entry_id = entries.wish(tx, LAB, whole.principal_arn, deployment="acme-test", now=NOW)
        grants.add(tx, whole, entry_id)
        assert grants.get(tx, whole.id) == whole
        assert grants.entry_of(tx, whole.id) == entry_id


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed=access_grants)
def test_a_changed_grant_keeps_what_was_approved(database: Database, changed: Grant) -> None:
    with database.transaction() as tx:
        if grants.find(tx, ID) is None:
            add_grant(tx)
        before = grants.get(tx, ID)
        grants.change(tx, changed, expected=before.state)
        assert grants.get(tx, ID) == replace(
            changed,
            requester=before.requester,
            cluster=before.cluster,
            principal_arn=before.principal_arn,
            access=before.access,
            duration=before.duration,
            created_at=before.created_at,
            provision_by=before.provision_by,
            starts_at=before.starts_at,
            extends=before.extends,
            began_at=before.began_at,
        )


def test_a_request_without_a_grant_has_none(database: Database) -> None:
    with database.transaction() as tx:
        assert grants.find(tx, ID) is None
        assert grants.entry_of(tx, ID) is None
        with pytest.raises(NotFound, match=ID):
            grants.get(tx, ID)


def test_a_request_is_granted_at_most_once(database: Database) -> None:
    with database.transaction() as tx:
        entry_id = add_grant(tx)
    with pytest.raises(IntegrityError), database.transaction() as tx:
        grants.add(tx, grant(), entry_id)


def test_a_grant_needs_its_request(database: Database) -> None:
    with database.transaction() as tx:
        entry_id = entries.wish(tx, LAB, "arn", deployment="acme-test", now=NOW)
    with pytest.raises(IntegrityError), database.transaction() as tx:
        grants.add(tx, grant(), entry_id)


def test_a_grant_needs_its_entry(database: Database) -> None:
    with database.transaction() as tx:
        requests.add(tx, request(state=RequestState.APPROVED))
    with pytest.raises(IntegrityError), database.transaction() as tx:
        grants.add(tx, grant(), 4711)


def test_a_grant_changes_only_from_the_state_that_was_expected(database: Database) -> None:
    with database.transaction() as tx:
        for number, (state, expected) in enumerate(product(GrantState, repeat=2)):
            before = grant(id=f"01A-{number:03}", state=state)
            ended = replace(before, state=GrantState.ENDED, ended_at=NOW + HOUR)
            add_grant(tx, id=before.id, state=state)
            if state is expected:
                grants.change(tx, ended, expected=expected)
                assert grants.get(tx, before.id) == ended
            else:
                with pytest.raises(Conflict) as refused:
                    grants.change(tx, ended, expected=expected)
                assert refused.value.code == "grant_moved_on"
                assert grants.get(tx, before.id) == before


def test_what_has_not_ended_is_found_by_entry_person_cluster_and_state(
    database: Database,
) -> None:
    prod = replace(LAB, name="prod-eu")
    with database.transaction() as tx:
        lab_entry = add_grant(tx, id="01A-000", state=GrantState.ACTIVE)
        add_grant(tx, id="01A-001", requester=BEN, state=GrantState.REVOKING)
        prod_entry = add_grant(tx, id="01A-002", cluster=prod, state=GrantState.ACTIVE)
        add_grant(tx, id="01A-003", state=GrantState.ENDED)
        add_grant(tx, id="01A-004", requester=BEN, state=GrantState.SCHEDULED)

        def ids(found: tuple[Grant, ...]) -> list[str]:
            return [one.id for one in found]

        assert lab_entry != prod_entry
        assert ids(grants.live_of_entry(tx, lab_entry)) == ["01A-000", "01A-001", "01A-004"]
        assert ids(grants.live_of_entry(tx, prod_entry)) == ["01A-002"]
        assert ids(grants.live(tx)) == ["01A-000", "01A-001", "01A-002", "01A-004"]
        assert ids(grants.live(tx, requester=ANA)) == ["01A-000", "01A-002"]
        assert ids(grants.live(tx, cluster="prod-eu")) == ["01A-002"]
        assert ids(grants.live(tx, requester=BEN, states=[GrantState.REVOKING])) == ["01A-001"]
        assert ids(grants.live(tx, states=[])) == []
