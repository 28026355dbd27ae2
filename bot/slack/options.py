"""The words of `/eks-access request …`: its options, wherever they stand, and all the others.

Takes what phones make of options: a long dash for two hyphens, curly quotes. The sentences say what
was understood, what was not, and give the nearest valid form as something to paste.

Nothing that was meant as an option is taken for the reason: without it the request would be for
more time or another place. Before the reason every word that begins with a dash is an option, in
quotes too; in the reason those are that nobody writes there by chance.
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

PERSON = re.compile(r"<?@?([UW][A-Z0-9]{2,30})(?:\|[^>]*)?>?\Z", re.ASCII)
"""A Slack user id, also in the forms in which people and Slack write a mention."""

_OPTIONS = ("namespace", "whole-cluster", "for", "at", "ticket")
_WHOLE = "whole-cluster"
_EXAMPLES = {"namespace": "NS", "for": "2h", "ticket": "T", "at": "TIME"}
_SAME = {"n": "namespace", "namespaces": "namespace"}
_DOUBLE_QUOTES = '"\u201c\u201d\u201e\u201f\u00ab\u00bb'
_QUOTES = _DOUBLE_QUOTES + "'`\u2018\u2019\u201a\u201b"
_OPTION = re.compile(rf"({DASHES.pattern}+)([A-Za-z][A-Za-z-]*)(.*)\Z", re.DOTALL)
_ONLY_DASHES = re.compile(rf"{DASHES.pattern}+\Z")
_GLUED = re.compile(rf".+--({'|'.join(_OPTIONS)})(?:=.*)?\Z", re.IGNORECASE | re.DOTALL)
_AMOUNT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?\Z")
_UNIT = re.compile(
    r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)\Z", re.IGNORECASE
)
_BARE = re.compile(
    r"(?:\w?[\W_]+)?(for|at)[\W_]*([0-9]\S*(?:\s(?:s|m|h|d|mins?|minutes?|hours?|days?)\b)?"
    r"|today\S*|tomorrow\S*)(.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_DAY = re.compile(r"(?:today|tomorrow|[0-9]{4}-[0-9]{2}-[0-9]{2})\Z", re.IGNORECASE)
_CLOCK = re.compile(r"[0-9]{1,2}[:.h][0-9]{2}", re.IGNORECASE)
_BEFORE_REASON = 2
# "fort" is no typing error for "for", "namepsace" is one for "namespace".
_SURELY_MEANT = 0.88
_ALIKE = 0.7
_PERHAPS_MEANT = 0.5


@dataclass(slots=True)
class Words:
    """What was read: options by name, and the other words in their order.

    `ended`: a lone `--` said that what follows it is no option.
    """

    options: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    command: str = "request"
    ended: bool = False

    def option(self, name: str) -> str | None:
        return self.options[name][0] if name in self.options else None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces named, each once. `a,b` and a second `--namespace` add up."""
        values = ",".join(self.options.get("namespace", [])).split(",")
        return tuple(dict.fromkeys(filter(None, map(unquoted, values))))

    @property
    def whole_cluster(self) -> bool:
        return _WHOLE in self.options

    @property
    def in_reason(self) -> bool:
        """Whether the reason has begun: cluster and level stand before it."""
        return len(self.others) > _BEFORE_REASON

    def to_paste(self, **options: str) -> str:
        """The request as understood, `options` in place of those read, capitals for what lacks."""
        words = ["/eks-access", self.command, *self.others[:2]]
        words += ("CLUSTER", "LEVEL")[len(self.others) :]
        for name in _options_of(self.command):
            value = options.get(name) or ",".join(self.options.get(name, []))
            if value or name in self.options:
                words.append(f"--{name} {value}".rstrip())
        words.append(" ".join(self.others[2:]) or "REASON")
        return quoted(" ".join(words), 400)

    def missing(self, what: str) -> InvalidInput:
        """The error where `what`, a cluster, level or reason, was not given."""
        named = zip(("cluster", "level"), self.others, strict=False)
        understood = [f"{kind} {quoted(word)}" for kind, word in named]
        understood += [
            quoted(f"--{name} {','.join(one)}".rstrip()) for name, one in self.options.items()
        ]
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

    Raises InvalidInput for an unknown option, one without a value, one given twice, and for what
    was surely meant as one.
    """
    read = Words(command=command)
    waiting = list(words)
    before_reason: frozenset[str] = frozenset()
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            read.others += waiting
            read.ended = True
            break
        _ensure_apart(word, read)
        if not _is_option(word, in_reason=read.in_reason):
            read.others.append(word)
            continue
        name, value = _option(word, read, waiting)
        if name == _WHOLE:
            read.options[name] = [""]
            continue
        if value is None and waiting and _is_word(waiting[0]):
            value = waiting.pop(0)
        value = _whole(name, value or "", waiting)
        if not value.strip(","):
            form = read.to_paste(**{name: _EXAMPLES[name]})
            raise InvalidInput("missing_value", f"`--{name}` has no value. For example: {form}.")
        if not read.in_reason:
            before_reason |= {name}
        if name in read.options and (
            name != "namespace" or (read.in_reason and name in before_reason)
        ):
            raise _twice(name, value, read)
        read.options.setdefault(name, []).append(value)
    _ensure_no_dash_is_missing(read)
    return read


def _twice(name: str, value: str, read: Words) -> InvalidInput:
    first = ",".join(read.options[name])
    reason = " A reason with such a word goes after a lone `--`." if read.in_reason else ""
    return InvalidInput(
        "duplicate_option",
        f"`--{name}` stands there twice, with {quoted(first)} and {quoted(value)}. "
        f"Keep one, for example {read.to_paste()}.{reason}",
    )


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


def _is_option(word: str, *, in_reason: bool) -> bool:
    """Whether `word` is, or was meant as, an option.

    In the reason two hyphens before a letter begin one. One hyphen does so only before the name of
    one, and a dash that a phone put there before what is surely meant as one.
    """
    bare = unquoted(word)
    if not in_reason:
        return bool(DASHES.match(bare)) and not _ONLY_DASHES.match(bare)
    match = _OPTION.match(bare)
    if match is None:
        return False
    dashes, name = match.group(1), match.group(2).lower()
    if dashes == "-":
        return name in {*_OPTIONS, "namespaces"}
    return dashes == "--" or bool(difflib.get_close_matches(name, _OPTIONS, 1, _SURELY_MEANT))


def _option(word: str, read: Words, waiting: Sequence[str]) -> tuple[str, str | None]:
    """The option's name, and the value that stands in the same word, if one does.

    Raises InvalidInput for an unknown option, and for one that is not of the form of an option.
    """
    match = _OPTION.match(unquoted(word))
    if match is None:
        raise _unknown(word, "", "", read, waiting)
    name, rest = match.group(2).lower(), match.group(3)
    if name != "n" or not read.in_reason:
        name = _SAME.get(name, name)
    if name not in _OPTIONS or rest[:1] not in {"", "="}:
        raise _unknown(word, name, rest, read, waiting)
    if name == _WHOLE and rest:
        raise InvalidInput(
            "unexpected_value", f"`--{_WHOLE}` has no value. Write it alone, or leave it out."
        )
    return name, rest[1:] if rest else None


def _ensure_apart(word: str, read: Words) -> None:
    """Raise InvalidInput where an option hangs on the word before it: `job--for`."""
    if _GLUED.match(word):
        raise InvalidInput(
            "unknown_option",
            f"{quoted(word)} has an option in it. Put a space before `--`; a reason with such a "
            f"word goes after a lone `--`. The form is {read.to_paste()}.",
        )


def _ensure_no_dash_is_missing(read: Words) -> None:
    """Raise InvalidInput where the reason begins as an option without its hyphens: `for 30m`."""
    reason = " ".join(read.others[_BEFORE_REASON:])
    match = _BARE.match(reason)
    if match is None or read.ended or (name := match[1].lower()) in read.options:
        return
    guess = Words(read.options, [*read.others[:2], *match[3].split()], read.command)
    raise InvalidInput(
        "unknown_option",
        f"The reason begins with {quoted(reason[: match.end(2)])}. For the option, write "
        f"{guess.to_paste(**{name: match[2]})}. For a reason that begins so, put a lone `--` "
        "before it.",
    )


def _is_word(word: str) -> bool:
    return word != "--" and not _OPTION.match(unquoted(word))


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


def _unknown(word: str, name: str, rest: str, read: Words, waiting: Sequence[str]) -> InvalidInput:
    typed = quoted(word)
    near, value = _meant(word, name, rest, read.command)
    if near is None:
        options = _options_of(read.command)
        known = listed([f"`--{option}`" for option in options])
        begin = "begin with `--`" if read.in_reason else "begin with a dash"
        return InvalidInput(
            "unknown_option",
            f"{typed} is no option. There are {count(len(options), 'option')}: {known}. "
            f"Words of a reason that {begin} go after a lone `--`.",
        )
    if not value and near != _WHOLE and waiting and _is_word(waiting[0]):
        value, waiting = waiting[0], waiting[1:]
    guess = Words(dict(read.options), [*read.others, *waiting], read.command)
    if near == _WHOLE:
        guess.options[near] = [""]
        form = guess.to_paste()
    else:
        form = guess.to_paste(**{near: value or _EXAMPLES[near]})
    return InvalidInput(
        "unknown_option", f"{typed} is no option. The nearest is `--{near}`: {form}."
    )


def _meant(word: str, name: str, rest: str, command: str) -> tuple[str | None, str]:
    """The option that was probably meant, and the value in the same word.

    The whole cluster is never proposed to somebody who did not write `whole`.
    """
    value = unquoted(rest.lstrip("=:_"))
    if name in {"n", "ns"}:
        return "namespace", value
    if len(name) == 1:
        return None, value
    options = [one for one in _options_of(command) if one != _WHOLE or "whole" in name]
    if name in options:
        return name, value
    joined = DASHES.sub("", unquoted(word), count=1)
    near = difflib.get_close_matches(name, options, 1, _PERHAPS_MEANT)
    if name.startswith("n") and not DASHES.match(joined):
        alike = difflib.get_close_matches(name, ["namespace"], 1, _ALIKE)
        return ("namespace", value) if alike else ("namespace", joined[1:])
    return next(iter(near), None), value


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


def reason_of(command: str, words: Sequence[str], form: str) -> str:
    """The reason that `words` are. Raises InvalidInput where it begins with a would-be option.

    `command` takes none; a lone `--` before the reason says that it is one.
    """
    first = unquoted(words[0]) if words else ""
    if _ONLY_DASHES.match(first):
        return unwrapped(" ".join(words[1:]))
    if DASHES.match(first):
        raise InvalidInput(
            "unknown_option",
            f"{quoted(words[0])} is no option of `{command}`. The form is `/eks-access {form}`. "
            "A reason that begins with a dash goes after a lone `--`.",
        )
    return unwrapped(" ".join(words))
