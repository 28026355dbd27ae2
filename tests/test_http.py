"""The bot's own HTTP: Slack's signed payloads and everything that only looks like them, health,
readiness and metrics."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from slack_sdk.signature import SignatureVerifier
from sqlalchemy import func, select

import bot
from bot.core.drift import Kind
from bot.http import MAX_BODY_BYTES, Readiness, SignedApp, build_http
from bot.http_server import HttpServer
from bot.sandbox.http_delivery import Tampering
from bot.sandbox.stage import Stage, furnish
from bot.settings import SettingsError
from bot.store import tables

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
ASK = "/eks-access request prod-eu edit --namespace payments --ticket PAY-1 Clearing a stuck job"
NOW = "/eks-access request modern-access-lab view --namespace default Looking at the pods"


class Server:
    """What a test sends to the bot's HTTP port, and what it reads from its store."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        assert stage.bot is not None
        self.bot = stage.bot
        self.port = stage.bot.http.port

    def get(self, path: str) -> tuple[int, str]:
        return fetch(self.port, "GET", path)

    def post(self, body: bytes, kind: str, headers: dict[str, str] | None = None) -> int:
        """Send a body under Slack's own signature, with some headers replaced."""
        signed = self.stage.slack.http.sign(body, kind, {}).headers
        return fetch(self.port, "POST", "/slack/events", body, {**signed, **(headers or {})})[0]

    def count(self, table) -> int:
        with self.bot.database.reading() as tx:
            return tx.scalar(select(func.count()).select_from(table))

    def states(self) -> list[str]:
        """The states of all items of the inbox."""
        with self.bot.database.reading() as tx:
            return list(tx.scalars(select(tables.inbox.c.state)))


def fetch(port, method, path, body=b"", headers=None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def samples(text: str) -> dict[str, float]:
    """Prometheus's own reading of /metrics: `name{label}` → value."""
    return {
        f"{sample.name}{''.join(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask_and_wait(stage: Stage, user_id: str) -> None:
    """Ask for what needs nobody's approval, and wait until the person is told that it is there."""
    person = stage.slack.human(user_id)
    assert person.command(NOW).acknowledged
    stage.slack.wait(
        lambda: any("is active until" in one.all_text for one in person.dm), timeout=30
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Stage(http_mode=True) as stage:
        furnish(stage)
        stage.start_bot()
        ask_and_wait(stage, "U04DAN")  # so that every loop has looked at the store
        yield Server(stage)


# Signed payloads


def test_a_signed_command_is_acknowledged_and_carried_out(server):
    ask_and_wait(server.stage, "U01ANA")
    principal = "arn:aws:iam::111122223333:role/eks-jit/ana"
    entry = server.stage.eks.entry("modern-access-lab", principal)
    assert [(one.policy, one.namespaces) for one in entry.associations] == [
        ("AmazonEKSViewPolicy", ("default",))
    ]


@pytest.mark.parametrize("how", Tampering)
def test_a_payload_whose_signature_does_not_fit_changes_nothing(server, how):
    before = server.count(tables.inbox), server.count(tables.requests)
    server.stage.slack.http.tamper(how)
    outcome = server.stage.slack.human("U02BEN").command(NOW)
    assert not outcome.acknowledged
    assert outcome.delivery.attempts[-1].status == 401
    assert (server.count(tables.inbox), server.count(tables.requests)) == before


def test_a_captured_request_that_is_sent_again_makes_no_second_one(server):
    slack = server.stage.slack
    assert slack.human("U01ANA").command(ASK).acknowledged
    sent = slack.http.sent[-1]
    slack.wait(lambda: slack.human("U02BEN").sees("C02PAYMENTS"), 30)
    before = server.count(tables.requests), server.count(tables.inbox)
    assert slack.http.post(sent, timeout=5).status == 200
    assert (server.count(tables.requests), server.count(tables.inbox)) == before


@pytest.mark.parametrize("timestamp", ["soon", "", "1e9", "-5", "0", "99999999999999999999"])
def test_a_time_that_is_none_or_long_ago_is_refused(server, timestamp):
    assert server.post(b"{}", JSON, {"X-Slack-Request-Timestamp": timestamp}) == 401


@pytest.mark.parametrize("signature", ["", "v0=", "v0=\u00e9", "v1=" + "0" * 64])
def test_a_signature_of_another_form_is_refused(server, signature):
    assert server.post(b"{}", JSON, {"X-Slack-Signature": signature}) == 401


def test_a_payload_without_any_signature_is_refused(server):
    body = urlencode({"command": "/eks-access", "text": "mine", "user_id": "U01ANA"}).encode()
    assert fetch(server.port, "POST", "/slack/events", body, {"Content-Type": FORM})[0] == 401


# Bodies


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", JSON),
        (b"[1]", JSON),
        (b'"text"', JSON),
        (b"null", JSON),
        (b"[" * 100_000, JSON),
        (b'{"team": 5, "user": "x", "type": "block_actions", "actions": 7}', JSON),
        (b"\xff\xfe\x00", JSON),
        (b"text=\xff", FORM),
        (b"payload=%7B", FORM),
        (b"payload=%5B1%5D", FORM),
        (b"payload=1", FORM),
        (b"payload=%FF", FORM),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_malformed_body_is_answered_with_400(server, body, kind):
    assert server.post(body, kind) == 400


def test_a_body_longer_than_any_of_slacks_is_not_read_to_its_end(server):
    # Not a byte more than what is read, for the rest of it would break the connection off.
    signed = server.stage.slack.http.sign(b"", FORM, {}).headers
    head = b"POST /slack/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + b"".join(
        f"{name}: {value}\r\n".encode() for name, value in signed.items()
    )
    head += b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head + b"%x\r\n" % (MAX_BODY_BYTES + 1) + b"x" * (MAX_BODY_BYTES + 1))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    long = {"Content-Length": str(MAX_BODY_BYTES + 1)}
    assert fetch(server.port, "POST", "/slack/events", headers=long)[0] == 413
    just = urlencode({"payload": "x"}).encode()
    assert server.post(just.ljust(MAX_BODY_BYTES, b"&"), FORM) == 400


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"payload=1"])
def test_what_has_not_slacks_signature_is_not_even_parsed(server, body):
    forged = {"X-Slack-Signature": "v0=" + "0" * 64}
    assert server.post(body, JSON, forged) == 401


