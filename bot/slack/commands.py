"""The grammar of `/eks-access …`: text in, a command as a value out, or a sentence that helps.

It takes what phones make of a command (dashes, curly quotes, capitals, stray spaces) and what
people paste from the bot's own answers. Nothing is decided here: names of clusters, levels and
namespaces are judged by the policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.durations import compact_duration, parse_duration
from bot.core.errors import InvalidInput
from bot.core.model import Ask
from bot.core.names import nearest, quoted
from bot.core.starts import parse_moment
from bot.slack import delegate_command, id_commands, lockdown_command, suspend_command
from bot.slack.delegate_command import (
    Delegate,
    Delegations,
    OpenDelegation,
    Undelegate,
    read_delegate,
)
from bot.slack.id_commands import IdCommand
from bot.slack.lockdown_command import Lockdown, read_lockdown
from bot.slack.options import (
    DASHES,
    Words,
    incomplete,
    nothing_more,
    read_words,
    unquoted,
    unwrapped,
)
from bot.slack.suspend_command import SuspendCommand, read_suspend, read_unsuspend
from bot.slack.text import clean

LONGEST = 3000
"""The most letters a command may have."""

FORMS = {
    "request": "request CLUSTER LEVEL [-n NS | --whole-cluster] [--for 2h] [--at TIME] "
    "[--ticket T] REASON",
    "break-glass": "break-glass CLUSTER LEVEL [-n NS | --whole-cluster] [--for 30m] REASON",
    "mine": "mine",
    "pending": "pending",
    "who": "who CLUSTER",
    "status": id_commands.FORMS["status"],
    "extend": id_commands.FORMS["extend"],
    "return": id_commands.FORMS["return"],
    "approve": id_commands.FORMS["approve"],
    "deny": id_commands.FORMS["deny"],
    "cancel": id_commands.FORMS["cancel"],
    "lockdown": lockdown_command.FORM,
    **suspend_command.FORMS,
    "revoke": id_commands.FORMS["revoke"],
    "review": id_commands.FORMS["review"],
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
class Pending:
    """What waits for this person's decision or review."""


@dataclass(frozen=True, slots=True)
class Who:
    cluster: str


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
    | Pending
    | Who
    | IdCommand
    | Lockdown
    | SuspendCommand
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
    if ask.whole_cluster:
        words.append("--whole-cluster")
    if ask.duration is not None:
        words += ["--for", compact_duration(ask.duration)]
    if ask.ticket:
        words += ["--ticket", ask.ticket]
    reason = clean(ask.reason)
    if DASHES.search(reason) or re.match(r",|(?:\w?[\W_]+)?(for|at)", reason, re.IGNORECASE):
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
        whole_cluster=read.whole_cluster,
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


def _who(words: Sequence[str]) -> Command:
    cluster = unquoted(words[0]) if words else ""
    if not cluster:
        why = "The cluster is missing; `/eks-access clusters` lists them."
        raise incomplete("who", "cluster", why, FORMS["who"])
    nothing_more(f"who {cluster}", words[1:])
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
        nothing_more(name, words)
        return command

    return read


_READERS: Mapping[str, Callable[[Sequence[str]], Command]] = {
    "request": _request,
    "break-glass": _break_glass,
    "breakglass": _break_glass,
    "mine": _alone("mine", Mine()),
    "pending": _alone("pending", Pending()),
    "who": _who,
    **id_commands.READERS,
    "lockdown": read_lockdown,
    "suspend": read_suspend,
    "unsuspend": read_unsuspend,
    "delegate": read_delegate,
    "delegations": _alone("delegations", Delegations()),
    "clusters": _alone("clusters", Clusters()),
    "help": _help,
}


def _command_name(word: str) -> str:
    """The command that `word` names, if it names one."""
    return DASHES.sub("-", unquoted(word)).lower()
