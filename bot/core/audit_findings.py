"""What happened to an audit trail, told from where its chain does not hold, and from its anchors.

Each finding names the event: its position in the chain, its id, its request.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from bot.core.audit_chain import digest_of, link
from bot.core.audit_scan import START, Gap, Place, Scan, Unfit, Unlinked

_MOST_EXCHANGED = 50
"""Among how many events that do not fit those are looked for that changed places."""

_FIXED = (
    "Nobody can change an object in S3 once it is stored. If another identity than the bot's "
    "stored it, that is false instead: CloudTrail tells."
)
_COMPARE = (
    "If somebody may have changed that line, or it is another trail's, compare it with the same "
    "position in another place."
)


class Kind(StrEnum):
    """What was done to the trail."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    INSERTED = "inserted"
    CUT_OFF = "cut off"
    REWRITTEN = "rewritten"
    UNGUARDED = "unguarded"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `sentence` says it for people; None is what cannot be known."""

    kind: Kind
    sentence: str
    position: int | None = None
    event_id: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that was written down outside the database. `source` says where it was read.

    `at` is when it was written down, where that is known. `fixed` says that it lies where nobody
    can change what was written.
    """

    position: int
    hash: str
    source: str
    deployment: str | None = None
    at: datetime | None = None
    fixed: bool = False


def findings(scan: Scan) -> list[Finding]:
    """What the chain itself shows, by position."""
    order = list(_unlinked(scan.unlinked, {one.place.position for one in scan.unfit}))
    forged = {one.position for one in order if one.kind is Kind.INSERTED}
    found = [
        *(_about(Kind.MISSING, one, "is gone; its seal is still there") for one in scan.gone),
        *(
            _about(Kind.INSERTED, one, "stands where another stands already")
            for one in scan.doubled
        ),
        *(_gap(one) for one in scan.gaps),
        *_unfit([one for one in scan.unfit if one.place.position not in forged]),
        *order,
        *(_loose(*one) for one in scan.loose),
        *(_strange(*one) for one in scan.strange),
    ]
    return sorted(found, key=lambda one: one.position or 0)


class _Fit:
    """The anchors that fit, of which the last that is older than another is asked for.

    They are added by position, which is not their order in time where a trail was rewritten.
    """

    def __init__(self) -> None:
        self._by_time: list[tuple[datetime, Anchor]] = []
        self._without_time: Anchor | None = None

    def add(self, anchor: Anchor) -> None:
        if anchor.at is None:
            self._without_time = anchor
            return
        while self._by_time and self._by_time[-1][0] >= anchor.at:
            self._by_time.pop()  # the new one is as old, and vouches for more
        self._by_time.append((anchor.at, anchor))

    def before(self, anchor: Anchor) -> Anchor | None:
        """The last that is older; where times do not tell, the last that may be."""
        if anchor.at is None:
            timed = self._by_time[-1][1] if self._by_time else None
            found = [one for one in (timed, self._without_time) if one is not None]
            return max(found, key=lambda one: one.position, default=None)
        until = bisect_right(self._by_time, anchor.at, key=lambda one: one[0])
        return self._by_time[until - 1][1] if until else self._without_time


def against_anchors(scan: Scan, anchors: Sequence[Anchor]) -> list[Finding]:
    """What the anchors show: the end cut off, or a span of the chain written anew.

    An anchor that does not fit is evidence whatever was anchored later: a bot that runs on after
    the trail was rewritten anchors the new one.
    """
    fit = _Fit()
    spans: dict[Anchor | None, list[Anchor]] = {}
    for anchor in sorted(anchors, key=lambda one: one.position):
        if _hash_at(scan, anchor.position) == anchor.hash:
            fit.add(anchor)
        elif anchor.position <= scan.last.position:
            spans.setdefault(fit.before(anchor), []).append(anchor)
    found = [
        _rewritten(scan, vouched, span, _next_fit(scan, anchors, span))
        for vouched, span in spans.items()
    ]
    beyond = [one for one in anchors if one.position > scan.last.position]
    if beyond:
        found.append(_cut_off(scan.last, max(beyond, key=lambda one: one.position)))
    return found


def unguarded(trigger: str) -> Finding:
    """The database no longer refuses to change the trail."""
    return Finding(
        Kind.UNGUARDED,
        f"The database's trigger {trigger} is missing or turned off, so the trail could be "
        "changed. Find out who did it; the statements that make it are in migration 0002.",
    )


