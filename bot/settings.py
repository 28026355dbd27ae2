"""What the environment says: secrets, URLs, the port. Read once, by the wiring.

Secrets come from the environment, or from files of the same names in the directory that
`EKS_ACCESS_SECRETS_DIR` names (such as a mounted Kubernetes secret). They never come from the
policy file, and printing the settings does not show them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, IPvAnyAddress, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.core.addresses import service_url

SLACK_API_URL = "https://slack.com/api/"
PAGERDUTY_API_URL = "https://api.pagerduty.com"
OPSGENIE_API_URL = "https://api.opsgenie.com"
SECRETS_DIR = "EKS_ACCESS_SECRETS_DIR"


class SettingsError(Exception):
    """The environment lacks something, or holds it in a wrong form. The message has the remedy."""


class Settings(BaseSettings):
    """Names and defaults are those of the contract in the README."""

    model_config = SettingsConfigDict(
        case_sensitive=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    slack_bot_token: SecretStr | None = Field(None, alias="SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = Field(None, alias="SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = Field(None, alias="SLACK_SIGNING_SECRET")
    slack_api_url: str = Field(SLACK_API_URL, alias="SLACK_API_URL")
    database_url: SecretStr = Field(SecretStr("sqlite:///eks-access.db"), alias="DATABASE_URL")
    config: Path = Field(Path("eks-access.yaml"), alias="EKS_ACCESS_CONFIG")
    http_host: IPvAnyAddress | None = Field(None, alias="EKS_ACCESS_HTTP_HOST")
    http_port: int = Field(8000, alias="EKS_ACCESS_HTTP_PORT", ge=0, le=65535)
    pagerduty_token: SecretStr | None = Field(None, alias="PAGERDUTY_TOKEN")
    pagerduty_api_url: str = Field(PAGERDUTY_API_URL, alias="PAGERDUTY_API_URL")
    opsgenie_api_key: SecretStr | None = Field(None, alias="OPSGENIE_API_KEY")
    opsgenie_api_url: str = Field(OPSGENIE_API_URL, alias="OPSGENIE_API_URL")
    jira_url: str | None = Field(None, alias="JIRA_URL")
    jira_email: str | None = Field(None, alias="JIRA_EMAIL")
    jira_token: SecretStr | None = Field(None, alias="JIRA_TOKEN")
    drift_minutes: int = Field(15, alias="EKS_ACCESS_DRIFT_MINUTES", ge=1, le=24 * 60)

    audit_bucket: str | None = Field(None, alias="EKS_ACCESS_AUDIT_BUCKET")
    audit_lock: Literal["COMPLIANCE", "GOVERNANCE"] = Field(
        "COMPLIANCE", alias="EKS_ACCESS_AUDIT_LOCK"
    )
    audit_keep_days: int = Field(365, alias="EKS_ACCESS_AUDIT_KEEP_DAYS", ge=1, le=36500)

    @property
    def socket_mode(self) -> bool:
        """Whether Slack reaches the bot over Socket Mode (an app token is there), or over HTTP."""
        return self.slack_app_token is not None

    @property
    def http_address(self) -> str:
        """Where the bot's own HTTP listens.

        By default on loopback in Socket Mode, which nobody has to reach from outside, and on all
        addresses in HTTP mode, because Slack comes from there.
        """
        if self.http_host is not None:
            return str(self.http_host)
        return "127.0.0.1" if self.socket_mode else "0.0.0.0"  # noqa: S104 - as said above

    def bot_token(self) -> str:
        """The bot token.

        Raises SettingsError where it is missing, or would be readable on its way to Slack.
        """
        _ensure_address(self.slack_api_url, "SLACK_API_URL")
        return _secret(self.slack_bot_token, "SLACK_BOT_TOKEN", "xoxb-")

    def app_token(self) -> str:
        """The app token. Raises SettingsError as above."""
        _ensure_address(self.slack_api_url, "SLACK_API_URL")
        return _secret(self.slack_app_token, "SLACK_APP_TOKEN", "xapp-")

    def signing_secret(self) -> str:
        """The signing secret, which HTTP mode needs. Raises SettingsError where it is missing."""
        if self.slack_signing_secret is None:
            raise SettingsError(
                "Neither SLACK_APP_TOKEN (Socket Mode) nor SLACK_SIGNING_SECRET (HTTP) is set. "
                "Set SLACK_APP_TOKEN to the app-level token (xapp-…), or SLACK_SIGNING_SECRET to "
                "the signing secret; both are on the app's page at api.slack.com."
            )
        return self.slack_signing_secret.get_secret_value()

    def pagerduty_key(self) -> str | None:
        """PagerDuty's token, or None. Raises SettingsError for a token or an address that is none.

        So do the two below.
        """
        _ensure_address(self.pagerduty_api_url, "PAGERDUTY_API_URL")
        return _key(self.pagerduty_token, "PAGERDUTY_TOKEN")

    def opsgenie_key(self) -> str | None:
        """Opsgenie's API key, or None."""
        _ensure_address(self.opsgenie_api_url, "OPSGENIE_API_URL")
        return _key(self.opsgenie_api_key, "OPSGENIE_API_KEY")

    def jira_key(self) -> str | None:
        """Jira's token, or None. The token and the address are there together, or neither."""
        key = _key(self.jira_token, "JIRA_TOKEN")
        if self.jira_url is not None:
            _ensure_address(self.jira_url, "JIRA_URL")
            if key is None:
                raise SettingsError("JIRA_URL is set and JIRA_TOKEN is not. Set both, or neither.")
        elif key is not None:
            raise SettingsError("JIRA_TOKEN is set and JIRA_URL is not. Set both, or neither.")
        return key

    def ensure_services(self) -> None:
        """Raise SettingsError for an address or a key of another service that cannot be one."""
        self.pagerduty_key()
        self.opsgenie_key()
        self.jira_key()

    def ensure_slack(self) -> None:
        """Raise SettingsError unless everything that talking to Slack needs is there."""
        self.bot_token()
        if self.socket_mode:
            self.app_token()
        else:
            self.signing_secret()


