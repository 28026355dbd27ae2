"""The page's files as they are served."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from bot.sandbox.page import page_routes
from bot.sandbox.slack_server import SlackWorkspace
from bot.slack.commands import FORMS

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
}


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str


class Server:
    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc

    def get(self, path: str, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.address, timeout=5)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def files(self) -> dict[str, Answer]:
        """The page and everything it leads to, by path."""
        found: dict[str, Answer] = {}
        waiting = ["/"]
        while waiting:
            path = waiting.pop()
            found[path] = answer = self.get(path)
            links = re.findall(r'(?:href|src)="(/[^"]+)"', answer.text) if path == "/" else []
            links += [f"/page/js/{name}" for name in re.findall(r' from "\./([^"]+)"', answer.text)]
            waiting += [link for link in links if link not in found]
        return found


@pytest.fixture
def server() -> Iterator[Server]:
    with SlackWorkspace(extra_routes=page_routes()) as workspace:
        yield Server(workspace.url)


def test_every_file_that_the_page_leads_to_is_served_with_its_type(server: Server) -> None:
    files = server.files()
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    assert len(files) > 20
    for path, answer in files.items():
        expected = types.get(path.rpartition(".")[2], "text/html; charset=utf-8")
        assert (path, answer.status) == (path, 200)
        assert answer.headers["Content-Type"] == expected
    assert "/page/js/main.js" in files
    assert "/page/css/base.css" in files


@pytest.mark.parametrize("path", ["/", "/page/js/main.js", "/page/commands.json", "/page/none.js"])
def test_nothing_is_kept_or_framed_and_only_this_server_is_allowed(
    server: Server, path: str
) -> None:
    headers = server.get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert set(headers["Content-Security-Policy"].split("; ")) == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_files_need_nothing_that_the_policy_forbids(server: Server) -> None:
    for path, answer in server.files().items():
        # The one address is the name of a vocabulary, of which nothing is fetched.
        text = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://\w", text), path
        assert not re.search(r"<style|<script(?! type=\"module\" src=\"/page/)", text), path
        assert not re.search(r"\sstyle=|\son\w+=\"", text), path
        assert "@import" not in text, path


def test_no_script_makes_markup_of_data(server: Server) -> None:
    ways = r"\.(?:inner|outer)HTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|Function\("
    for path, answer in server.files().items():
        assert not re.search(ways, answer.text), path


@pytest.mark.parametrize(
    "path",
    [
        "/page/../page.py",
        "/page/%2e%2e/page.py",
        "/page/js/../../control.py",
        "/page/..%2f..%2fcli.py",
        "/page//etc/passwd",
        "/page/js",
        "/page/",
    ],
)
def test_a_path_that_names_no_file_of_the_page_is_not_found(server: Server, path: str) -> None:
    answer = server.get(path)
    assert answer.status == 404
    assert "import" not in answer.text


def test_the_command_forms_are_those_that_the_bot_reads(server: Server) -> None:
    answer = server.get("/page/commands.json")
    assert json.loads(answer.text) == {"forms": FORMS}


def test_another_site_does_not_get_the_page(server: Server) -> None:
    assert server.get("/", Host="evil.example").status == 403
    assert server.get("/", **{"Sec-Fetch-Site": "cross-site"}).status == 403