def _hash_at(scan: Scan, position: int) -> str | None:
    place = START if position == 0 else scan.seen.get(position)
    return place.hash if place is not None else None


def _next_fit(scan: Scan, anchors: Sequence[Anchor], span: Sequence[Anchor]) -> Anchor | None:
    """The first anchor that fits the trail as it is now and was made after those of the span."""
    latest = max((one.at for one in span if one.at is not None), default=None)
    after = [
        one
        for one in anchors
        if _hash_at(scan, one.position) == one.hash
        and (
            (one.at, one.position) >= (latest, span[-1].position)
            if one.at is not None and latest is not None
            else one.position >= span[-1].position
        )
    ]
    return min(after, key=lambda one: one.position, default=None)


def _rewritten(
    scan: Scan, vouched: Anchor | None, span: Sequence[Anchor], after: Anchor | None
) -> Finding:
    """`vouched` is the anchor that fits before the span, `after` the first that fits again."""
    last = span[-1]
    place = scan.seen.get(last.position)
    up_to = _name(place) if place is not None else f"position {last.position}"
    since = f"after position {vouched.position}" if vouched else "somewhere from its beginning on"
    others = f", nor {len(span) - 1} older of this span" if len(span) > 1 else ""
    said = [
        f"The trail was rewritten {since}, up to {up_to} at least{_when(span, after)}: the anchor "
        f"of position {last.position} ({last.source}) does not fit{others}."
    ]
    if vouched is not None:
        sure = vouched.at is not None and all(one.at is not None for one in span)
        unless = "" if sure else ", if it is the older one"
        said.append(f"An anchor vouches for all up to position {vouched.position}{unless}.")
    if after is not None:
        said.append(
            f"The anchor of position {after.position} fits because it was made after that: it "
            "vouches for the rewritten trail, not for the first one."
        )
    said.append(_FIXED if any(one.fixed for one in span) else _COMPARE)
    return Finding(
        Kind.REWRITTEN,
        " ".join(said),
        position=last.position,
        event_id=place.event_id if place is not None else None,
        request_id=place.request_id if place is not None else None,
    )


def _when(span: Sequence[Anchor], after: Anchor | None) -> str:
    """Between which moments it was rewritten, where the anchors tell."""
    latest = max((one.at for one in span if one.at is not None), default=None)
    if latest is None:
        return ""
    if after is None or after.at is None:
        return f", later than {latest:%Y-%m-%d %H:%M:%S} UTC"
    return f", between {latest:%Y-%m-%d %H:%M:%S} and {after.at:%Y-%m-%d %H:%M:%S} UTC"


def _cut_off(last: Place, anchor: Anchor) -> Finding:
    gone = anchor.position - last.position
    many = f"{gone} events" if gone > 1 else "one event"
    after = f"after {_name(last)}" if last.position else "at the beginning"
    return Finding(
        Kind.CUT_OFF,
        f"The end is cut off {after}: an anchor ({anchor.source}) vouches for position "
        f"{anchor.position}, so at least {many} from position {last.position + 1} on are gone.",
        position=last.position + 1,
    )


def _gap(gap: Gap) -> Finding:
    first, last = gap.before.position + 1, gap.behind.position - 1
    if gap.joined:
        return _about(
            Kind.REORDERED,
            gap.behind,
            f"stands at position {gap.behind.position} and was sealed at {first}",
        )
    what = f"positions {first} to {last}" if last > first else f"position {first}"
    return Finding(
        Kind.MISSING,
        f"What was sealed at {what} is gone with its seals, between {_name(gap.before)} and "
        f"{_name(gap.behind)}.",
        position=first,
    )


def _unfit(unfit: Sequence[Unfit]) -> Iterator[Finding]:
    """Events that are not as they were sealed; some of them may have changed places."""
    for one in unfit:
        others = (two for two in unfit[:_MOST_EXCHANGED] if two is not one)
        other = next((two for two in others if _exchanged(one, two)), None)
        if other is not None:
            said = f"stands where event {other.event.id} was sealed, and the other way round"
            yield _about(Kind.REORDERED, one.place, said)
        elif one.restored:
            yield _about(Kind.CHANGED, one.place, "is as it was sealed, but its seal was changed")
        else:
            yield _about(Kind.CHANGED, one.place, "is not as it was sealed")


def _exchanged(one: Unfit, two: Unfit) -> bool:
    """Whether the place of `one` was sealed with what now stands at that of `two`."""
    candidates = (two.event, two.event._replace(id=one.event.id))
    return any(digest_of(event, one.sealed_at) == one.place.digest for event in candidates)


