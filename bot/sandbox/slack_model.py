"""What a Slack workspace is made of: team, app, people, groups, channels, and their JSON.

The shapes are those of Slack's reference, "Types" and "Methods".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from secrets import token_hex
from typing import Any, Self
from zoneinfo import ZoneInfo

Json = dict[str, Any]

DEFAULT_SCOPES = (
    "commands",
    "chat:write",
    "chat:write.public",
    "users:read",
    "users:read.email",
    "usergroups:read",
    "channels:read",
    "groups:read",
)
DEFAULT_EVENTS = (
    "app_home_opened",
    "user_change",
    "subteam_updated",
    "subteam_members_changed",
    "member_joined_channel",
    "member_left_channel",
    "channel_archive",
)


class SlackError(Exception):
    """What the Web API answers with `ok: false`. `messages` becomes `response_metadata`."""

    def __init__(self, error: str, messages: list[str] | None = None, **extra: object) -> None:
        super().__init__(error if not messages else f"{error}: {'; '.join(messages)}")
        self.error = error
        self.messages = messages or []
        self.extra = extra


class Kind(StrEnum):
    """The kinds of people a workspace knows."""

    MEMBER = "member"
    ADMIN = "admin"
    GUEST = "guest"
    SINGLE_CHANNEL_GUEST = "single_channel_guest"
    OUTSIDER = "outsider"
    DEACTIVATED = "deactivated"
    BOT = "bot"


@dataclass
class Team:
    id: str = "T01ACME"
    name: str = "Acme"
    domain: str = "acme"


@dataclass
class AppSettings:
    """The app as installed: what its manifest asks for and what Slack gave it."""

    id: str = "A01EKSACCESS"
    name: str = "eks-access"
    user_id: str = "U0EKSACCESS"
    bot_id: str = "B0EKSACCESS"
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    app_scopes: tuple[str, ...] = ("connections:write",)
    events: tuple[str, ...] = DEFAULT_EVENTS
    commands: tuple[Json, ...] = ({"command": "/eks-access"},)
    home_tab: bool = True
    messages_tab: bool = True
    interactivity: bool = True
    bot_token: str = field(default_factory=lambda: f"xoxb-local-{token_hex(12)}")
    app_token: str = field(default_factory=lambda: f"xapp-local-{token_hex(12)}")
    signing_secret: str = field(default_factory=lambda: token_hex(16))
    verification_token: str = field(default_factory=lambda: token_hex(12))
    token_error: str | None = None
    """Set it to `token_revoked`, `account_inactive`, … and every Web API call answers that."""

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Self:
        """Read an app manifest (Slack's manifest schema v2), so that a forgotten scope shows."""
        features = manifest.get("features", {})
        settings = manifest.get("settings", {})
        return cls(
            name=features.get("bot_user", {}).get("display_name") or cls.name,
            scopes=tuple(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ())),
            events=tuple(settings.get("event_subscriptions", {}).get("bot_events", ())),
            commands=tuple(dict(command) for command in features.get("slash_commands", ())),
            home_tab=bool(features.get("app_home", {}).get("home_tab_enabled", False)),
            messages_tab=bool(features.get("app_home", {}).get("messages_tab_enabled", True)),
            interactivity=bool(settings.get("interactivity", {}).get("is_enabled", False)),
        )


