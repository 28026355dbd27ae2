"""YAML text as plain data that knows its lines, so that a finding can name one.

Read from parser events, not with a loader: nothing in the file is ever made into an object,
depth and size are bounded before they are built, and a key that stands twice is seen. Lines count
from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

MOST_BYTES = 2_000_000
"""Ten thousand clusters and a thousand rules are 1.2 MB."""

MOST_DEPTH = 20
MOST_VALUES = 300_000
"""Values in all, counted where aliases repeat them: a few lines of aliases can mean billions."""

MOST_ITEMS = 20_000
"""In one list or mapping. Each may be wrong in several ways, and each way takes memory."""

MOST_PROBLEMS = 200
"""Of the text itself; what follows is not read."""

_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null")}

FASTEST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML may be built without libyaml; both parsers give the same events, one more slowly."""


@dataclass(frozen=True, slots=True)
class YamlProblem:
    """What is wrong with the text itself, at which line, and what to do."""

    line: int
    message: str
    remedy: str


class YamlMap(dict[str, Any]):
    """A mapping. `line` is where it begins, `lines` where each key stands.

    `raw` holds the text of values that YAML does not read as text, such as numbers.
    """

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str | int, int] = {}
        self.raw: dict[str | int, str] = {}

    def at(self, key: Any) -> Any:
        return self[key]


