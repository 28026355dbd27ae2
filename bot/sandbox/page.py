"""The page of the sandbox: the files under `page/`, served as they are.

GET /                    the page
GET /page/…              its style sheets and scripts
GET /page/commands.json  {"forms": {"request": "request CLUSTER …", …}}: what `/eks-access` takes

Nothing is built and nothing comes from elsewhere: the Content-Security-Policy allows this server
alone, and no inline script or style.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.slack.commands import FORMS

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_routes() -> list[BaseRoute]:
    """The routes, for a server on loopback. A path that names no file of the page is 404."""
    there = _found(files("bot.sandbox").joinpath("page"))

    def index(request: Request) -> Response:
        del request
        return _file(there["index.html"])

    def commands(request: Request) -> Response:
        del request
        return JSONResponse({"forms": FORMS}, headers=HEADERS)

    def file(request: Request) -> Response:
        found = there.get(request.path_params["path"])
        if found is None:
            return Response("There is no such file.", status_code=404, headers=HEADERS)
        return _file(found)

    return [
        Route("/", index),
        Route("/page/commands.json", commands),
        Route("/page/{path:path}", file),
    ]


def _found(folder: Traversable, above: str = "") -> dict[str, Traversable]:
    """Every file of a known type under `folder`, by its path from there."""
    found: dict[str, Traversable] = {}
    for item in folder.iterdir():
        if item.is_dir():
            found |= _found(item, f"{above}{item.name}/")
        elif _suffix(item.name) in TYPES:
            found[f"{above}{item.name}"] = item
    return found


def _file(found: Traversable) -> Response:
    # Read each time, so that a file changed while the sandbox runs shows on reload.
    return Response(found.read_bytes(), media_type=TYPES[_suffix(found.name)], headers=HEADERS)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
