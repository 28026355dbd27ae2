"""The words of `/eks-access request …`: its options, wherever they stand, and all the others.

Takes what phones make of options: a long dash for two hyphens, curly quotes. The sentences say what
was understood, what was not, and give the nearest valid form as something to paste.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.core.errors import InvalidInput
from bot.core.names import quoted
from bot.slack.text import count, listed

DASHES = re.compile("[-\u2010-\u2015\u2212]")

_OPTIONS = ("namespace", "for", "at", "ticket")
_EXAMPLES = {"namespace": "NS", "for": "2h", "ticket": "T", "at": "TIME"}
_DOUBLE_QUOTES = '"\u201c\u201d\u201e\u201f\u00ab\u00bb'
_QUOTES = _DOUBLE_QUOTES + "'`\u2018\u2019\u201a\u201b"
_OPTION = re.compile(rf"({DASHES.pattern}+)([A-Za-z][A-Za-z-]*)(?:=(.*))?\Z", re.DOTALL)
_AMOUNT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?\Z")
_UNIT = re.compile(
    r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)\Z", re.IGNORECASE
)
_DAY = re.compile(r"(?:today|tomorrow|[0-9]{4}-[0-9]{2}-[0-9]{2})\Z", re.IGNORECASE)
_CLOCK = re.compile(r"[0-9]{1,2}[:.h][0-9]{2}", re.IGNORECASE)
# "fort" is no typing error for "for", "namepsace" is one for "namespace".
_SURELY_MEANT = 0.88
_PERHAPS_MEANT = 0.5


@dataclass(slots=True)
class Words:
    """What was read: options by name, and the other words in their order."""

    options: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    command: str = "request"

    def option(self, name: str) -> str | None:
        return self.options[name][0] if name in self.options else None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces named, each once. `a,b` and a second `--namespace` add up."""
        values = ",".join(self.options.get("namespace", [])).split(",")
        return tuple(dict.fromkeys(filter(None, map(unquoted, values))))

    def to_paste(self, **options: str) -> str:
        """The request as understood, `options` in place of those read, capitals for what lacks."""
        words = ["/eks-access", self.command, *self.others[:2]]
        words += ("CLUSTER", "LEVEL")[len(self.others) :]
        for name in _options_of(self.command):
            value = options.get(name) or ",".join(self.options.get(name, []))
            words += [f"--{name}", value] if value else []
        words.append(" ".join(self.others[2:]) or "REASON")
        return quoted(" ".join(words), 400)

    def missing(self, what: str) -> InvalidInput:
        """The error where `what`, a cluster, level or reason, was not given."""
        named = zip(("cluster", "level"), self.others, strict=False)
        understood = [f"{kind} {quoted(word)}" for kind, word in named]
        understood += [quoted(f"--{name} {','.join(one)}") for name, one in self.options.items()]
        read = f"I read {listed(understood)}. " if understood else ""
        readers = "who review it" if self.command == "break-glass" else "who decide"
        why = f" The people {readers} read it." if what == "reason" else ""
        return InvalidInput(
            f"missing_{what}",
            f"{read}The {what} is missing.{why} The form is {self.to_paste()}.",
            field=what,
        )


def read_words(words: Sequence[str], command: str = "request") -> Words:
    """Sort the words of `command` into options and others. After a lone `--` nothing is an option.

    Raises InvalidInput for an unknown option, one without a value, and one given twice.
    """
    read = Words(command=command)
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            read.others += waiting
            break
        name, value = _option(word)
        if name is None:
            read.others.append(word)
            continue
        if name not in _OPTIONS:
            raise _unknown(word, name, read, waiting)
        if value is None and waiting and _is_word(waiting[0]):
            value = waiting.pop(0)
        value = _whole(name, value or "", waiting)
        if not value.strip(","):
            form = read.to_paste(**{name: _EXAMPLES[name]})
            raise InvalidInput("missing_value", f"`--{name}` has no value. For example: {form}.")
        if name in read.options and name != "namespace":
            first = read.options[name][0]
            raise InvalidInput(
                "duplicate_option",
                f"`--{name}` stands there twice, with {quoted(first)} and {quoted(value)}. "
                f"Keep one, for example {read.to_paste()}.",
            )
        read.options.setdefault(name, []).append(value)
    return read


