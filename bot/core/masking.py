"""What looks like a secret, and text and values without it.

For what is written down where it stays: the log, and the audit trail, from which nothing can be
taken out again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "[secret]"

# Slack's tokens, the secret part of its hooks and sockets, passwords in database URLs, AWS keys,
# what the keys of other services stand behind in a header, Atlassian's tokens; a cluster's tokens,
# JSON web tokens, GitHub's tokens, private keys.
_SECRETS = re.compile(
    r"xox[a-z]-[\w-]+"
    r"|xapp-[\w-]+"
    r"|(?<=/commands/)[\w/-]+"
    r"|(?<=/actions/)[\w/-]+"
    r"|(?<=/services/)[\w/-]+"
    r"|(?<=ticket=)[\w-]+"
    r"|(?<=://)[^/\s:@]*:[^\s\"'@]+(?=@)"
    r"|(?<=password=)[^\s\"'&]+"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|(?<=Token token=)[^\s\"',]+"
    r"|(?<=GenieKey )[^\s\"',]+"
    r"|(?<=Basic )[A-Za-z0-9+/]{16,}=*"
    r"|(?<=Bearer )[\w.~+/-]{16,}=*"
    r"|\bATATT[\w=-]+"
    r"|(?i:(?<=aws_secret_access_key=)|(?<=aws_session_token=))[\w/+=]+"
    r"|\bk8s-aws-v1\.[\w-]+"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|\bgh[pousr]_\w{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)


def without_secrets(text: str) -> str:
    """The text with everything that looks like a secret replaced."""
    return _SECRETS.sub(MASK, text)


def masked(value: Any) -> Any:
    """A JSON value with everything that looks like a secret replaced, in names too."""
    match value:
        case str():
            return without_secrets(value)
        case Mapping():
            return {without_secrets(str(name)): masked(one) for name, one in value.items()}
        case list() | tuple():
            return [masked(one) for one in value]
    return value
