"""Log lines: what happened, to which request, cluster and account; never a secret.

One JSON object a line, or aligned text on a terminal.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bot.core.masking import MASK, names_a_secret, without_secrets

_SILENT = ("websocket", "slack_sdk.web.base_client")
"""What these report is reported once more by whoever called them."""

_BETWEEN_LINES_SECONDS = 60.0

_QUIET = frozenset(
    {
        "alembic",
        "apscheduler",
        "boto3",
        "botocore",
        "httpcore",
        "httpx",
        "slack_bolt",
        "slack_sdk",
        "urllib3",
        "uvicorn",
    }
)


def configure_logs(level: str = "INFO") -> None:
    """Send the bot's own log and its libraries' to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    terminal = sys.stderr.isatty()
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    # Bolt and the WebSocket library set their loggers' levels again later, so levels do not do it.
    handler.addFilter(_worth_a_line)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class ThrottledWarning:
    """A warning that anybody can bring about: at once, and then once a minute with their number.

    So nobody fills a disk by it. `seconds` tells the time, and need not be the time of day.
    """

    def __init__(
        self, log: Any, event: str, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._event = event
        self._seconds = seconds
        self._lock = threading.Lock()
        self._next: float | None = None
        self._times = 0

    def warn(self, **more: object) -> None:
        """Count it, and write the line if none was written for a minute."""
        now = self._seconds()
        with self._lock:
            self._times += 1
            if self._next is not None and now < self._next:
                return
            times, self._times = self._times, 0
            self._next = now + _BETWEEN_LINES_SECONDS
        self._log.warning(self._event, times=times, **more)


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Take secrets out of everything a log line says, tracebacks included."""
    del logger, method
    return {
        key: value if key.startswith("_") else _under(key, value) for key, value in event.items()
    }


def cause_without_secrets(error: BaseException) -> str:
    """What the driver said behind an error, for an operator to read; empty where nothing did."""
    cause = error.__cause__
    if cause is None:
        return ""
    return without_secrets(str(cause.__cause__ or cause)).strip()


def _under(name: str, value: object) -> object:
    if isinstance(value, str | bytes) and names_a_secret(name):
        return MASK
    return _redacted(value)


def _redacted(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return without_secrets(value)
        case Mapping():
            return {without_secrets(str(key)): _under(str(key), one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(one) for one in value]
        case BaseException():
            return without_secrets(str(value))
    return without_secrets(repr(value))


def _worth_a_line(record: logging.LogRecord) -> bool:
    if record.name.startswith(_SILENT):
        return False
    library = record.name.partition(".")[0]
    return library not in _QUIET or record.levelno >= logging.ERROR
