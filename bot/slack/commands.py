"""The grammar of `/eks-access …`: text in, a command as a value out, or a sentence that helps.

It takes what phones make of a command (dashes, curly quotes, capitals, stray spaces) and what
people paste from the bot's own answers. Nothing is decided here: names of clusters, levels and
namespaces are judged by the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.durations import compact_duration, parse_duration
from bot.core.errors import InvalidInput
from bot.core.ids import parse_id
from bot.core.model import Ask
from bot.core.names import nearest, quoted
from bot.core.starts import parse_moment
from bot.slack import delegate_command, lockdown_command
from bot.slack.delegate_command import (
    Delegate,
    Delegations,
    OpenDelegation,
    Undelegate,
    read_delegate,
)
from bot.slack.lockdown_command import Lockdown, read_lockdown
from bot.slack.options import DASHES, Words, read_words, unquoted, unwrapped
from bot.slack.text import clean

LONGEST = 3000
"""The most letters a command may have."""

FORMS = {
    "request": "request CLUSTER LEVEL [--namespace NS] [--for 2h] [--at TIME] [--ticket T] REASON",
    "break-glass": "break-glass CLUSTER LEVEL [--namespace NS] [--for 30m] REASON",
    "mine": "mine",
    "who": "who CLUSTER",
    "status": "status ID",
    "extend": "extend ID 1h [REASON]",
    "return": "return ID",
    "approve": "approve ID",
    "deny": "deny ID REASON",
    "cancel": "cancel ID",
    "lockdown": lockdown_command.FORM,
    "revoke": "revoke ID [REASON]",
    "review": "review ID justified|unjustified FINDINGS",
    "delegate": delegate_command.FORM,
    "delegations": "delegations",
    "clusters": "clusters",
    "help": "help",
}
"""Each command's form. `/eks-access` alone opens the request form."""


@dataclass(frozen=True, slots=True)
class OpenForm:
    """`/eks-access` alone: the request form."""


@dataclass(frozen=True, slots=True)
class Request:
    """`at` is when it is to start, as typed: whose time that is, is not known here."""

    ask: Ask
    at: str = ""


@dataclass(frozen=True, slots=True)
class BreakGlass:
    ask: Ask


@dataclass(frozen=True, slots=True)
class Mine:
    pass


@dataclass(frozen=True, slots=True)
class Who:
    cluster: str


@dataclass(frozen=True, slots=True)
class Status:
    id: str


@dataclass(frozen=True, slots=True)
class Return:
    id: str


@dataclass(frozen=True, slots=True)
class Extend:
    """More time for live access. An empty `reason` repeats the first one."""

    id: str
    more: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Approve:
    id: str


@dataclass(frozen=True, slots=True)
class Deny:
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    id: str


@dataclass(frozen=True, slots=True)
class Revoke:
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewBreakGlass:
    """What was done under a break-glass, and whether it was justified."""

    id: str
    justified: bool
    findings: str


@dataclass(frozen=True, slots=True)
class Clusters:
    pass


@dataclass(frozen=True, slots=True)
class Help:
    """`topic` is the name of a command, or None for all of them."""

    topic: str | None = None


class UnknownCommand(InvalidInput):
    """`word` is no command, and `rest` stood behind it. `near` is the nearest of `names`, if any.

    Without the commands that somebody may not use, `names` are fewer, and another may be nearest.
    """

    def __init__(self, word: str, rest: Sequence[str], names: Collection[str] = FORMS) -> None:
        self.word, self.rest = word, tuple(rest)
        self.near = nearest(DASHES.sub("-", word), names)
        typed = quoted(unquoted(word) or word)
        sentence = (
            f"{typed} is no command. `/eks-access help` lists them, and `/eks-access` alone opens "
            "the request form."
        )
        if self.near is not None:
            line = " ".join([self.near, *rest]) if rest else FORMS[self.near]
            nearest_line = quoted(f"/eks-access {line}", 400)
            sentence = f"{typed} is no command. The nearest is {nearest_line}."
        super().__init__("unknown_command", sentence)


Command = (
    OpenForm
    | Request
    | BreakGlass
    | Mine
    | Who
    | Status
    | Extend
    | Return
    | Approve
    | Deny
    | Cancel
    | Lockdown
    | Revoke
    | ReviewBreakGlass
    | OpenDelegation
    | Delegate
    | Undelegate
    | Delegations
    | Clusters
    | Help
)