def _unlinked(unlinked: Sequence[Unlinked], unfit: Collection[int]) -> Iterator[Finding]:
    """Seals that do not follow the one before them: find the one that each does follow.

    What stands at the positions `unfit` is told already, and a copied seal there proves nothing.
    """
    rest, altered = _without_altered([one for one in unlinked if one.place.position not in unfit])
    for place in altered:
        yield _about(Kind.CHANGED, place, "is as it was sealed, but its seal was changed")
    known = {START.position: START}
    for one in unlinked:
        known |= {place.position: place for place in (*one.earlier, one.place)}
    fit = [place for place in known.values() if place.position not in unfit]
    follows = {
        one.place.position: before.position
        for one in rest
        for before in fit
        if link(before.hash, one.place.digest) == one.place.hash
    }
    # Nothing was put in where no seal stands: the one that was there stands elsewhere.
    inserted = _inserted(follows) & known.keys()
    for position in sorted(inserted):
        yield _about(Kind.INSERTED, known[position], "was put in afterwards")
    for one in rest:
        position = one.place.position
        if position not in follows and position not in inserted:
            yield _about(Kind.MISSING, one.place, f"does not follow {_before(one)}")
        elif position in follows and not inserted >= _between(position, follows):
            right = _right_position(position, follows)
            if right != position:
                said = f"stands at position {position} and was sealed at {right}"
                yield _about(Kind.REORDERED, one.place, said)


def _without_altered(unlinked: Sequence[Unlinked]) -> tuple[list[Unlinked], list[Place]]:
    """Take out seals whose hash alone was changed: with the right one, the next follows."""
    rest, altered = list(unlinked), []
    for one, after in pairwise(unlinked):
        right = link(one.earlier[-1].hash, one.place.digest)
        if (
            after.place.position == one.place.position + 1
            and link(right, after.place.digest) == after.place.hash
        ):
            altered.append(one.place)
            rest = [two for two in rest if two is not one and two is not after]
    return rest, altered


def _between(position: int, follows: Mapping[int, int]) -> set[int]:
    """The positions between a seal and the one that it follows."""
    return set(range(follows[position] + 1, position)) or {position}


def _inserted(follows: Mapping[int, int]) -> set[int]:
    """Positions that stand between a seal and the one it follows, where nothing else goes there.

    Where one of them follows, or is followed by, a seal elsewhere, they have changed places.
    """
    inserted: set[int] = set()
    for position, before in follows.items():
        between = set(range(before + 1, position))
        into = {two for one, two in follows.items() if one not in between}
        out = {two for one, two in follows.items() if one in between}
        if between.isdisjoint(into) and out <= between | {before}:
            inserted |= between
    return inserted


def _right_position(position: int, follows: Mapping[int, int]) -> int:
    """Where the seal at a position stood, counted from those that have not moved."""
    moved = max((one for one in follows if one <= position), default=None)
    if moved is None:
        return position
    return _right_position(follows[moved], follows) + 1 + position - moved


def _before(one: Unlinked) -> str:
    before = one.earlier[-1]
    name = f"event {before.event_id}" if before.position else "the beginning"
    return f"{name}: what stood between them is gone, or this one was exchanged"


def _loose(event_id: int, request_id: str | None) -> Finding:
    said = "has no seal and waits for none: it was put in past the triggers, or its seal removed"
    return _outside(event_id, request_id, said)


def _strange(event_id: int, request_id: str | None) -> Finding:
    said = "waits for a seal and gets none, for the bot cannot have written it"
    return _outside(event_id, request_id, said)


def _outside(event_id: int, request_id: str | None, said: str) -> Finding:
    name = f"Event {event_id}" + (f" (request {request_id})" if request_id else "")
    return Finding(Kind.INSERTED, f"{name} {said}.", event_id=event_id, request_id=request_id)


def _about(kind: Kind, place: Place, said: str) -> Finding:
    name = _name(place)
    sentence = f"{name[0].upper()}{name[1:]} {said}."
    return Finding(kind, sentence, place.position, place.event_id, place.request_id)


def _name(place: Place) -> str:
    if not place.position:
        return "the beginning"
    return f"event {place.event_id} (position {place.position}{_request(place.request_id)})"


def _request(request_id: str | None) -> str:
    return f", request {request_id}" if request_id else ""
