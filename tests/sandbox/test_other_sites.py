"""A web site that a browser on this machine shows gets nothing from any port of the sandbox."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import websocket
from slack_sdk import WebClient

from bot.sandbox.stage import Stage

EVIL = "http://evil.example"
FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": ""},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)
PATHS = {
    "slack": (
        "/",
        "/page/app.js",
        "/api/auth.test",
        "/response/T/x",
        "/upload/v1/F",
        "/sandbox/eks",
    ),
    "services": ("/pagerduty/users", "/opsgenie/v2/users", "/jira/rest/api/2/issue/A-1"),
    "eks": ("/", "/clusters", "/schedules", "/moto-api/reset", "/?Action=ListRoles"),
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as opened:
        opened.eks.create_cluster("lab")
        yield opened


def base(stage: Stage, server: str) -> str:
    found = {
        "slack": stage.slack.url,
        "services": stage.services.pagerduty.url,
        "eks": stage.eks.endpoint_url,
    }
    return found[server]


def status(url: str, path: str, headers: dict[str, str], method: str) -> int:
    """What a server answers to a request with just these headers."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in ({"Host": place.netloc, "Content-Length": "0"} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("server", "path"), [(server, path) for server, paths in PATHS.items() for path in paths]
)
def test_a_foreign_host_and_another_sites_page_are_refused(stage, server, path):
    for headers in FOREIGN:
        for method in ("GET", "POST", "PUT", "DELETE"):
            said = status(base(stage, server), path, headers, method)
            assert said == 403, (headers, method)
    assert not stage.eks.calls
    assert not stage.services.pagerduty.calls


@pytest.mark.parametrize("server", PATHS)
def test_programs_on_this_machine_are_let_in_under_each_of_its_names(stage, server):
    port = urlsplit(base(stage, server)).port
    path = {"slack": "/", "services": "/pagerduty/users", "eks": "/moto-api/"}[server]
    for name in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        assert status(base(stage, server), path, {"Host": name}, "GET") != 403


def test_the_local_eks_has_no_pages_so_its_own_origin_is_refused_too(stage):
    own = {"Origin": stage.eks.endpoint_url}
    assert status(stage.eks.endpoint_url, "/clusters", own, "GET") == 403


def test_another_sites_page_opens_no_socket(stage):
    slack = stage.slack
    client = WebClient(slack.app_token, base_url=slack.api_url)
    for refused in ({"origin": EVIL}, {"host": "evil.example"}):
        url = client.apps_connections_open(app_token=slack.app_token)["url"]
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(url, timeout=10, **refused)
