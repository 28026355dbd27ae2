"""Whether a request comes from a web site, which has no business with a server on this machine.

A browser sends to loopback whatever a page of any site asks it to. It says so in `Origin` and
`Sec-Fetch-Site`, and a site whose name was made to lead here (DNS rebinding) shows in `Host`.
Sources: Fetch Standard, "Origin header"; W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.core.addresses import is_loopback


def another_site(
    host: str, origin: str | None, fetched_from: str | None, *, pages_of_its_own: str | None
) -> str | None:
    """Why a request with these headers is another site's, or None.

    `pages_of_its_own` is the origin of the server's pages; None where it has none.
    """
    if not is_loopback(urlsplit(f"//{host}").hostname or ""):
        return f"the host {host!r} is not this machine"
    if origin is not None and origin != pages_of_its_own:
        return f"the origin {origin!r} is another site"
    if fetched_from in ("cross-site", "same-site"):
        return "the request comes from another site"
    return None


class LoopbackOnly:
    """Lets through what a browser on this machine asks of this very server, and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(HTTPConnection(scope))
        if problem is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": problem})
        else:
            await JSONResponse({"error": problem}, status_code=403)(scope, receive, send)

    def _problem(self, request: HTTPConnection) -> str | None:
        problem = foreign(request)
        if problem is None and request.scope.get("method") == "POST":
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            if kind != "application/json":
                return "a POST must be application/json"
        return problem


class NoOtherSite(LoopbackOnly):
    """Lets through what programs on this machine ask, in whatever form, and keeps web sites out."""

    def _problem(self, request: HTTPConnection) -> str | None:
        return foreign(request)


def foreign(request: HTTPConnection) -> str | None:
    """Why a request is not from this machine and this server's own pages; None when it is."""
    if request.client is not None and not is_loopback(request.client.host):
        return "this is only for the machine it runs on"
    headers = request.headers
    host = headers.get("host", "")
    own = f"http://{host}"
    return another_site(
        host, headers.get("origin"), headers.get("sec-fetch-site"), pages_of_its_own=own
    )
