"""Where another service's API is: a URL that a key or a token may be sent to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def service_url(text: str) -> str:
    """The base URL without a slash at its end.

    HTTPS, except on this machine, because each request carries a key. Raises ValueError with what
    is wrong, for a sentence that begins with the name of the setting.
    """
    if not text.isascii() or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("has characters that no URL has")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    host = parts.hostname or ""
    if parts.scheme not in {"https", "http"} or not host or port == 0:
        raise ValueError("is no URL of the form https://HOST")
    if "@" in parts.netloc:
        raise ValueError("holds a user name or a password; keys have variables of their own")
    if "?" in text or "#" in text:
        raise ValueError("goes on after the path; end it before the `?` or `#`")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("is not https, and the key would be readable on the way")
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