def _options_of(command: str) -> tuple[str, ...]:
    """The options that a command takes: break-glass begins at once."""
    return tuple(name for name in _OPTIONS if command != "break-glass" or name != "at")


def unquoted(word: str) -> str:
    """A word without quotes around it, straight or curly."""
    return word.strip(_QUOTES)


def unwrapped(reason: str) -> str:
    """A reason without the one pair of double quotes around the whole of it."""
    around = len(reason) > 1 and reason[0] in _DOUBLE_QUOTES and reason[-1] in _DOUBLE_QUOTES
    inside = reason[1:-1].strip()
    return inside if around and not set(inside) & set(_DOUBLE_QUOTES) else reason


def _option(word: str) -> tuple[str | None, str | None]:
    """The option's name and value in `word`; no name where it is a word like others.

    Two hyphens always begin an option. One hyphen does so only before the name of one, and a dash
    that a phone put there before what is surely meant as one: a reason may have dashes.
    """
    match = _OPTION.match(word)
    if match is None:
        return None, None
    dashes, name, value = match.group(1), match.group(2).lower(), match.group(3)
    if name == "namespaces":
        name = "namespace"
    if dashes == "-":
        known = name in _OPTIONS
    else:
        meant = difflib.get_close_matches(name, _OPTIONS, 1, _SURELY_MEANT)
        known = dashes == "--" or bool(meant)
    return (name, value) if known else (None, None)


def _is_word(word: str) -> bool:
    return word != "--" and _option(word)[0] is None


def _whole(name: str, value: str, waiting: list[str]) -> str:
    """The value with what belongs to it in the words after: `a, b` and `2 days`."""
    if name == "namespace":
        while waiting and _is_word(waiting[0]) and ("," in (value[-1:], waiting[0][0])):
            value += waiting.pop(0)
    if name == "at" and waiting and _DAY.match(unquoted(value)) and _CLOCK.match(waiting[0]):
        value = f"{unquoted(value)} {waiting.pop(0)}"
    if name == "for" and _AMOUNT.match(value) and waiting and _UNIT.match(unquoted(waiting[0])):
        value = f"{value} {unquoted(waiting.pop(0))}"
    return unquoted(value)


def _unknown(word: str, name: str, read: Words, waiting: Sequence[str]) -> InvalidInput:
    typed = quoted(word)
    near = difflib.get_close_matches(name, _options_of(read.command), 1, _PERHAPS_MEANT)
    if not near:
        options = _options_of(read.command)
        known = listed([f"`--{option}`" for option in options])
        return InvalidInput(
            "unknown_option",
            f"{typed} is no option. There are {count(len(options), 'option')}: {known}. "
            "Words of a reason that begin with `--` go after a lone `--`.",
        )
    value = word.partition("=")[2]
    if not value and waiting and _is_word(waiting[0]):
        value, waiting = waiting[0], waiting[1:]
    guess = Words(read.options, [*read.others, *waiting], read.command)
    form = guess.to_paste(**{near[0]: value or _EXAMPLES[near[0]]})
    return InvalidInput(
        "unknown_option", f"{typed} is no option. The nearest is `--{near[0]}`: {form}."
    )


def nothing_more(understood: str, rest: Sequence[str]) -> None:
    """Raise InvalidInput where more words follow than the command has."""
    if rest:
        raise InvalidInput(
            "too_much",
            f"I read {quoted(understood, 120)}, and do not know what to do with "
            f"{quoted(' '.join(rest))}. The form is {quoted(f'/eks-access {understood}', 140)}.",
        )


def incomplete(understood: str, what: str, why: str, form: str) -> InvalidInput:
    """The error where `what` was not given: what was understood, why it is needed, the form."""
    lacks = f"{why} " if why else ""
    return InvalidInput(
        f"missing_{what}",
        f"I read `{understood}`. {lacks}The form is `/eks-access {form}`.",
        field=what,
    )
