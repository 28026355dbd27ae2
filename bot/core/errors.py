"""The one error tree. Each error carries a code for logs and tests, and a sentence for the person.

Edges (Slack answers, the command line, HTTP) render `error.sentence` once; nobody formats errors
one by one.
"""

from __future__ import annotations

from datetime import timedelta


class DomainError(Exception):
    """Something a person asked for cannot be done. Nothing was changed.

    `code` is stable and machine-readable (`snake_case`); `sentence` says what is so and then what
    to do. A sentence may quote what a person typed; whoever renders it into Slack escapes it.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class InvalidInput(DomainError):
    """What was typed or submitted is not of a valid form. `field` names the input, if it is one."""

    def __init__(self, code: str, sentence: str, *, field: str | None = None) -> None:
        super().__init__(code, sentence)
        self.field = field


class NotFound(DomainError):
    """The request, grant, cluster or level named does not exist."""


class Refused(DomainError):
    """The policy, or who the person is, does not allow this."""


class Conflict(DomainError):
    """The state moved on: already decided, already ended, not yet active."""


class DirectoryUnavailable(DomainError):
    """Slack could not say who somebody is or who is in a group. Granting fails closed."""


class StoreUnavailable(DomainError):
    """The database cannot be reached, so nothing can be decided."""


class PolicyUnavailable(DomainError):
    """There is no valid policy in force, so nothing can be granted."""


class AwsProblem(Exception):
    """AWS did not do what was asked. `sentence` says so in words a person can use.

    `after` is how long AWS asked to be left alone; None where it did not.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.after: timedelta | None = None


class TemporaryAwsProblem(AwsProblem):
    """Worth trying again: throttling, time-outs, propagation, AWS's own faults."""


class PermanentAwsProblem(AwsProblem):
    """Trying again changes nothing until somebody changes something."""


def reason(error: BaseException) -> str:
    """Why something fails, for whoever asks whether the bot is ready. Nothing of it is secret."""
    if isinstance(error, DomainError):
        return f"{error.sentence} ({error.code})"
    return f"The bot does not know this error ({type(error).__name__}). The log has it."
