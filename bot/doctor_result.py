"""What one check of the set-up found, and the words that several checks share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_MOST_NAMED = 5


class Status(StrEnum):
    """OK. NOTE: worth knowing, and it works. FINDING: something will not work."""

    OK = "ok"
    NOTE = "note"
    FINDING = "finding"


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found, as a sentence; `remedy` is empty where there is nothing to do."""

    check: str
    status: Status
    message: str
    remedy: str = ""


def listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def one_line(text: str) -> str:
    return " ".join(text.split())
