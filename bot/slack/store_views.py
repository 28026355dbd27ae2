"""What people read of a store that went back, and of rows that nothing looked at. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.text import code, count, listed
from bot.store.never_due import Found

_MAX_SHOWN = 20


def went_back(ended: Sequence[str]) -> Message:
    """That the last decisions are lost, what the bot does about it, and what people should."""
    text = (
        ":rotating_light: The database of eks-access went back to an earlier state. What was "
        "requested, approved, denied or revoked last is lost."
    )
    lines = [
        "Access that was revoked is not given again. The bot reads every cluster now, removes what "
        "the database does not know of, and tells what it finds."
    ]
    if ended:
        shown = listed([code(one) for one in ended[:_MAX_SHOWN]])
        more = f" and {len(ended) - _MAX_SHOWN} more" if len(ended) > _MAX_SHOWN else ""
        lines.append(
            f"{count(len(ended), 'grant')} had not begun and will not: {shown}{more}. "
            "The people were told to ask again."
        )
    hand = (
        "Look at the failover or the restore. A lockdown, a delegation or a denial from the last "
        f"minutes may have to be repeated; {code('eks-access audit verify')} says where the audit "
        "trail ends."
    )
    return Message(text, [blocks.section("went_back", text, *lines), blocks.context("hand", hand)])


def unsure(number: int, place: str) -> Message:
    """That this may be the wrong database, what the bot does until then, and what people should."""
    entries = count(number, "access entry", "access entries")
    text = (
        ":rotating_light: eks-access may run on the wrong database. It gave no access from this "
        f"one yet, and found {entries} of this deployment made from another."
    )
    line = (
        f"The database is {code(place, 300)}. The bot does not touch what it does not know there. "
        "It gives access that people ask for, and takes that away on time."
    )
    hand = (
        f"If another bot runs for this deployment, set {code('DATABASE_URL')} to its database, or "
        f"give one of the two its own {code('deployment')}. If that database is lost, run "
        f"{code('eks-access adopt')}: it lists the entries and says what it would do."
    )
    return Message(text, [blocks.section("unsure", text, line), blocks.context("hand", hand)])


def adopted(number: int) -> Message:
    """That an operator had the bot take over what was made from another database."""
    text = (
        f":white_check_mark: An operator let eks-access take over "
        f"{count(number, 'access entry', 'access entries')} made from another database. It removes "
        "those that its own database does not know."
    )
    return Message(text, [blocks.section("adopted", text)])


def made_due(found: Sequence[Found]) -> Message:
    """That the bot found work that it had lost sight of."""
    rows = ", ".join(code(f"{one.table} {one.key}") for one in found[:_MAX_SHOWN])
    more = f" and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
    text = (
        f":warning: eks-access had lost sight of {count(len(found), 'row')} in its database. It "
        "looks at them again now."
    )
    hand = (
        f"{rows}{more}. This is a fault of eks-access, or somebody changed its database by hand. "
        "Report it with the log."
    )
    return Message(text, [blocks.section("made_due", text), blocks.context("rows", hand)])
