"""The form of a file of cases: who asks for what and when, and what has to come of it.

An organisation keeps such a file beside its policy. People are named by words of the file's own, or
by Slack user ids; groups and on-call services have in it whom the file says, and nobody else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bot.core.model import Person
from bot.core.names import check_channel_id, check_group_id, quoted
from bot.core.policy_approval import Entry
from bot.core.policy_fields import Length, PolicyFault, UserId, checked

TEAM = "T0HOME"
"""The workspace that the bot of a case is installed in."""

_OTHER_TEAM = "T0OTHER"


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PolicyFault(
            f"{quoted(str(value))} is no moment.",
            "Write it with its time zone: `2026-12-24T08:00+01:00`.",
        )
    return moment.astimezone(UTC)


def _group_or_channel(text: str) -> str:
    return check_channel_id(text) if text.startswith(("C", "G")) else check_group_id(text)


Moment = Annotated[datetime, BeforeValidator(_moment)]
AnyGroup = Annotated[str, checked(_group_or_channel)]
Who = Annotated[str, AfterValidator(str)]
"""A name under `people`, or a Slack user id."""


class CasePerson(Entry):
    """Somebody as Slack would describe them."""

    id: UserId
    email: str | None = None
    email_confirmed: bool = True
    guest: bool = False
    bot: bool = False
    deactivated: bool = False
    other_organisation: bool = False
    other_workspace: bool = False

    @property
    def person(self) -> Person:
        return Person(
            self.id,
            _OTHER_TEAM if self.other_workspace else TEAM,
            self.id,
            self.email,
            email_confirmed=self.email_confirmed,
            is_guest=self.guest,
            is_bot=self.bot,
            deleted=self.deactivated,
            is_stranger=self.other_organisation,
        )


class CaseRequest(Entry):
    """What is asked for. No `namespaces` is no place, unless `whole_cluster` says which."""

    cluster: str
    level: str
    namespaces: tuple[str, ...] = ()
    whole_cluster: bool = False
    duration: Length | None = None
    at: Moment | None = None
    ticket: str | None = None
    reason: str = "Trying out the policy"


class CaseUse(Entry):
    """What an automatic rule has given the person within 24 hours."""

    times: Annotated[int, Field(strict=True, ge=0)] = 0
    time: Length | None = None

    @property
    def length(self) -> timedelta:
        return self.time or timedelta()


class CaseDeputy(Entry):
    """An owner's deputy, named `ago` for so long as it `lasts`."""

    owner: Who
    deputy: Who
    ago: Length
    lasts: Length


class CaseReview(Entry):
    """A click on Approve or Deny, when the request has waited for a while."""

    by: Who
    waited: Length | None = None
    approved_by: tuple[Who, ...] = ()
    deputies: tuple[CaseDeputy, ...] = ()


class CaseLaterReview(Entry):
    """A review of the break-glass, so long after its beginning."""

    by: Who
    after: Length


class ExpectedPart(Entry):
    """One of the approvals needed. What does not stand here is not looked at."""

    rule: str
    part: str = ""
    required: int | None = None
    owners: tuple[str, ...] | None = None
    channel: str | None = None


class Expected(Entry):
    """What has to come of it. What does not stand here is not looked at.

    A request is `automatic`, needs `approval` or is `refused`; a review is `allowed` or `refused`;
    `undecided` is what hangs on a group that nobody answers for. `code` is one of the reasons'.
    """

    outcome: Literal["automatic", "approval", "allowed", "refused", "undecided"]
    code: str | None = None
    says: str | None = None
    rules: tuple[str, ...] | None = None
    requires: tuple[ExpectedPart, ...] | None = None
    duration: Length | None = None
    max_duration: Length | None = None
    lapse_after: Length | None = None
    principal: str | None = None
    access: str | None = None
    shown_in: tuple[str, ...] | None = None
    ends_with_ticket: bool | None = None
    counts_for: tuple[str, ...] | None = None
    enough: bool | None = None


class Case(Entry):
    """One case. `unanswered` are groups that Slack does not answer for."""

    name: Annotated[str, Field(min_length=1)]
    person: Who
    request: CaseRequest
    now: Moment | None = None
    used: dict[str, CaseUse] = Field(default_factory=dict)
    unanswered: tuple[AnyGroup, ...] = ()
    break_glass: bool = False
    on_call: dict[str, tuple[str, ...] | Literal["down"]] | None = None
    overdue: tuple[str, ...] = ()
    revoked: str = ""
    live: tuple[str, ...] = ()
    review: CaseReview | None = None
    later_review: CaseLaterReview | None = None
    expect: Expected

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.later_review is not None and not self.break_glass:
            raise PolicyFault("Only a break-glass has a later review.", "Add `break_glass: true`.")
        if self.review is not None and self.later_review is not None:
            raise PolicyFault("This is a review and a later review.", "Make two cases of it.")
        return self


class CaseFile(Entry):
    """The whole file. `policy` is a path beside it; `now` holds where a case says none."""

    policy: str | None = None
    now: Moment | None = None
    people: dict[str, CasePerson] = Field(default_factory=dict)
    groups: dict[AnyGroup, tuple[Who, ...]] = Field(default_factory=dict)
    on_call: dict[str, tuple[str, ...] | Literal["down"]] = Field(default_factory=dict)
    cases: tuple[Case, ...] = Field(min_length=1)

    def person_called(self, word: str) -> Person:
        """The person of this name, or somebody of whom only the Slack user id is known."""
        known = self.people.get(word)
        return known.person if known is not None else Person(word, TEAM, word)
