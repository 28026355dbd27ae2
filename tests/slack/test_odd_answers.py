"""Answers that break off or are none: each is a Slack that did not answer, wherever it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.core.errors import DirectoryUnavailable, PolicyUnavailable
from bot.doctor_result import Status
from bot.doctor_slack import connection as slack_connection
from bot.policy_file import LoadedPolicy
from bot.reconcile.announcements import Announcer
from bot.sandbox.hand_clock import HandClock
from bot.settings import Settings
from bot.slack.connection import SocketModeConnection
from bot.slack.fact_finder import FactFinder
from bot.slack.inbox import InboxWorker
from bot.slack.people import Directory
from bot.slack.refusals import Refusals
from bot.store import announcements, inbox
from bot.store.claims import Claims
from bot.store.database import Database
from bot.store.inbox import ItemState, Kind
from tests.odd_server import ODD_ANSWERS, odd_server


@pytest.fixture
def database_kind() -> str:
    """What Slack answers has nothing to do with where the store is."""
    return "sqlite"


@pytest.fixture(params=ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with odd_server(request.param) as opened:
        yield opened


@pytest.fixture
def client(url: str) -> WebClient:
    return WebClient("xoxb-1", base_url=url, timeout=10, retry_handlers=[])


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def _no_policy() -> LoadedPolicy:
    raise PolicyUnavailable("no_policy", "There is no policy.")


@pytest.fixture
def make_worker(
    database: Database, client: WebClient, clock: HandClock
) -> Callable[[], InboxWorker]:
    def make() -> InboxWorker:
        facts = FactFinder(
            database,
            Directory(client),
            _no_policy,
            ticket=lambda *_: pytest.fail("no ticket is asked for"),
            on_call=lambda _: {},
            clock=clock,
        )
        return InboxWorker(
            database,
            Claims(database),
            client,
            facts,
            _no_policy,
            refusals=Refusals(_no_policy, clock),
            changed=lambda: None,
            clock=clock,
        )

    return make


def put_in(database: Database, clock: HandClock, document: Mapping[str, Any], url: str) -> int:
    with database.transaction() as tx:
        return inbox.add(
            tx,
            Kind.RETURN,
            actor="U01ANA",
            team_id="T01ACME",
            document=document,
            response_url=url,
            now=clock(),
        )


def test_an_answer_that_slack_did_not_take_is_put_off(
    database: Database, clock: HandClock, url: str, make_worker: Callable[[], InboxWorker]
) -> None:
    item_id = put_in(database, clock, {"request_id": "7K3-QMX"}, url)
    worker = make_worker()
    worker.work(item_id)
    with database.reading() as tx:
        item = inbox.get(tx, item_id)
    if item.state is ItemState.DONE:
        return  # it is a whole answer of HTTP, and Slack says no more of a response_url
    assert (item.state, item.attempts) == (ItemState.ANSWERING, 1)
    assert worker.due_giving_back() == [], "it stands before nothing else"


HALF_AN_HOUR = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1800\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("url", [pytest.param(HALF_AN_HOUR, id="wait")], indirect=True)
def test_an_answer_waits_as_long_as_slack_asks_for(
    database: Database, clock: HandClock, url: str, make_worker: Callable[[], InboxWorker]
) -> None:
    item_id = put_in(database, clock, {"request_id": "7K3-QMX"}, url)
    worker = make_worker()
    worker.work(item_id)
    assert worker.due_giving_back() == []
    clock.advance(1799)
    assert worker.due_giving_back() == []
    clock.advance(1)
    assert worker.due_giving_back() == [item_id]


def test_nobody_is_known_by_such_an_answer(client: WebClient) -> None:
    with pytest.raises(DirectoryUnavailable):
        Directory(client).asking().person("U01ANA")


def test_an_announcement_is_put_off(
    database: Database, client: WebClient, clock: HandClock
) -> None:
    with database.transaction() as tx:
        announcements.announce(tx, key="a", channel="U02BEN", text="a", blocks=[], now=clock())
    announcer = Announcer(database, client, Claims(database), unfit=lambda _: None, clock=clock)
    announcer.post("U02BEN")
    assert announcer.due() == []


def test_socket_mode_is_tried_again(client: WebClient, url: str) -> None:
    app = App(client=client, signing_secret="unused", token_verification_enabled=False)
    opening = SocketModeConnection(app, "xapp-1", url, others=lambda _: 0, clock=HandClock())
    with closing(opening) as connection:
        connection.tend()
        assert not connection.alive()


def test_doctor_says_that_slack_opens_no_socket_mode(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values: dict[str, Any] = {"SLACK_APP_TOKEN": "xapp-1", "SLACK_API_URL": url}
    found = slack_connection(Settings(**values))
    assert found.status is Status.FINDING
