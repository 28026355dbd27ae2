"""Whether a ticket is open, asked of Jira, or of PagerDuty for an incident.

What somebody typed reaches the service only if it has the form of the service's own keys. What a
service does not say plainly it has not said: the ticket is then neither open nor closed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot import services
from bot.core.names import quoted
from bot.core.tickets import (
    CLOSED,
    OPEN,
    TicketState,
    TicketStatus,
    is_jira_key,
    is_pagerduty_incident,
)
from bot.kept import Kept
from bot.web import PATIENCE, PROBLEM_KEPT, JsonWeb, NotThere, Service, WebProblem

KEPT = timedelta(seconds=15)
"""How long an answer is used. A grant may outlive its ticket by so much more."""

Clock = Callable[[], datetime]


class _MovedError(Exception):
    """The service has the ticket under another key, `to`."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


class TicketService(ABC):
    """A service that knows tickets, with its answers kept for some seconds. Thread-safe.

    `service` is None where it is not set up: then it says so when asked. `patience` is JsonWeb's.
    """

    name: str
    noun: str
    example: str
    variables: str

    def __init__(self, service: Service | None, *, clock: Clock, patience: float) -> None:
        self._web = JsonWeb(service, patience=patience) if service is not None else None
        self._kept = Kept(self._ask, lasts=_lasts, clock=clock)

    def status(self, ticket: str) -> TicketStatus:
        """Whether the ticket is open now. Never raises."""
        if not self._is_key(ticket):
            return TicketStatus.unknown(
                f"{quoted(ticket)} is no {self.noun} of {self.name}. Give one such as "
                f"`{self.example}`."
            )
        return self._kept.get(ticket)

    def close(self) -> None:
        """Close the connections."""
        if self._web is not None:
            self._web.close()

    @abstractmethod
    def _is_key(self, ticket: str) -> bool: ...

    @abstractmethod
    def _is_open(self, web: JsonWeb, ticket: str) -> bool:
        """The ticket has the form of a key. Raises _MovedError, WebProblem and ValidationError."""

    def _ask(self, ticket: str) -> TicketStatus:
        beginning = f"{self.name} did not say whether {quoted(ticket)} is open"
        if self._web is None:
            return TicketStatus.unavailable(
                f"{beginning}: {self.variables} not set. Tell whoever runs this bot: "
                "docs/oncall.md says what to set."
            )
        try:
            return OPEN if self._is_open(self._web, ticket) else CLOSED
        except NotThere:
            return TicketStatus.unknown(
                f"{self.name} shows the bot no {self.noun} {quoted(ticket)}. Compare it with "
                f"{self.name}; if it is there, tell whoever runs this bot that its key may not "
                "read it."
            )
        except _MovedError as moved:
            return TicketStatus.unknown(
                f"{quoted(ticket)} was moved in {self.name}, where it is {quoted(moved.to)} now, "
                f"so the {self.noun} that was named is no longer there. Name one that is."
            )
        except WebProblem as problem:
            return TicketStatus.unavailable(problem.told(beginning))
        except ValidationError:
            return TicketStatus.unavailable(self._web.malformed().told(beginning))


class Jira(TicketService):
    """`GET /rest/api/2/issue/{key}`: an issue is closed where its status is of the category `done`.

    Version 2, because Data Center has no version 3, and both answer the same for a status. An issue
    that was moved answers to its old key too, under its new one. It is another ticket then: it lies
    in another project, where others say what is open. Source: Atlassian, "The Jira Cloud platform
    REST API", "Get issue"; "Jira Data Center platform REST API".
    """

    name = "Jira"
    noun = "issue"
    example = "PAY-1423"
    variables = "JIRA_URL and JIRA_TOKEN are"

    def __init__(
        self,
        url: str | None,
        email: str | None,
        token: str | None,
        *,
        clock: Clock,
        patience: float = PATIENCE,
    ) -> None:
        service = services.jira(url, email, token) if url and token else None
        super().__init__(service, clock=clock, patience=patience)

    def _is_key(self, ticket: str) -> bool:
        return is_jira_key(ticket)

    def _is_open(self, web: JsonWeb, ticket: str) -> bool:
        answer = web.get(f"/rest/api/2/issue/{quote(ticket, safe='')}", [("fields", "status")])
        issue = _Issue.model_validate(answer)
        if issue.key != ticket:
            raise _MovedError(issue.key)
        return issue.fields.status.category.key != "done"


class PagerDutyIncidents(TicketService):
    """`GET /incidents/{id}`: an incident is closed where its status is `resolved`.

    Source: PagerDuty's OpenAPI document, "Get an incident".
    """

    name = "PagerDuty"
    noun = "incident"
    example = "Q1XVIGDOPM2UJ4"
    variables = "PAGERDUTY_TOKEN is"

    def __init__(
        self, url: str, token: str | None, *, clock: Clock, patience: float = PATIENCE
    ) -> None:
        service = services.pagerduty(url, token) if token else None
        super().__init__(service, clock=clock, patience=patience)

    def _is_key(self, ticket: str) -> bool:
        return is_pagerduty_incident(ticket)

    def _is_open(self, web: JsonWeb, ticket: str) -> bool:
        incident = _Incident.model_validate(
            web.get(f"/incidents/{quote(ticket, safe='')}")
        ).incident
        if ticket not in {incident.id, str(incident.number)}:
            raise web.malformed("answers for another incident")
        return incident.status != "resolved"


class TicketServices:
    """Every service that the policy may name under `tickets.check`."""

    def __init__(self, jira: Jira, pagerduty: PagerDutyIncidents) -> None:
        self._by_name: dict[str, TicketService] = {"jira": jira, "pagerduty": pagerduty}

    def status(self, service: str, ticket: str) -> TicketStatus:
        """Whether the ticket is open now. Never raises."""
        return self._by_name[service].status(ticket)

    def close(self) -> None:
        """Close the connections."""
        for service in self._by_name.values():
            service.close()


class _Answer(BaseModel):
    """Part of what a service answers; what is not named here is not looked at."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Category(_Answer):
    """`undefined` is the category of a status that was given none."""

    key: Literal["new", "indeterminate", "done", "undefined"]


class _Status(_Answer):
    category: _Category = Field(alias="statusCategory")


class _Fields(_Answer):
    status: _Status


class _Issue(_Answer):
    key: str
    fields: _Fields


class _IncidentBody(_Answer):
    id: str
    number: int = Field(alias="incident_number")
    status: Literal["triggered", "acknowledged", "resolved"]


class _Incident(_Answer):
    incident: _IncidentBody


def _lasts(status: TicketStatus) -> timedelta:
    told = status.state in {TicketState.OPEN, TicketState.CLOSED}
    return KEPT if told else PROBLEM_KEPT
