"""The other services that the bot asks: where each is, what it is asked with, who sets that.

Only reading: each key can be one that changes nothing (docs/oncall.md says which).
"""

from __future__ import annotations

from base64 import b64encode

from bot.web import Service


def pagerduty(url: str, token: str) -> Service:
    """Source: PagerDuty's developer documentation, "Authentication" and "Versioning"."""
    return Service(
        "PagerDuty",
        url,
        {
            "Authorization": f"Token token={token}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        },
        url_variable="PAGERDUTY_API_URL",
        key_variable="PAGERDUTY_TOKEN",
        probe="/oncalls?limit=1",
    )


def opsgenie(url: str, key: str) -> Service:
    """Source: Opsgenie's documentation, "Authentication"."""
    return Service(
        "Opsgenie",
        url,
        {"Authorization": f"GenieKey {key}", "Accept": "application/json"},
        url_variable="OPSGENIE_API_URL",
        key_variable="OPSGENIE_API_KEY",
        probe="/v2/schedules",
    )


def jira(url: str, email: str | None, token: str) -> Service:
    """With an email the token is Jira Cloud's, without one a personal access token of Data Center.

    Source: Atlassian, "Basic auth for REST APIs" and "Using personal access tokens".
    """
    basic = b64encode(f"{email}:{token}".encode()).decode()
    return Service(
        "Jira",
        url,
        {
            "Authorization": f"Basic {basic}" if email else f"Bearer {token}",
            "Accept": "application/json",
        },
        url_variable="JIRA_URL",
        key_variable="JIRA_TOKEN",
        probe="/rest/api/2/myself",
    )