@pytest.mark.parametrize("missing", ["X-Slack-Request-Timestamp", "X-Slack-Signature"])
def test_what_cannot_have_slacks_signature_is_not_even_read(server, missing):
    signed = server.stage.slack.http.sign(b"", FORM, {}).headers
    lines = [f"{name}: {value}\r\n" for name, value in signed.items() if name != missing]
    head = f"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n{''.join(lines)}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"{head}\r\n".encode())  # and nothing of the body
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_a_payload_under_way_holds_up_no_probe(server):
    """Comparing its signature, parsing it and what Bolt does are one call in a thread."""
    begun, probed = threading.Event(), threading.Event()

    class SlowClock:
        """The second look at it is in the thread that answers."""

        def __init__(self) -> None:
            self.looks = 0

        def now(self) -> float:
            self.looks += 1
            if self.looks > 1:
                begun.set()
                assert probed.wait(20)
            return time.time()

    verifier = SignatureVerifier("secret", SlowClock())
    slack = SignedApp(server.bot.listeners.app, verifier)
    application = build_http(lambda: Readiness({}), CollectorRegistry(), slack)
    http_server = HttpServer(application, "127.0.0.1", 0)
    http_server.start()
    headers = {
        "X-Slack-Request-Timestamp": str(int(time.time())),
        "X-Slack-Signature": "v0=" + "0" * 64,
    }
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(fetch, http_server.port, "POST", "/slack/events", b"{}", headers)
        assert begun.wait(20)
        try:
            assert fetch(http_server.port, "GET", "/healthz") == (200, "ok\n")
        finally:
            probed.set()
        assert sent.result()[0] == 401
    http_server.stop()


def test_a_client_that_goes_away_in_the_middle_harms_nobody(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx")
    assert server.get("/healthz")[0] == 200


def test_what_strangers_send_fills_no_log(server, caplog):
    with structlog.testing.capture_logs() as said:
        for _ in range(20):
            assert server.post(b"{}", JSON, {"X-Slack-Signature": "v0="}) == 401
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                head = b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx"
                connection.sendall(head)
            assert server.get("/healthz")[0] == 200
    assert len([one for one in said if "signature" in one["event"]]) <= 1
    assert not [one for one in caplog.records if one.name.startswith("uvicorn")]


def test_slack_can_try_the_request_url(server):
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"}).encode()
    signed = server.stage.slack.http.sign(body, JSON, {}).headers
    status, text = fetch(server.port, "POST", "/slack/events", body, dict(signed))
    assert (status, json.loads(text)["challenge"]) == (200, "3eZbrw1a")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/slack/events", 405), ("POST", "/healthz", 405), ("GET", "/nothing", 404)],
)
def test_other_methods_and_paths_are_refused(server, method, path, status):
    assert fetch(server.port, method, path)[0] == status


# Health, readiness, metrics


