"""The policy file: read, checked, and kept in force while it changes.

A file with errors never comes into force. What is in force stays so until a file without errors
takes its place: granting goes on under the last good one, and the problem can be seen.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bot.core.errors import PolicyUnavailable
from bot.core.policy import Policy
from bot.core.policy_checks import errors, warnings
from bot.policy_findings import Finding, bounded, from_checks, from_form, from_text
from bot.yaml_lines import MOST_BYTES, YamlMap, read_yaml

_MOST_EVENTS = 100
_SOON_SECONDS = 1.0

_Signature = tuple[int, int, int, int, int]


class PolicyError(PolicyUnavailable):
    """A policy file that cannot come into force. `findings` says why, one a line in `report`."""

    def __init__(self, path: str, findings: Iterable[Finding]) -> None:
        self.path = path
        self.findings = tuple(findings)
        super().__init__(
            "policy_broken",
            "The policy file has errors, so nothing can be granted. Whoever keeps it finds them "
            f"with `eks-access policy check {path}`.",
        )

    @property
    def report(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy that may be in force. `digest` is the SHA-256 of the file's bytes, in hex."""

    policy: Policy
    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class PolicyEvent:
    """The file changed: it was `loaded`, or `refused` and the last good one holds."""

    kind: Literal["loaded", "refused"]
    digest: str | None
    problem: PolicyError | None = None


def check_policy(text: str, name: str) -> tuple[Policy | None, list[Finding]]:
    """The policy in `text`, or None where it has errors; and all findings, by line.

    `name` is the file's name as the findings shall show it.
    """
    policy, data, findings = _formed(text, name)
    if policy is not None and data is not None:
        findings += from_checks(warnings(policy), data, name)
    return policy, bounded(findings)


def size_of(policy: Policy) -> str:
    """How much stands in a policy: `3 clusters, 1 rule`."""
    counts = {"cluster": len(policy.clusters), "rule": len(policy.rules)}
    return ", ".join(f"{n:,} {one if n == 1 else one + 's'}" for one, n in counts.items())


def load_policy(path: Path) -> LoadedPolicy:
    """The policy in the file at `path`. Raises PolicyError with the findings where it has errors.

    Warnings and notes are `check_policy`'s: they keep nothing from coming into force.
    """
    return _load(path)[0]