class YamlList(list[Any]):
    """A sequence, with the same attributes by index."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str | int, int] = {}
        self.raw: dict[str | int, str] = {}

    def at(self, index: Any) -> Any:
        return self[index]


@dataclass(slots=True)
class _Value:
    """One value as built, with what has to be counted again where an alias repeats it."""

    data: Any
    line: int
    size: int = 1
    height: int = 1
    raw: str | None = None


@dataclass(slots=True)
class _Reader:
    events: Iterator[yaml.Event]
    problems: list[YamlProblem] = field(default_factory=list)
    anchors: dict[str, _Value] = field(default_factory=dict)
    resolver: Any = field(default_factory=Resolver)  # PyYAML's stubs leave `resolve` untyped
    constructor: SafeConstructor = field(default_factory=SafeConstructor)
    values: int = 0


class _TooMuch(Exception):
    """The text cannot be read on; the problem is already noted."""


def read_yaml(text: str, parser: Any = FASTEST) -> tuple[YamlMap | None, tuple[YamlProblem, ...]]:
    """The mapping that `text` holds, and every problem of the text itself.

    The mapping is None where it could not be read to its end, or is no mapping. Where there are
    problems and a mapping, the mapping is good for further checks and for nothing else. `parser`
    is one of PyYAML's loaders, used for its events alone.
    """
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        return None, (
            YamlProblem(
                1,
                f"The file is over {MOST_BYTES:,} bytes, so nothing of it was read.",
                "Split it into deployments, each with a file and a bot of its own.",
            ),
        )
    problems: list[YamlProblem] = []
    try:
        return _read(parser(text.removeprefix("\ufeff")), problems), tuple(problems)
    except _TooMuch:
        pass
    except yaml.YAMLError as error:
        problems.append(_syntax(error, text))
    except UnicodeEncodeError:
        problems.append(YamlProblem(1, "The file is not Unicode text.", "Save it as UTF-8."))
    return None, tuple(problems)


def _read(parser: Any, problems: list[YamlProblem]) -> YamlMap | None:
    try:
        reader = _Reader(_events(parser), problems)
        next(reader.events)  # the stream's start
        if isinstance(next(reader.events), yaml.StreamEndEvent):
            problems.append(YamlProblem(1, "The file is empty.", "Begin with `deployment: NAME`."))
            return None
        value = _value(reader, next(reader.events), 1)
        next(reader.events)  # the document's end
        after = next(reader.events)
        if not isinstance(after, yaml.StreamEndEvent):
            problems.append(
                YamlProblem(
                    _line(after),
                    "A second document begins here.",
                    "Keep one document in the file: take out the line `---`.",
                )
            )
            return None
    finally:
        parser.dispose()
    if isinstance(value.data, YamlMap):
        return value.data
    problems.append(
        YamlProblem(value.line, "The file is no mapping of keys.", "Begin with `deployment: NAME`.")
    )
    return None


def _events(parser: Any) -> Iterator[yaml.Event]:
    while parser.check_event():
        yield parser.get_event()


def _value(reader: _Reader, event: yaml.Event, depth: int) -> _Value:
    line = _line(event)
    if depth > MOST_DEPTH:
        _stop(reader, line, f"The file is nested more than {MOST_DEPTH} deep.")
    if isinstance(event, yaml.AliasEvent):
        value = _aliased(reader, event, depth)
    elif isinstance(event, yaml.ScalarEvent):
        value = _scalar(reader, event)
    elif isinstance(event, yaml.SequenceStartEvent):
        _refuse_tag(reader, event, "seq")
        value = _sequence(reader, line, depth)
    elif isinstance(event, yaml.MappingStartEvent):
        _refuse_tag(reader, event, "map")
        value = _mapping(reader, line, depth)
    else:
        raise TypeError(f"{event} begins no value")
    if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
        reader.values += 1
        if event.anchor is not None:
            reader.anchors[event.anchor] = value
    if len(reader.problems) > MOST_PROBLEMS:
        unread = "From here on the file was not read: there are too many findings."
        _stop(reader, line, unread, "Correct the others first.")
    if reader.values > MOST_VALUES:
        _stop(reader, line, f"The file has more than {MOST_VALUES:,} values, aliases counted.")
    return value


def _aliased(reader: _Reader, event: yaml.AliasEvent, depth: int) -> _Value:
    line = _line(event)
    value = reader.anchors.get(str(event.anchor))
    if value is None:
        # An alias inside its own anchor comes here too: the anchor is known when it is complete.
        reader.problems.append(
            YamlProblem(
                line,
                f"The alias `*{event.anchor}` refers to nothing above it.",
                f"Write `&{event.anchor}` in front of what it shall repeat.",
            )
        )
        return _Value("", line)
    if depth + value.height - 1 > MOST_DEPTH:
        _stop(reader, line, f"The file is nested more than {MOST_DEPTH} deep.")
    reader.values += value.size
    return value


def _scalar(reader: _Reader, event: yaml.ScalarEvent) -> _Value:
    line = _line(event)
    tag = event.tag
    if tag is None or tag == "!":
        tag = reader.resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
    elif tag not in _PLAIN:
        _note_tag(reader, line, tag)
    if tag not in _PLAIN or tag == f"{_TAG}str":
        return _Value(event.value, line)
    try:
        data = reader.constructor.construct_object(yaml.ScalarNode(tag, event.value))
        return _Value(data, line, raw=event.value)
    except (ValueError, yaml.YAMLError):
        return _Value(event.value, line)


def _sequence(reader: _Reader, line: int, depth: int) -> _Value:
    built = _Value(YamlList(line), line)
    for event in reader.events:
        if isinstance(event, yaml.SequenceEndEvent):
            break
        _put(reader, built, len(built.data), _value(reader, event, depth + 1), _line(event))
    return built


def _mapping(reader: _Reader, line: int, depth: int) -> _Value:
    built = _Value(YamlMap(line), line)
    merged: list[_Value] = []
    for event in reader.events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        key = _value(reader, event, depth + 1)
        key_line = _line(event)
        value = _value(reader, next(reader.events), depth + 1)
        if _is_merge(event):
            merged.append(value)
        elif not isinstance(key.data, str):
            shown = key.raw if key.raw is not None else "a list or mapping"
            remedy = f'Write it in quotes: `"{key.raw}"`.' if key.raw else "Write a word."
            reader.problems.append(YamlProblem(key_line, f"The key `{shown}` is not text.", remedy))
        elif key.data in built.data:
            reader.problems.append(
                YamlProblem(
                    key_line,
                    f"The key `{key.data}` stands twice here, first at line "
                    f"{built.data.lines[key.data]}.",
                    "Keep one of the two: YAML would silently take the last.",
                )
            )
        else:
            _put(reader, built, key.data, value, key_line)
    for value in merged:
        _merge(reader, built, value)
    return built


def _put(reader: _Reader, into: _Value, key: str | int, value: _Value, line: int) -> None:
    if value.data is None:
        # `requesters:` with nothing behind it would mean anybody; so nothing means nothing here.
        reader.problems.append(
            YamlProblem(
                line,
                f"`{key}` has no value." if isinstance(key, str) else "This item is empty.",
                "Give it one, or take it out.",
            )
        )
    if len(into.data) >= MOST_ITEMS:
        _stop(reader, line, f"More than {MOST_ITEMS:,} items stand in one list or mapping here.")
    if isinstance(into.data, YamlList):
        into.data.append(value.data)
    else:
        into.data[key] = value.data
    into.data.lines[key] = line
    if value.raw is not None:
        into.data.raw[key] = value.raw
    into.size += value.size
    into.height = max(into.height, value.height + 1)


def _merge(reader: _Reader, into: _Value, value: _Value) -> None:
    """The keys of `<<`, where they do not stand in the mapping itself."""
    maps = value.data if isinstance(value.data, YamlList) else [value.data]
    for other in maps:
        if not isinstance(other, YamlMap):
            reader.problems.append(
                YamlProblem(
                    value.line,
                    "`<<` takes in the keys of a mapping, and this is none.",
                    "Write `<<: *anchor` with the anchor of a mapping.",
                )
            )
            continue
        for key, data in other.items():
            if key not in into.data:
                into.data[key] = data
                into.data.lines[key] = other.lines[key]
                if key in other.raw:
                    into.data.raw[key] = other.raw[key]
    into.size += value.size
    into.height = max(into.height, value.height)


def _is_merge(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]


def _refuse_tag(reader: _Reader, event: yaml.CollectionStartEvent, kind: str) -> None:
    if event.tag not in (None, "!", f"{_TAG}{kind}"):
        _note_tag(reader, _line(event), event.tag)


def _note_tag(reader: _Reader, line: int, tag: str) -> None:
    reader.problems.append(
        YamlProblem(
            line, f"The tag `{tag}` is not for this file.", "Take it out and write the plain value."
        )
    )


def _stop(
    reader: _Reader, line: int, message: str, remedy: str = "Write it flatter and shorter."
) -> None:
    reader.problems.append(YamlProblem(line, message, remedy))
    raise _TooMuch


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _syntax(error: yaml.YAMLError, text: str) -> YamlProblem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    line = mark.line + 1 if mark is not None else 1
    shown = text.splitlines()[line - 1 : line]
    remedy = (
        "YAML is indented with spaces: replace the tab in this line."
        if shown and "\t" in shown[0]
        else "Look at this line and the one before it."
    )
    return YamlProblem(line, f"This is no valid YAML: {said}.", remedy)
