"""Request ids: short, sortable by time, and unambiguous to read aloud.

An id is thirty bits in Crockford's base 32, written `7K3-QMX`: the seconds since 2025 at which the
request was made, or the next free second. The alphabet has no I, L, O and U, and reading takes
those that people write anyway. A request and its grant share one id, in Slack, SQL and AWS tags.
"""

from __future__ import annotations

from datetime import UTC, datetime

from bot.core.errors import InvalidInput
from bot.core.names import quoted

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_LENGTH = 6
_AROUND = "#()[]{}<>.,:;!?*_~\"'`"
"""What people and chats write around an id: a number's sign, brackets, the end of a sentence."""
_READ_AS = str.maketrans("ILO", "110")


def next_id(now: datetime, latest: str | None) -> str:
    """The id for a request made at `now`, after `latest`, the greatest id given so far.

    Ids always grow, also where two requests share a second or the clock goes back. Raises
    OverflowError once they are used up, in 2059.
    """
    number = max(0, int((now - _EPOCH).total_seconds()))
    if latest is not None:
        number = max(number, _number(latest) + 1)
    if number >= len(ALPHABET) ** _LENGTH:
        raise OverflowError("no request id is left")
    return _text(number)


def parse_id(text: str) -> str:
    """The canonical id for what a person typed: `7k3qmx`, `#7K3-QMX`, `(7K3-QMX)`.

    Raises InvalidInput where it cannot be an id.
    """
    compact = bare_id(text).replace("-", "").upper().translate(_READ_AS)
    # upper() makes ASCII letters of some others.
    letters = text.isascii() and set(compact) <= set(ALPHABET)
    if not letters or len(compact) != _LENGTH:
        raise InvalidInput(
            "bad_id",
            f"{quoted(text)} is no request id. An id looks like `7K3-QMX`; "
            "`/eks-access mine` lists yours.",
        )
    return f"{compact[:3]}-{compact[3:]}"


def bare_id(text: str) -> str:
    """What was typed without what people and chats write around an id."""
    return text.strip().strip(_AROUND)


def is_id(text: str) -> bool:
    """Whether this is an id exactly as the bot writes it."""
    try:
        return parse_id(text) == text
    except InvalidInput:
        return False


def _number(request_id: str) -> int:
    number = 0
    for letter in request_id.replace("-", ""):
        number = number * 32 + ALPHABET.index(letter)
    return number


def _text(number: int) -> str:
    letters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, 32)
        letters.append(ALPHABET[digit])
    compact = "".join(reversed(letters))
    return f"{compact[:3]}-{compact[3:]}"
