"""A local Jira: issues with a status, and who asks.

GET /rest/api/2/issue/{key}  version 3 too, where it is Cloud
GET /rest/api/2/myself

Cloud takes an email address and a token, Data Center a personal access token. Cloud takes a request
with a wrong token for one with none, says so in a header, and shows nothing. Source: Atlassian,
"The Jira Cloud platform REST API"; "Basic auth for REST APIs"; "Using personal access tokens".
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bot.sandbox.local_service import LocalService, answered

EMAIL = "eks-access@example.com"
TOKEN = "ATATT3xFfGF0-local_jira=0123ABCD"
_NO_ISSUE = "Issue does not exist or you do not have permission to see it."


class LocalJira(LocalService):
    """`issues` maps a key to the category of its status: `new`, `indeterminate` or `done`."""

    def __init__(self, *, cloud: bool = True) -> None:
        super().__init__(TOKEN)
        self.cloud = cloud
        self.issues: dict[str, str] = {}
        self.moved: dict[str, str] = {}

    def put_issue(self, key: str, category: str = "new") -> None:
        """Add an issue, or change the category of its status."""
        self.issues[key] = category

    def move(self, key: str, to: str) -> None:
        """Move an issue to another project. It answers to its old key too."""
        self.issues[to] = self.issues.pop(key)
        self.moved[key] = to

    def refuse(self, request: Request, path: str) -> Response | None:
        basic = b64encode(f"{EMAIL}:{self.key}".encode()).decode()
        expected = f"Basic {basic}" if self.cloud else f"Bearer {self.key}"
        if request.headers.get("authorization") == expected:
            return None
        if self.cloud and "/issue/" in path:
            return _errors(404, _NO_ISSUE, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
        return _errors(401, "Client must be authenticated to access this resource.")

    def answer(self, request: Request, path: str) -> Response:
        version, _, rest = path.removeprefix("/rest/api/").partition("/")
        if version not in (("2", "3") if self.cloud else ("2",)):
            return Response("<html>Not found</html>", 404, {"Content-Type": "text/html"})
        if rest == "myself":
            return self._good({"emailAddress": EMAIL, "active": True})
        key = rest.removeprefix("issue/")
        key = self.moved.get(key, key)
        if key not in self.issues:
            return _errors(404, _NO_ISSUE)
        fields: dict[str, Any] = {"summary": "Something to do"}
        category = self.issues[key]
        fields["status"] = {"name": category.title(), "statusCategory": {"id": 2, "key": category}}
        wanted = request.query_params.get("fields")
        if wanted:
            fields = {name: one for name, one in fields.items() if name in wanted.split(",")}
        return self._good({"id": "10001", "key": key, "fields": fields})

    def _good(self, body: Any) -> Response:
        return answered(body) if self.cloud else answered(body, X_Seraph_LoginReason="OK")


def _errors(status: int, message: str, **headers: str) -> Response:
    return answered({"errorMessages": [message], "errors": {}}, status, **headers)
