"""Faults by request, and the record of what was called, for the local EKS.

A fault is laid for calls to come and consumed by those it matches. botocore repeats many failed
calls by itself: with its standard retries, `times=1` is felt only as time, and the calls show
both attempts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Call:
    """One request that reached the local EKS.

    `params` is the request's input by the names of the service model. `session_name` is the role
    session's, or None for long-lived or unknown keys. `status`, `error` (the error code) and
    `answered` are set when the call is answered; `answered` stays False where the answer was lost.
    `fault` is the kind of the fault that met the call.
    """

    at: datetime
    operation: str
    account: str
    region: str
    cluster: str | None
    principal: str | None
    params: Mapping[str, Any]
    access_key: str
    session_name: str | None
    user_agent: str
    status: int | None = None
    error: str | None = None
    answered: bool = False
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer with an error in place of doing what is asked, with `headers` beside its own."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class AccessDenied:
    """Answer as IAM does where no policy allows the action."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without an answer; `applied` says whether the call took effect.

    `hold` is how many seconds the connection stays open and silent before that.
    """

    applied: bool
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Take `seconds` longer."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Propagation:
    """Let the next `reads` reads of the entry see it as it was before this write."""

    reads: int


Effect = Answer | AccessDenied | Drop | Delay | Propagation


@dataclass(slots=True, eq=False)
class Fault:
    """A fault that is laid. `remaining` None means until it is cleared; `hits` counts."""

    effect: Effect
    operation: str | None
    cluster: str | None
    principal: str | None
    remaining: int | None
    hits: int = 0

    @property
    def kind(self) -> str:
        return type(self.effect).__name__

    def matches(self, operation: str, cluster: str | None, principal: str | None) -> bool:
        """Whether this fault is for such a call and not used up."""
        return (
            self.remaining != 0
            and self.operation in {None, operation}
            and self.cluster in {None, cluster}
            and self.principal in {None, principal}
        )

    def use(self) -> None:
        """Count one call that this fault met."""
        self.hits += 1
        if self.remaining is not None:
            self.remaining -= 1


class Faults:
    """The faults that are laid. Thread-safe.

    Everywhere: `operation` is the operation's name as in `CreateAccessEntry`, or None for all but
    those of STS, which is another service: `AssumeRole` and `GetCallerIdentity` are to be named;
    `cluster` (a name) and `principal` (an ARN; of AssumeRole the role) narrow it; `times` is how
    many calls it meets, None for all until `clear()`. One call meets every matching delay, and of
    the errors and drops the one laid first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._laid: list[Fault] = []
        self._released = threading.Event()

    def throttle(
        self,
        operation: str | None = None,
        *,
        times: int | None = 1,
        cluster: str | None = None,
        principal: str | None = None,
        code: str = "ThrottlingException",
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """Answer 429 `ThrottlingException`, "Rate exceeded".

        The status is that of the error in botocore's EKS model. EKS was also seen to answer 429
        with the code `TooManyRequestsException` (awslabs/amazon-eks-ami#218). What starts to
        throttle, and when, is unpublished. [?]
        """
        answer = Answer(429, code, "Rate exceeded", headers or {})
        return self._lay(answer, operation, times, cluster, principal)

    def server_error(
        self,
        operation: str | None = None,
        *,
        times: int | None = 1,
        cluster: str | None = None,
        principal: str | None = None,
    ) -> Fault:
        """Answer 500 `ServerException`, having done nothing."""
        answer = Answer(500, "ServerException", "Internal server error")
        return self._lay(answer, operation, times, cluster, principal)

    def deny(
        self,
        operation: str | None = None,
        *,
        times: int | None = None,
        cluster: str | None = None,
        principal: str | None = None,
    ) -> Fault:
        """Answer 403 `AccessDeniedException`, naming the caller, the action and the resource."""
        return self._lay(AccessDenied(), operation, times, cluster, principal)

    def answer(
        self,
        status: int,
        code: str,
        message: str,
        *,
        operation: str | None = None,
        times: int | None = 1,
        cluster: str | None = None,
        principal: str | None = None,
    ) -> Fault:
        """Answer with any other error, having done nothing."""
        return self._lay(Answer(status, code, message), operation, times, cluster, principal)

    def delay(
        self,
        seconds: float,
        operation: str | None = None,
        *,
        times: int | None = 1,
        cluster: str | None = None,
        principal: str | None = None,
    ) -> Fault:
        """Take `seconds` longer, before anything is done."""
        return self._lay(Delay(seconds), operation, times, cluster, principal)

    def drop(
        self,
        operation: str | None = None,
        *,
        times: int | None = 1,
        cluster: str | None = None,
        principal: str | None = None,
    ) -> Fault:
        """Close the connection, having done nothing."""
        return self._lay(Drop(applied=False), operation, times, cluster, principal)

    def lose_answer(
        self,
        operation: str | None = None,
        *,
        times: int | None = 1,
        cluster: str | None = None,
        principal: str | None = None,
        hold: float = 0.0,
    ) -> Fault:
        """Do what is asked, then close the connection without an answer.

        With `hold` the connection stays open that many seconds, so that the caller's read
        timeout ends it first. `clear()` and the end of the stand-in cut it short.
        """
        return self._lay(Drop(applied=True, hold=hold), operation, times, cluster, principal)

    def propagation_delay(
        self,
        operation: str,
        reads: int,
        *,
        times: int | None = 1,
        cluster: str | None = None,
        principal: str | None = None,
    ) -> Fault:
        """After a write (`operation`) that succeeds, let `reads` reads see what was before it.

        Reads are DescribeAccessEntry, ListAccessEntries (one, however many pages),
        ListAssociatedAccessPolicies, and the look-up in AssociateAccessPolicy and
        UpdateAccessEntry: after CreateAccessEntry they answer 404, after DeleteAccessEntry the
        entry still shows. Deleting and disassociating see the truth.
        """
        return self._lay(Propagation(reads), operation, times, cluster, principal)

    def clear(self) -> None:
        """Take every fault away and let go of what is held open or delayed."""
        with self._lock:
            self._laid.clear()
            self._released.set()
            self._released = threading.Event()

    def laid(self) -> tuple[Fault, ...]:
        """The faults that are not used up, oldest first."""
        with self._lock:
            return tuple(fault for fault in self._laid if fault.remaining != 0)

    def take(
        self, operation: str, cluster: str | None, principal: str | None, *, named: bool = False
    ) -> tuple[float, Fault | None, threading.Event]:
        """Consume what meets this call: seconds to wait, a fault, and what ends any waiting.

        `named` leaves out the faults for all operations.
        """
        seconds = 0.0
        taken: Fault | None = None
        with self._lock:
            for fault in self._laid:
                if not fault.matches(operation, cluster, principal):
                    continue
                if named and fault.operation is None:
                    continue
                if isinstance(fault.effect, Delay):
                    seconds += fault.effect.seconds
                elif taken is None and not isinstance(fault.effect, Propagation):
                    taken = fault
                else:
                    continue
                fault.use()
            return seconds, taken, self._released

    def take_propagation(self, operation: str, cluster: str | None, principal: str | None) -> int:
        """Consume the propagation delay that meets this successful write: a number of reads."""
        with self._lock:
            for fault in self._laid:
                if isinstance(fault.effect, Propagation) and fault.matches(
                    operation, cluster, principal
                ):
                    fault.use()
                    return fault.effect.reads
        return 0

    def _lay(
        self,
        effect: Effect,
        operation: str | None,
        times: int | None,
        cluster: str | None,
        principal: str | None,
    ) -> Fault:
        fault = Fault(effect, operation, cluster, principal, times)
        with self._lock:
            self._laid.append(fault)
        return fault