def test_the_bot_is_alive_and_ready(server):
    assert server.get("/healthz") == (200, "ok\n")
    status, text = server.get("/readyz")
    assert status == 200
    assert json.loads(text) == dict.fromkeys(
        [
            "store",
            "policy",
            "adoption",
            "loop inbox",
            "loop giving back",
            "loop revoking",
            "loop access",
            "loop messages",
            "loop announcements",
            "loop waiting",
            "loop reviews",
            "loop drift",
            "loop drift reports",
            "loop starts",
            "loop audit",
            "loop tickets",
            "loop backstops",
            "loop adoption",
            "loop late removals",
            "loop unheard alarms",
            "loop gone groups",
            "loop store memory",
            "loop never due",
        ],
        True,
    )


def test_prometheus_can_read_the_metrics(server):
    status, text = server.get("/metrics")
    found = samples(text)
    assert status == 200
    assert found[f"eks_access_info{bot.__version__}"] == 1
    assert found["eks_access_store_up"] == 1
    assert found["eks_access_late_removals"] == 0
    assert {f"eks_access_grants{one}" for one in ("scheduled", "provisioning", "revoking")} < set(
        found
    )
    for loop in ("inbox", "access", "messages", "waiting", "reviews"):
        assert found[f"eks_access_loop_last_look_timestamp_seconds{loop}"] > 1_700_000_000


def test_metrics_count_grants_by_state(server):
    before = samples(server.get("/metrics")[1])["eks_access_grantsactive"]
    ask_and_wait(server.stage, "U03CLEO")
    assert samples(server.get("/metrics")[1])["eks_access_grantsactive"] == before + 1


def test_metrics_tell_when_clusters_were_read_whole_and_what_differs(server):
    last = "eks_access_drift_last_scan_timestamp_seconds111122223333modern-access-labeu-west-1"
    ask_and_wait(server.stage, "U02BEN")
    assert samples(server.get("/metrics")[1])[last] > 1_700_000_000
    found = samples(server.get("/metrics")[1])
    assert {name for name in found if name.startswith("eks_access_drift_findings")} == {
        f"eks_access_drift_findings{kind}" for kind in Kind
    }


def test_a_broken_policy_file_at_reload_leaves_the_bot_ready_on_the_last_good_one(server):
    good = server.stage.policy_file.read_text()
    server.stage.policy_file.write_text("clusters: 5\n")
    try:
        status, text = server.get("/readyz")
        assert (status, json.loads(text)["policy"]) == (200, True)
    finally:
        server.stage.policy_file.write_text(good)


def test_without_the_store_the_bot_is_alive_and_not_ready_and_tells_people_so(postgresql):
    name = postgresql.create_migrated()
    with Stage(http_mode=True, database_url=postgresql.url_of(name)) as stage:
        furnish(stage)
        stage.start_bot()
        server = Server(stage)
        assert samples(server.get("/metrics")[1])["eks_access_store_up"] == 1

        postgresql.drop(name)
        status, text = server.get("/readyz")
        assert (status, json.loads(text)["store"]) == (503, False)
        assert "does not exist" in json.loads(text)["reasons"]["store"]
        assert server.get("/healthz")[0] == 200
        found = samples(server.get("/metrics")[1])
        assert found["eks_access_store_up"] == 0
        assert found["eks_access_late_removals"] == 0, "of what was live, by the clock"
        assert "eks_access_grantsactive" not in found
        answer = stage.slack.human("U01ANA").command(NOW)
        assert "does not exist" in answer.text
        assert "Nothing was changed" in answer.text

        postgresql.execute(f"ALTER DATABASE {postgresql.create_migrated()} RENAME TO {name}")
        assert json.loads(server.get("/readyz")[1])["store"] is True
        stage.stop_bot()
        postgresql.drop(name)


# The server


@pytest.fixture
def bare() -> Iterator[HttpServer]:
    """The server of a bot in Socket Mode that is not ready."""
    readiness = Readiness({"store": None, "slack": "Slack does not answer."})
    application = build_http(lambda: readiness, CollectorRegistry(), None)
    server = HttpServer(application, "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


def test_in_socket_mode_nobody_can_post_payloads(bare):
    assert fetch(bare.port, "POST", "/slack/events", b"{}")[0] == 404


def test_readiness_names_what_is_missing(bare):
    status, text = fetch(bare.port, "GET", "/readyz")
    said = {"store": True, "slack": False, "reasons": {"slack": "Slack does not answer."}}
    assert (status, json.loads(text)) == (503, said)


def test_a_port_in_use_is_named_with_the_variable_that_sets_it(bare):
    application = build_http(lambda: Readiness({}), CollectorRegistry(), None)
    with pytest.raises(SettingsError, match=rf"Port {bare.port} .*EKS_ACCESS_HTTP_PORT"):
        HttpServer(application, "127.0.0.1", bare.port)


def test_who_comes_before_the_server_runs_waits_and_is_answered():
    application = build_http(lambda: Readiness({}), CollectorRegistry(), None)
    server = HttpServer(application, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as early:
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server.start()
        assert early.recv(100).startswith(b"HTTP/1.1 200")
    server.stop()