def read_settings() -> Settings:
    """The settings from the environment. Raises SettingsError, naming the variable.

    A variable that is set to nothing counts as not set.
    """
    directory = os.environ.get(SECRETS_DIR) or None
    if directory is not None and not Path(directory).is_dir():
        raise SettingsError(
            f"{SECRETS_DIR} names `{directory}`, which is not a folder. Set it to "
            "the one that holds the secrets' files, or unset it."
        )
    try:
        settings = Settings(_secrets_dir=directory)
    except ValidationError as error:
        problems = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
        raise SettingsError(
            f"The environment is wrong: {problems}. Correct it, or unset it for the default; "
            "docs/operations.md has each variable."
        ) from None
    _ensure_lasting(settings.database_url.get_secret_value())
    return settings


def _ensure_lasting(url: str) -> None:
    """Raise SettingsError for a database that cannot last, or a host that a password got into."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return  # the store says what is wrong with it
    if "@" in (parsed.host or ""):
        raise SettingsError(
            "DATABASE_URL has an `@` too many. In a user name or a password it is written `%40`."
        )
    if parsed.get_backend_name() != "sqlite":
        return
    if parsed.database in (None, "", ":memory:"):
        raise SettingsError(
            "DATABASE_URL names a database in memory, and grants have to outlive the process. "
            "Name a file: `sqlite:///eks-access.db`."
        )
    folder = Path(parsed.database or "").absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(
            f"DATABASE_URL names a file in {folder}, which is not there or cannot be written to. "
            "SQLite keeps further files beside it. Make the folder, or let this user write to it."
        )


def _secret(value: SecretStr | None, name: str, prefix: str) -> str:
    if value is None or not value.get_secret_value():
        raise SettingsError(
            f"{name} is not set. Set it to the token that begins with {prefix}, from the app's "
            "page at api.slack.com."
        )
    text = value.get_secret_value().strip()
    if not text.startswith(prefix):
        raise SettingsError(
            f"{name} does not begin with {prefix}, so it is another kind of token. Set it to the "
            "one that does, from the app's page at api.slack.com."
        )
    return text


def _ensure_address(url: str, name: str) -> None:
    try:
        service_url(url)
    except ValueError as problem:
        raise SettingsError(f"{name} {problem}.") from None


def _key(value: SecretStr | None, name: str) -> str | None:
    text = value.get_secret_value().strip() if value is not None else ""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsError(f"{name} has characters that no key has. Copy it again.")
    return text or None