def parse(text: str) -> Command:
    """The command in `text`, which is what stands after `/eks-access`.

    Raises InvalidInput, and nothing else, with a sentence that says what was understood, what was
    not, and the nearest valid form.
    """
    if len(text) > LONGEST:
        raise InvalidInput(
            "too_long",
            f"That is {len(text):,} letters; a command may have {LONGEST:,}. Nothing was done.",
        )
    line = clean(text)
    if line.startswith("`") and line.endswith("`"):
        line = line.strip("`")
    words = line.split()
    if words and words[0].lower() == "/eks-access":
        words = words[1:]
    if not words:
        return OpenForm()
    name = _command_name(words[0])
    if [name, *map(str.lower, words[1:2])] == ["break", "glass"]:
        name, words = "break-glass", words[1:]
    reader = _READERS.get(name)
    if reader is None:
        raise UnknownCommand(words[0], words[1:])
    return reader(words[1:])


def written(ask: Ask) -> str:
    """The command that asks for `ask`: what `parse` reads back as the same."""
    words = ["/eks-access", "request", ask.cluster, ask.level]
    if ask.namespaces:
        words += ["--namespace", ",".join(ask.namespaces)]
    if ask.duration is not None:
        words += ["--for", compact_duration(ask.duration)]
    if ask.ticket:
        words += ["--ticket", ask.ticket]
    reason = clean(ask.reason)
    if any(DASHES.match(word) for word in reason.split()) or reason.startswith(","):
        # Otherwise a word of the reason could be read as an option, or as one more namespace.
        words.append("--")
    return " ".join([*words, reason]).rstrip()


def _request(words: Sequence[str]) -> Command:
    read = read_words(words)
    ask = _ask(read)
    return Request(ask, _start(read))


def _break_glass(words: Sequence[str]) -> Command:
    read = read_words(words, "break-glass")
    if read.option("at") is not None:
        raise InvalidInput(
            "bad_start",
            f"Break-glass begins at once. Leave `--at` out: {read.to_paste()}.",
            field="start_at",
        )
    return BreakGlass(_ask(read))


def _ask(read: Words) -> Ask:
    read.others[:2] = map(unquoted, read.others[:2])
    for place, what in enumerate(("cluster", "level")):
        if len(read.others) <= place or not read.others[place]:
            raise Words(read.options, read.others[:place], read.command).missing(what)
    duration = _duration(read)
    cluster, level, *reason = read.others
    ask = Ask(
        cluster=cluster,
        level=level,
        namespaces=read.namespaces,
        duration=duration,
        ticket=read.option("ticket"),
        reason=unwrapped(" ".join(reason)),
    )
    if not ask.reason:
        raise read.missing("reason")
    return ask


def _duration(read: Words) -> timedelta | None:
    typed = read.option("for")
    if typed is None:
        return None
    try:
        return parse_duration(typed.lower())
    except InvalidInput as error:
        length = "30m" if read.command == "break-glass" else "2h"
        example = f"For example: {read.to_paste(**{'for': length})}."
        raise InvalidInput(error.code, f"{error.sentence} {example}", field="duration") from None


def _start(read: Words) -> str:
    typed = read.option("at")
    if typed is None:
        return ""
    try:
        return parse_moment(typed).typed
    except InvalidInput as error:
        example = f"For example: {read.to_paste(at='tomorrow 9:00')}."
        raise InvalidInput(error.code, f"{error.sentence} {example}", field="start") from None


def _extend(words: Sequence[str]) -> Command:
    request_id, rest = _id("extend", words)
    if not rest:
        raise InvalidInput(
            "missing_duration",
            f"I read `extend {request_id}`. How much longer is missing. "
            f"The form is `/eks-access extend {request_id} 1h`.",
            field="duration",
        )
    try:
        more = parse_duration(unquoted(rest[0]).lower())
    except InvalidInput as error:
        example = f"For example: `/eks-access extend {request_id} 1h`."
        raise InvalidInput(error.code, f"{error.sentence} {example}", field="duration") from None
    return Extend(request_id, more, unwrapped(" ".join(rest[1:])))


def _deny(words: Sequence[str]) -> Command:
    request_id, rest = _id("deny", words)
    reason = unwrapped(" ".join(rest))
    if not reason:
        raise InvalidInput(
            "missing_reason",
            f"I read `deny {request_id}`. The reason is missing; the requester is told why. "
            f"The form is `/eks-access deny {request_id} REASON`.",
            field="reason",
        )
    return Deny(request_id, reason)