@dataclass
class Person:
    """A Slack user. `is_stranger` is somebody of another organisation, over Slack Connect.

    `teams` are the workspaces of somebody of an Enterprise Grid; nobody else has any.
    """

    id: str
    name: str
    team_id: str
    real_name: str = ""
    display_name: str = ""
    title: str = ""
    email: str | None = None
    is_email_confirmed: bool = True
    tz: str = "UTC"
    deleted: bool = False
    is_bot: bool = False
    is_admin: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    updated: int = 0
    teams: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        for kind, holds in (
            (Kind.BOT, self.is_bot),
            (Kind.DEACTIVATED, self.deleted),
            (Kind.OUTSIDER, self.is_stranger),
            (Kind.SINGLE_CHANNEL_GUEST, self.is_ultra_restricted),
            (Kind.GUEST, self.is_restricted),
            (Kind.ADMIN, self.is_admin),
        ):
            if holds:
                return kind
        return Kind.MEMBER

    def to_slack(self, now: datetime, *, with_email: bool) -> Json:
        """The user object. Slack leaves roles and time zone out once somebody is deactivated."""
        profile: Json = {
            "title": self.title,
            "real_name": self.real_name,
            "real_name_normalized": self.real_name,
            "display_name": self.display_name,
            "display_name_normalized": self.display_name,
            "team": self.team_id,
        }
        if with_email and self.email is not None and not self.is_stranger:
            profile["email"] = self.email
        user: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "profile": profile,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": self.updated,
        }
        if self.is_stranger:
            user["is_stranger"] = True
        if self.teams:
            user["enterprise_user"] = {
                "id": self.id,
                "enterprise_id": "E01GRID",
                "enterprise_name": "Grid",
                "is_admin": False,
                "is_owner": False,
                "teams": list(self.teams),
            }
        if not self.deleted:
            offset = ZoneInfo(self.tz).utcoffset(now)
            user |= {
                "real_name": self.real_name,
                "tz": self.tz,
                "tz_label": self.tz,
                "tz_offset": int(offset.total_seconds()) if offset is not None else 0,
                "is_admin": self.is_admin,
                "is_owner": False,
                "is_primary_owner": False,
                "is_restricted": self.is_restricted or self.is_ultra_restricted,
                "is_ultra_restricted": self.is_ultra_restricted,
            }
            if not self.is_bot:
                user["is_email_confirmed"] = self.is_email_confirmed
        return user


@dataclass
class Group:
    """A user group (Slack's API says subteam)."""

    id: str
    handle: str
    name: str
    team_id: str
    users: list[str] = field(default_factory=list)
    disabled: bool = False
    created: int = 0
    updated: int = 0

    def to_slack(self, *, include_users: bool, include_count: bool = True) -> Json:
        group: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "is_usergroup": True,
            "is_subteam": True,
            "name": self.name,
            "description": "",
            "handle": self.handle,
            "is_external": False,
            "date_create": self.created,
            "date_update": self.updated,
            "date_delete": self.updated if self.disabled else 0,
            "auto_type": None,
            "created_by": "",
            "updated_by": "",
            "deleted_by": None,
            "prefs": {"channels": [], "groups": []},
        }
        if include_users:
            group["users"] = list(self.users)
        if include_count:
            group["user_count"] = len(self.users)
        return group


@dataclass
class Channel:
    """A channel, or with `user` the direct messages between that person and the app's bot."""

    id: str
    name: str
    team_id: str
    is_private: bool = False
    is_archived: bool = False
    is_ext_shared: bool = False
    user: str | None = None
    members: list[str] = field(default_factory=list)
    topic: str = ""
    created: int = 0

    @property
    def is_im(self) -> bool:
        return self.user is not None

    @property
    def name_in_payloads(self) -> str:
        """What commands and clicks carry as the channel's name: only public ones have theirs."""
        if self.is_im:
            return "directmessage"
        return "privategroup" if self.is_private else self.name

    @property
    def read_scope(self) -> str:
        if self.is_im:
            return "im:read"
        return "groups:read" if self.is_private else "channels:read"

    def to_slack(self, *, bot: str) -> Json:
        if self.is_im:
            return {
                "id": self.id,
                "created": self.created,
                "is_archived": False,
                "is_im": True,
                "is_org_shared": False,
                "context_team_id": self.team_id,
                "user": self.user,
                "is_user_deleted": False,
                "priority": 0,
            }
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "created": self.created,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_ext_shared": self.is_ext_shared,
            "is_pending_ext_shared": False,
            "is_member": bot in self.members,
            "context_team_id": self.team_id,
            "creator": self.members[0] if self.members else "",
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
            "previous_names": [],
        }
