"""Other services, asked over HTTP for JSON: bounded in time and in size.

Whatever goes wrong ends in a WebProblem that a person can read. None holds a key, and neither does
a log line: what a service answers is never repeated.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

import bot
from bot.core.addresses import is_loopback, service_url
from bot.core.retry_after import retry_after

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger(__name__)

PROBLEM_KEPT = timedelta(seconds=5)
"""How long a problem is taken as still there, so that a service in trouble is left alone."""

MAX_BODY_BYTES = 4_000_000
"""The longest answer, a hundred on-call entries with their whole users, stays far below this."""

PATIENCE = 3.0
"""How many seconds a service may be silent; a whole answer may take twice as long."""

_OK = 200
_NOT_FOUND = 404

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Service:
    """A service's API. `headers` hold the key; `probe` is a path that only a valid key may read.

    Raises ValueError for a URL that no key may be sent to, and for a key that no header can hold.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    url_variable: str
    key_variable: str
    probe: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", service_url(self.url))
        if not all(value.isascii() and value.isprintable() for value in self.headers.values()):
            raise ValueError(f"{self.key_variable} has characters that no key has")


class WebProblem(Exception):
    """The service did not answer what was asked.

    `what` goes on from the service's name or an "it" (without a full stop); `remedy` is a sentence.
    `passing` problems go away by themselves; the others are for whoever runs the bot.
    """

    def __init__(self, code: str, what: str, remedy: str, *, passing: bool = False) -> None:
        super().__init__(f"{what}. {remedy}")
        self.code = code
        self.what = what
        self.remedy = remedy
        self.passing = passing

    def told(self, beginning: str) -> str:
        """The problem for a person in Slack, after what cannot be said because of it."""
        ask = "" if self.passing else "Tell whoever runs this bot: "
        return f"{beginning}: it {self.what}. {ask}{self.remedy}"


class NotThere(WebProblem):
    """There is nothing at that path (404)."""


class JsonWeb:
    """One service, asked with its key. Thread-safe.

    `patience` is how many seconds it may take to connect or be silent.
    """

    def __init__(self, service: Service, *, patience: float = PATIENCE) -> None:
        self.service = service
        self._patience = patience
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def get(self, path: str, query: Query = ()) -> dict[str, Any]:
        """The JSON object at a path, which is percent-encoded already. Raises WebProblem."""
        try:
            return self._get(path, query)
        except NotThere:
            raise  # a matter of the name, not of the service
        except WebProblem as problem:
            log.warning(
                "a service did not answer what was asked",
                service=self.service.name,
                problem=problem.what,
                remedy=problem.remedy,
            )
            raise

    def probe(self) -> None:
        """Ask for what only a valid key may read. Raises WebProblem."""
        self._get(self.service.probe, ())

    def malformed(self, what: str = "answers with something that cannot be read") -> WebProblem:
        """The problem of an answer that is not as the service's documentation says."""
        return WebProblem(
            "malformed", what, f"See whether {self.service.url_variable} names the API itself."
        )

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _get(self, path: str, query: Query) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 - a tenth of a second that most commands do not need

        try:
            url = f"{self.service.url}{path}"
            with self._open().stream("GET", url, params=list(query) or None) as response:
                self._refuse(response)
                body = self._body(response)
        except httpx.TimeoutException:
            raise self._slow() from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError):
            # A host that can be none is a UnicodeError. What an error says is not repeated: it may
            # name the whole URL, and that of a proxy with its password.
            raise self._passing(
                "unreachable", f"cannot be reached at {urlsplit(self.service.url).netloc}"
            ) from None
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise self.malformed() from None
        if not isinstance(answer, dict):
            raise self.malformed()
        return answer

    def _open(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                try:
                    self._client = _client(self.service, self._patience)
                except (ImportError, OSError, ValueError):
                    raise WebProblem(
                        "no_client",
                        "cannot be asked with the proxy or the certificates that are set",
                        "Correct HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
                    ) from None
            return self._client

    def _body(self, response: httpx.Response) -> bytes:
        until = time.monotonic() + 2 * self._patience
        received = bytearray()
        for chunk in response.iter_bytes():
            received += chunk
            if len(received) > MAX_BODY_BYTES:
                raise self.malformed("answers with more than can be read")
            if time.monotonic() > until:
                raise self._slow()
        return bytes(received)

    def _refuse(self, response: httpx.Response) -> None:
        """Raise what any status but 200 means."""
        status, service = response.status_code, self.service
        # Jira takes a key that it refuses for no key, and then finds nothing. Source: Atlassian,
        # "Basic auth for REST APIs".
        refused = response.headers.get("x-seraph-loginreason", "OK").split(",")[0] != "OK"
        if status == 401 or refused:  # noqa: PLR2004 - HTTP's own number, as the ones below
            remedy = f"Set {service.key_variable} to a key that {service.name} takes."
            raise WebProblem("refused", f"refuses the bot's key ({status})", remedy)
        if status == _OK:
            return
        if status == _NOT_FOUND:
            raise NotThere(
                "not_there",
                "has nothing by that name (404)",
                f"Compare the policy file, and {service.url_variable}, with {service.name}.",
            )
        if status == 403:  # noqa: PLR2004
            remedy = f"Give the key in {service.key_variable} the rights that docs/oncall.md lists."
            raise WebProblem("forbidden", "lets the bot's key not see this (403)", remedy)
        if status == 429:  # noqa: PLR2004
            raise self._passing(
                "rate_limited", "limits how often the bot may ask (429)", _wait(response.headers)
            )
        if status >= 500:  # noqa: PLR2004
            raise self._passing("broken", f"has a fault of its own ({status})")
        what = "answers with a redirect" if 300 <= status < 400 else "does not take the question"  # noqa: PLR2004
        raise self.malformed(f"{what} ({status})")

    def _slow(self) -> WebProblem:
        return self._passing("slow", "did not answer in time")

    def _passing(self, code: str, what: str, seconds: int = 0) -> WebProblem:
        wait = max(seconds, int(PROBLEM_KEPT.total_seconds()))
        return WebProblem(code, what, f"Try again in {wait} seconds.", passing=True)


def _client(service: Service, patience: float) -> httpx.Client:
    import httpx  # noqa: PLC0415 - as above

    client = httpx.Client(
        headers={
            **service.headers,
            "Accept-Encoding": "identity",
            "User-Agent": f"eks-access/{bot.__version__}",
        },
        timeout=patience,
        follow_redirects=False,
        # A proxy stands between here and the world, never between here and here.
        trust_env=not is_loopback(urlsplit(service.url).hostname or ""),
    )
    # A session's cookie could outlive the key that opened it.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _wait(headers: Mapping[str, str]) -> int:
    """The seconds that the service asks to be left alone for; 0 where it does not say.

    Source: RFC 9110, "Retry-After"; PagerDuty, "REST API Rate Limits" (`ratelimit-reset`).
    """
    asked = retry_after(headers) or retry_after(headers, "ratelimit-reset") or timedelta()
    return math.ceil(asked.total_seconds())