def _revoke(words: Sequence[str]) -> Command:
    request_id, rest = _id("revoke", words)
    return Revoke(request_id, unwrapped(" ".join(rest)))


def _review(words: Sequence[str]) -> Command:
    request_id, rest = _id("review", words)
    verdict = unquoted(rest[0]).rstrip(",:;.").lower() if rest else ""
    findings = unwrapped(" ".join(rest[1:]))
    form = f"`/eks-access review {request_id} justified|unjustified FINDINGS`"
    if verdict not in _VERDICTS:
        near = "unjustified" if verdict == "not" else nearest(verdict, _VERDICTS)
        read = f"{quoted(rest[0])} is neither `justified` nor `unjustified`. " if rest else ""
        guess = f"Did you mean `{near}`? " if near else ""
        raise InvalidInput(
            "missing_verdict",
            f"I read `review {request_id}`. {read}{guess}The form is {form}.",
            field="justified",
        )
    if not findings:
        raise InvalidInput(
            "missing_findings",
            f"I read `review {request_id} {verdict}`. What was done is missing; it is what an "
            f"auditor reads. The form is {form}.",
            field="findings",
        )
    return ReviewBreakGlass(request_id, _VERDICTS[verdict], findings)


_VERDICTS = {"justified": True, "unjustified": False}


def _who(words: Sequence[str]) -> Command:
    cluster = unquoted(words[0]) if words else ""
    if not cluster:
        raise InvalidInput(
            "missing_cluster",
            "I read `who`. The cluster is missing; `/eks-access clusters` lists them. "
            "The form is `/eks-access who CLUSTER`.",
            field="cluster",
        )
    _nothing_more(f"who {cluster}", words[1:])
    return Who(cluster)


def _help(words: Sequence[str]) -> Command:
    if not words:
        return Help()
    topic = _command_name(words[0])
    if topic not in FORMS:
        raise UnknownCommand(words[0], [])
    return Help(topic)


def _alone(name: str, command: Command) -> Callable[[Sequence[str]], Command]:
    def read(words: Sequence[str]) -> Command:
        _nothing_more(name, words)
        return command

    return read


def _with_id(name: str, command: Callable[[str], Command]) -> Callable[[Sequence[str]], Command]:
    def read(words: Sequence[str]) -> Command:
        request_id, rest = _id(name, words)
        _nothing_more(f"{name} {request_id}", rest)
        return command(request_id)

    return read


_READERS: dict[str, Callable[[Sequence[str]], Command]] = {
    "request": _request,
    "break-glass": _break_glass,
    "breakglass": _break_glass,
    "mine": _alone("mine", Mine()),
    "who": _who,
    "status": _with_id("status", Status),
    "return": _with_id("return", Return),
    "extend": _extend,
    "approve": _with_id("approve", Approve),
    "deny": _deny,
    "cancel": _with_id("cancel", Cancel),
    "lockdown": read_lockdown,
    "revoke": _revoke,
    "review": _review,
    "delegate": read_delegate,
    "delegations": _alone("delegations", Delegations()),
    "clusters": _alone("clusters", Clusters()),
    "help": _help,
}


def _command_name(word: str) -> str:
    """The command that `word` names, if it names one."""
    return DASHES.sub("-", unquoted(word)).lower()


def _id(name: str, words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The request id that `words` begin with, also in two halves, and the words after it."""
    if not words:
        raise InvalidInput(
            "missing_id",
            f"I read `{name}`. The request id is missing; `/eks-access mine` lists yours. "
            f"The form is `/eks-access {FORMS[name]}`.",
        )
    halves = [DASHES.sub("-", unquoted(word)) for word in words[:2]]
    if [len(half) for half in halves] == [3, 3]:
        try:
            return parse_id("".join(halves)), words[2:]
        except InvalidInput:
            pass
    return parse_id(halves[0]), words[1:]


def _nothing_more(understood: str, rest: Sequence[str]) -> None:
    if rest:
        raise InvalidInput(
            "too_much",
            f"I read {quoted(understood, 120)}, and do not know what to do with "
            f"{quoted(' '.join(rest))}. The form is {quoted(f'/eks-access {understood}', 140)}.",
        )
