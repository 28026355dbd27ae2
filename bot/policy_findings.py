"""What is wrong with a policy file, in sentences: file, line, what is so, what to do.

Findings come from the text (YAML), from the form of each entry (pydantic), and from whether the
entries fit each other (`core.policy_checks`). Here they all get their line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.core.names import listed, nearest, quoted
from bot.core.policy import Policy
from bot.core.policy_approval import MOST_APPROVERS, MOST_PER_DAY
from bot.core.policy_fields import PolicyFault
from bot.core.policy_problems import Location, Problem, Severity
from bot.yaml_lines import YamlList, YamlMap, YamlProblem

_MOST = {"required": MOST_APPROVERS, "per_day": MOST_PER_DAY}

MOST_FINDINGS = 100
"""So many are shown of one file; the rest is counted. Whoever has corrected these tries again."""

_MOST_LETTERS = 400
"""Of a sentence: a key or value that is repeated in one may be as long as the file."""

_WORDS_ALSO = {"approval": ", or a mapping with `channel:` and `owners:`"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a policy file. `line` counts from 1; 0 stands for the file as a whole."""

    file: str
    line: int
    message: str
    remedy: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.severity}: {self.message} {self.remedy}".rstrip()


def bounded(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by line, errors first where they are too many: so many, and how many more."""
    found = sorted(findings, key=lambda one: one.line)
    if len(found) > MOST_FINDINGS:
        found.sort(key=lambda one: one.severity is not Severity.ERROR)
    kept, more = sorted(found[:MOST_FINDINGS], key=lambda one: one.line), found[MOST_FINDINGS:]
    cut = [replace(one, message=_cut(one.message), remedy=_cut(one.remedy)) for one in kept]
    if more:
        said = f"There are {len(more):,} more findings." if len(more) > 1 else "There is one more."
        cut.append(Finding(more[0].file, 0, said, "Correct these first.", more[0].severity))
    return cut


def _cut(sentence: str) -> str:
    if len(sentence) <= _MOST_LETTERS:
        return sentence
    return f"{sentence[:_MOST_LETTERS]}… ({len(sentence) - _MOST_LETTERS:,} more characters)"


def from_text(problems: Iterable[YamlProblem], file: str) -> list[Finding]:
    """The problems of the YAML text itself."""
    return [Finding(file, one.line, one.message, one.remedy) for one in problems]


def from_form(
    error: ValidationError, data: YamlMap, file: str, *, model: type[BaseModel] = Policy
) -> list[Finding]:
    """The entries that are not of a valid form. `model` is that of the whole file."""
    return [
        _finding(details, data, file, model)
        for details in error.errors(include_url=False)
        if not _said_already(details)
    ]


def from_checks(problems: Iterable[Problem], data: YamlMap, file: str) -> list[Finding]:
    """The entries that do not fit each other."""
    found = []
    for one in problems:
        other = f" The other is at line {line_of(data, one.other)}." if one.other else ""
        line = line_of(data, one.at)
        found.append(Finding(file, line, one.message + other, one.remedy, one.severity))
    return found


def line_of(data: YamlMap, at: Sequence[str | int]) -> int:
    """The line of the entry at this place, or of the last one on the way that there is."""
    here: Any = data
    line = data.line
    for part in at:
        if isinstance(here, YamlMap | YamlList) and part in here.lines:
            line = here.lines[part]
            here = here.at(part)
    return line


def _said_already(details: ErrorDetails) -> bool:
    """Whether this only repeats another finding: an empty key, or a list left with bad items."""
    given = details["input"]
    return given is None or (details["type"] == "too_short" and len(given) > 0)


def _finding(details: ErrorDetails, data: YamlMap, file: str, model: type[BaseModel]) -> Finding:
    message, remedy = _sentences(details, data, model)
    return Finding(file, line_of(data, details["loc"]), message, remedy)


def _sentences(details: ErrorDetails, data: YamlMap, model: type[BaseModel]) -> tuple[str, str]:
    """What is so, then what to do."""
    way = _way(data, details["loc"])
    if details["type"] == "extra_forbidden":
        return _unknown_key(data, way, model)
    say = _SENTENCES.get(details["type"])
    if say is not None:
        return say(details, data, way)
    message = f"{_called(way)} is not valid: {details['msg']}."
    return message, "Compare it with the policy reference."


def _fault(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    fault = details["ctx"]["error"]
    if isinstance(fault, PolicyFault):
        return fault.message, fault.remedy
    return f"{_called(way)} is not valid: {fault}.", "Compare it with the policy reference."


def _missing(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    key = details["loc"][-1]
    return f"`{key}` is missing {_inside(way)}.", f"Add `{key}: …`."


def _unknown_key(data: YamlMap, way: Location, root: type[BaseModel]) -> tuple[str, str]:
    """With the key that was probably meant, or those that there are."""
    message = f"There is no key {quoted(str(way[-1]))} {_inside(way[:-1])}."
    model = _model_at(way[:-1], data, root)
    if model is None:
        return message, "Take it out."
    near = nearest(str(way[-1]), model.model_fields)
    if near is not None:
        return message, f"Did you mean `{near}`?"
    keys = listed((f"`{key}`" for key in model.model_fields), most=20)
    return message, f"Here you can write {keys}."


def _not_text(details: ErrorDetails, data: YamlMap, way: Location) -> tuple[str, str]:
    here: Any = data
    for part in way[:-1]:
        here = here.at(part)
    raw = here.raw.get(way[-1])
    if raw is None:
        return f"{_called(way)} must be text, not a list or mapping.", "Write one word."
    read_as = "true or false" if isinstance(details["input"], bool) else "a number"
    shown = f'{way[-1]}: "{raw}"' if isinstance(way[-1], str) else f'"{raw}"'
    return (
        f"{_called(way)} is read as {read_as} and must be text.",
        f"Put it in quotes: `{shown}`.",
    )


def _other_word(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    words = details["ctx"]["expected"].replace("'", "`")
    also = _WORDS_ALSO.get(str(way[-1]), "")
    return f"{_called(way)} cannot be {quoted(str(details['input']))}.", f"Write {words}{also}."


def _no_list(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    given = details["input"]
    plain = isinstance(given, str) and given.isprintable()
    remedy = f"Write `[{given[:80]}]`." if plain else "Write `[…, …]`, or a line `- …` for each."
    return f"{_called(way)} must be a list.", remedy


def _no_mapping(_: ErrorDetails, __: YamlMap, way: Location) -> tuple[str, str]:
    return f"{_called(way)} must be a mapping.", "Write its keys below it, each with a colon."


def _empty(_: ErrorDetails, __: YamlMap, way: Location) -> tuple[str, str]:
    return f"{_called(way)} is empty.", "Name at least one."


def _no_count(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    return (
        f"{_called(way)} cannot be {quoted(str(details['input']))}.",
        f"Write a whole number from 1 to {_MOST.get(str(way[-1]), 1000):,}, without quotes.",
    )


def _no_truth(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    return f"{_called(way)} cannot be {quoted(str(details['input']))}.", "Write `true` or `false`."


def _no_service_id(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    return (
        f"{_called(way)} cannot be {quoted(str(details['input']))}.",
        "Write the id that the on-call service shows: letters, digits and hyphens.",
    )


def _too_many(details: ErrorDetails, _: YamlMap, way: Location) -> tuple[str, str]:
    most = details["ctx"]["max_length"]
    return f"{_called(way)} has more than {most} items.", "Write fewer."


_SENTENCES: dict[str, Callable[[ErrorDetails, YamlMap, Location], tuple[str, str]]] = {
    "value_error": _fault,
    "missing": _missing,
    "string_type": _not_text,
    "literal_error": _other_word,
    "enum": _other_word,
    "tuple_type": _no_list,
    "model_type": _no_mapping,
    "dict_type": _no_mapping,
    "too_short": _empty,
    "int_type": _no_count,
    "greater_than_equal": _no_count,
    "less_than_equal": _no_count,
    "bool_type": _no_truth,
    "bool_parsing": _no_truth,
    "too_long": _too_many,
    "string_pattern_mismatch": _no_service_id,
}
"""How each of pydantic's kinds of error is said here."""


def _way(data: YamlMap, loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """Of pydantic's location, what stands in the file: it also names the branches of unions."""
    here: Any = data
    way: list[str | int] = []
    for part in loc:
        if isinstance(here, YamlMap | YamlList) and part in here.lines:
            way.append(part)
            here = here.at(part)
    return tuple(way)


def _called(way: Location) -> str:
    text = ""
    for part in way:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"`{text.removeprefix('.')}`" if way else "The file"


def _inside(way: Location) -> str:
    return f"in {_called(way)}" if way else "at the top of the file"


def _model_at(way: Location, data: YamlMap, root: type[BaseModel]) -> type[BaseModel] | None:
    """The model of the entry at this place; where several may stand there, the likeliest."""
    here: Any = root
    given: Any = data
    for part in way:
        given = given.at(part)
        if get_origin(here) is dict:
            here = get_args(here)[1]
        elif isinstance(part, str):
            model = _likeliest(here, ())
            here = model.model_fields[part].annotation if model is not None else None
        if get_origin(here) is not dict and isinstance(given, YamlMap):
            here = _likeliest(here, given)
    return _likeliest(here, ())


def _likeliest(annotation: Any, keys: Collection[str]) -> type[BaseModel] | None:
    """Of the models within an annotation such as `tuple[Rule, ...]`: that with most of `keys`."""
    return max(
        _models_in(annotation),
        key=lambda model: len(model.model_fields.keys() & set(keys)),
        default=None,
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