class PolicySource:
    """The policy in force, from a file that may change at any time.

    The file is looked at whenever the policy is asked for, and read again where its time, size or
    inode changed. Replace it by a rename rather than by writing into it: a half-written file is
    refused as broken, and read again when it has changed once more. Safe to share by threads: one
    reads the file, without the lock, and whoever decides by it waits for that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._reading: Future[None] | None = None
        self._loaded: LoadedPolicy | None = None
        self._findings: tuple[Finding, ...] = ()
        self._seen: _Signature | None = None
        self._asked_for = False
        self._events: deque[PolicyEvent] = deque(maxlen=_MOST_EVENTS)

    def current(self) -> LoadedPolicy:
        """The policy in force. Raises PolicyError where there has never been a good one."""
        return self._in_force(patience=None)

    def soon(self) -> LoadedPolicy:
        """As `current`, for what takes access away.

        It waits no more than a second for a file that another thread reads, and then goes by the
        last good one.
        """
        return self._in_force(patience=_SOON_SECONDS)

    def _in_force(self, patience: float | None) -> LoadedPolicy:
        self._refresh(patience)
        with self._lock:
            if self._loaded is None:
                raise PolicyError(str(self.path), self._findings)
            return self._loaded

    def read_again(self) -> None:
        """Whoever asks next has the file read, also where nothing of it shows a change.

        What comes of it is an event even if it is what was known: somebody asked, and looks for it.
        """
        with self._lock:
            self._asked_for = True

    @property
    def problem(self) -> PolicyError | None:
        """What is wrong with the file as it was last looked at, or None."""
        with self._lock:
            return PolicyError(str(self.path), self._findings) if self._findings else None

    def take_events(self) -> tuple[PolicyEvent, ...]:
        """What happened since this was last asked, oldest first, for the log and the audit."""
        with self._lock:
            events = tuple(self._events)
            self._events.clear()
            return events

    def _refresh(self, patience: float | None) -> None:
        """Have the file read where it has changed, and wait for it.

        A thread of its own reads it: whoever happens to ask first must not be the one that a file
        on a dead share keeps for ever.
        """
        while True:
            signature = _signature_at(self.path)
            with self._lock:
                changed = signature is None or signature != self._seen
                if not changed and not self._asked_for:
                    return
                under_way = self._reading
                mine = under_way is None
                if under_way is None:
                    under_way = self._reading = Future()
                    asked_for, self._asked_for = self._asked_for, False
            if mine:
                read = under_way, signature, asked_for
                threading.Thread(
                    target=self._read, args=read, name="policy-file", daemon=True
                ).start()
            if not wait([under_way], patience).done:
                return
            if mine:
                under_way.result()  # raises what nobody foresaw
                return

    def _read(self, done: Future[None], signature: _Signature | None, asked_for: bool) -> None:
        found: tuple[LoadedPolicy, _Signature] | PolicyError
        try:
            found = _load(self.path)
        except PolicyError as problem:
            found = problem
        except BaseException as error:  # noqa: BLE001 - raised by whoever had it read
            with self._lock:
                self._reading = None
            done.set_exception(error)
            return
        with self._lock:
            if isinstance(found, PolicyError):
                self._seen = signature
                self._refuse(found, asked_for=asked_for)
            else:
                loaded, self._seen = found
                self._take(loaded, asked_for=asked_for)
            self._reading = None
        done.set_result(None)

    def _refuse(self, problem: PolicyError, *, asked_for: bool) -> None:
        if asked_for or problem.findings != self._findings:
            self._events.append(PolicyEvent("refused", self._digest(), problem))
        self._findings = problem.findings

    def _take(self, loaded: LoadedPolicy, *, asked_for: bool) -> None:
        if asked_for or self._findings or loaded.digest != self._digest():
            self._events.append(PolicyEvent("loaded", loaded.digest))
        self._findings = ()
        if loaded.digest != self._digest():
            self._loaded = loaded

    def _digest(self) -> str | None:
        return self._loaded.digest if self._loaded is not None else None


def _formed(text: str, name: str) -> tuple[Policy | None, YamlMap | None, list[Finding]]:
    """The policy where there is no error, the data where it could be read, and the errors."""
    data, problems = read_yaml(text)
    findings = from_text(problems, name)
    if data is None:
        return None, None, findings
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        return None, data, findings + from_form(error, data, name)
    findings += from_checks(errors(policy), data, name)
    return (None if findings else policy), data, findings


def _load(path: Path) -> tuple[LoadedPolicy, _Signature]:
    try:
        with path.open("rb") as file:
            signature = _signature(os.fstat(file.fileno()))
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        remedy = "Set `EKS_ACCESS_CONFIG` to the path of a file that the bot can read."
        message = f"The policy file cannot be read: {error.strerror}."
        raise PolicyError(str(path), [Finding(str(path), 0, message, remedy)]) from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        finding = Finding(str(path), line, "The file is not in UTF-8.", "Save it as UTF-8.")
        raise PolicyError(str(path), [finding]) from error
    policy, _, findings = _formed(text, str(path))
    if policy is None:
        raise PolicyError(str(path), bounded(findings))
    return LoadedPolicy(policy, hashlib.sha256(content).hexdigest(), path), signature


def _signature_at(path: Path) -> _Signature | None:
    try:
        return _signature(path.stat())
    except OSError:
        return None


def _signature(stat: os.stat_result) -> _Signature:
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino, stat.st_dev
