"""Delivery over signed HTTP: what Slack does with a Request URL.

Source: Slack, "Verifying requests from Slack", "Events API" (retries, url_verification).
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode, urlsplit

from bot.sandbox.slack_model import Json

STALE_BY = 6 * 60


class Tampering(StrEnum):
    """What to do to the next request before it goes."""

    FORGED = "forged"
    STALE = "stale"
    UNSIGNED = "unsigned"
    ALTERED = "altered"


@dataclass(frozen=True)
class Sent:
    """A request as it went over the wire, to be sent again as a replay."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """The app's HTTP answer. `payload` is its JSON, or its text, or None where it was empty."""

    status: int
    headers: Mapping[str, str]
    payload: Any


class HttpDelivery:
    """Posts to the app's Request URL. `wire_clock` gives epoch seconds for the signatures.

    That clock is the one the app verifies with, so it is the real one unless a test moves both.
    """

    def __init__(self, url: str, secret: str, wire_clock: Callable[[], float]) -> None:
        self.url = url
        self._secret = secret
        self._wire_clock = wire_clock
        self._tampering: deque[Tampering] = deque()
        self.sent: list[Sent] = []

    def tamper(self, how: Tampering | str, *, times: int = 1) -> None:
        """Spoil the next requests: a forged, stale or missing signature, or an altered body."""
        self._tampering.extend([Tampering(how)] * times)

    def encode(self, kind: str, payload: Json) -> tuple[bytes, str]:
        """The body and content type Slack uses for this kind of payload."""
        if kind == "slash_commands":
            return urlencode(payload).encode(), "application/x-www-form-urlencoded"
        if kind == "interactive":
            body = urlencode({"payload": json.dumps(payload)})
            return body.encode(), "application/x-www-form-urlencoded"
        return json.dumps(payload).encode(), "application/json"

    def sign(self, body: bytes, content_type: str, extra: Mapping[str, str]) -> Sent:
        how = self._tampering.popleft() if self._tampering else None
        moment = int(self._wire_clock()) - (STALE_BY if how is Tampering.STALE else 0)
        secret = "not-the-secret" if how is Tampering.FORGED else self._secret
        signed = f"v0:{moment}:".encode() + body
        signature = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            **extra,
        }
        if how is not Tampering.UNSIGNED:
            headers["X-Slack-Request-Timestamp"] = str(moment)
            headers["X-Slack-Signature"] = signature
        sent = Sent(body + b" " if how is Tampering.ALTERED else body, headers)
        self.sent.append(sent)
        return sent

    def post(self, sent: Sent, timeout: float) -> Answer:
        """Post and read the answer. Blocks. Raises `OSError`, `TimeoutError` among them."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request("POST", parts.path or "/", sent.body, dict(sent.headers))
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        payload: Any = text or None
        if text and response.headers.get_content_type() == "application/json":
            payload = json.loads(text)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, payload)
