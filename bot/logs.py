"""Log lines: what happened, to which request, cluster and account; never a secret.

One JSON object a line, or aligned text on a terminal.
"""

from __future__ import annotations

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Slack's tokens, the secret part of its hooks and sockets, passwords in database URLs, AWS keys.
_SECRETS = re.compile(
    r"xox[a-z]-[\w-]+"
    r"|xapp-[\w-]+"
    r"|(?<=/commands/)[\w/-]+"
    r"|(?<=/actions/)[\w/-]+"
    r"|(?<=ticket=)[\w-]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
)
_SILENT = ("websocket",)  # what it reports, Slack's SDK reports too
_QUIET = ("apscheduler", "botocore", "boto3", "urllib3", "slack_bolt", "slack_sdk", "alembic")


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in _SILENT:
        logging.getLogger(name).disabled = True  # the library sets its level again later
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Take secrets out of every text of a log line, tracebacks included."""
    del logger, method
    return {key: without_secrets(value) for key, value in event.items()}


def without_secrets(value: object) -> object:
    """The value with everything that looks like a secret replaced; only texts are changed."""
    return _SECRETS.sub("[secret]", value) if isinstance(value, str) else value
