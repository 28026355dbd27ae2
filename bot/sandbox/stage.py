"""The sandbox put together: local Slack, EKS and other services, a store, and the real bot.

Nothing in the bot knows that it is here: it talks Slack's Web API and Socket Mode to the one, the
AWS API to the other, over HTTP and WebSocket on loopback, and to the others as they would have it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import yaml

from bot.core.planner import DEPLOYMENT_TAG
from bot.sandbox import local_opsgenie
from bot.sandbox.clock import MovableClock
from bot.sandbox.eks import EksStandIn
from bot.sandbox.local_services import LocalServices
from bot.sandbox.page import page_routes
from bot.sandbox.panel import Panel
from bot.sandbox.slack_model import AppSettings
from bot.sandbox.slack_server import SlackWorkspace
from bot.settings import Settings
from bot.store import migrate
from bot.store.database import Database
from bot.wiring import Bot, Given

LAB_ACCOUNT = "111122223333"
PRODUCTION_ACCOUNT = "444455556666"
TERRAFORM_ROLE = f"arn:aws:iam::{PRODUCTION_ACCOUNT}:role/platform-admins"
NODE_ROLE = f"arn:aws:iam::{PRODUCTION_ACCOUNT}:role/prod-eu-nodes"


class Stage:
    """Everything the sandbox shows, for as long as it is entered.

    `policy` is the policy file's text, by default the sandbox's own; `database_url` defaults to a
    SQLite file in `folder`, which is a temporary one unless given.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        policy: str | None = None,
        database_url: str | None = None,
        clock: MovableClock | None = None,
        http_mode: bool = False,
    ) -> None:
        self.clock = clock or MovableClock()
        self.folder = Path(tempfile.mkdtemp(prefix="eks-access-sandbox-"))
        self.policy_file = self.folder / "eks-access.yaml"
        self.policy_file.write_text(policy if policy is not None else sandbox_policy())
        self.database_url = database_url or f"sqlite:///{self.folder / 'eks-access.db'}"
        self._http_mode = http_mode
        self._cleanup = ExitStack()
        self.eks = EksStandIn(account=LAB_ACCOUNT)
        self.services = LocalServices(clock=self.clock)
        self.panel = Panel(self.eks, self.clock, self.policy_file)
        self.slack = SlackWorkspace(
            app=AppSettings.from_manifest(manifest()),
            port=port,
            clock=self.clock,
            extra_routes=[*page_routes(), *self.panel.routes()],
        )
        self.bot: Bot | None = None

    def __enter__(self) -> Self:
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.eks.start()
        self._cleanup.callback(self.eks.stop)
        self.eks.scheduler.clock = self.clock
        self.eks.scheduler.run()
        self.services.start()
        self._cleanup.callback(self.services.stop)
        self.slack.start()
        self._cleanup.callback(self.slack.stop)
        self._cleanup.callback(set_environment(self.eks.environment(LAB_ACCOUNT)))
        return self

    def __exit__(self, *error: object) -> None:
        self.stop_bot()
        self._cleanup.close()

    def settings(self) -> Settings:
        """What the environment of a bot in this sandbox says."""
        values: dict[str, Any] = {
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": None if self._http_mode else self.slack.app_token,
            "SLACK_SIGNING_SECRET": self.slack.signing_secret,
            "SLACK_API_URL": self.slack.api_url,
            "DATABASE_URL": self.database_url,
            "EKS_ACCESS_CONFIG": self.policy_file,
            "EKS_ACCESS_HTTP_HOST": "127.0.0.1",
            "EKS_ACCESS_HTTP_PORT": 0,
            **self.services.settings(),
        }
        return Settings(**values)

    def start_bot(self) -> Bot:
        """Start the bot, on the store as it is, and wait until Slack can reach it."""
        settings = self.settings()
        database = Database(self.database_url)
        migrate.upgrade(database)
        database.close()
        given = Given(monotonic=self.clock.monotonic)
        bot = Bot(settings, clock=self.clock, given=given)
        self.panel.watch(bot.database)
        bot.start()
        self.clock.subscribe(bot.wake)
        if self._http_mode:
            self.slack.deliver_over_http(f"http://127.0.0.1:{bot.http.port}/slack/events")
        else:
            self.slack.wait_connected()
        self.bot = bot
        return bot

    def stop_bot(self) -> None:
        """Stop the bot in good order, if it runs."""
        if self.bot is not None:
            bot, self.bot = self.bot, None
            self.panel.watch(None)
            bot.stop()

    def advance(self, by: timedelta) -> None:
        """Move the clock of everything here forward."""
        self.clock.advance(by)


def manifest() -> dict[str, Any]:
    """The app's manifest: beside the package in a checkout, inside it once installed."""
    package = Path(str(files("bot")))
    places = (package / "app-manifest.yml", package.parent / "app-manifest.yml")
    file = next(place for place in places if place.is_file())
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def sandbox_policy() -> str:
    """The text of the sandbox's policy file."""
    return files("bot.sandbox").joinpath("policy.yaml").read_text(encoding="utf-8")


def furnish(stage: Stage) -> None:
    """The people, channels and clusters of the sandbox's story."""
    slack, eks = stage.slack, stage.eks
    slack.add_person("U01ANA", "ana.ruiz", title="Engineer", tz="Europe/Madrid")
    slack.add_person("U02BEN", "ben.ito", title="Payments lead", tz="Asia/Tokyo")
    slack.add_person("U03CLEO", "cleo.roux", title="Platform", tz="Europe/Paris")
    slack.add_person("U04DAN", "dan.okafor", title="Platform", tz="Africa/Lagos")
    slack.add_person("U05GIA", "gia.guest", kind="guest", title="Contractor")
    slack.add_person(
        "U06OTTO", "otto", kind="outsider", team_id="T09OTHER", title="Somebody at a supplier"
    )
    slack.add_person("U07IRIS", "iris.lund", title="Security", tz="Europe/Stockholm")
    slack.add_person("U08NOA", "noa.levi", title="Incident response", tz="Asia/Jerusalem")
    slack.add_group("S01PLATFORM", "platform", users=["U03CLEO", "U04DAN"])
    slack.add_group("S02PAYLEADS", "pay-leads", users=["U02BEN", "U03CLEO"])
    slack.add_group("S04RESPOND", "incident-response", users=["U08NOA"])
    slack.add_group("S05SECURITY", "security-team", users=["U07IRIS"])
    slack.add_channel("C00GENERAL", "general")
    slack.add_channel("C01PLATFORM", "platform-access")
    slack.add_channel("C02PAYMENTS", "payments-access")
    slack.add_channel("C0SECURITY", "security")
    slack.add_channel("C0AUDIT", "eks-audit")
    slack.join("C02PAYMENTS", "U05GIA")
    _call_and_ticket(stage.services)
    eks.create_cluster("modern-access-lab", "eu-west-1", LAB_ACCOUNT)
    eks.create_cluster("legacy-eu", "eu-west-1", LAB_ACCOUNT, authentication_mode="CONFIG_MAP")
    eks.create_cluster("prod-eu", "eu-central-1", PRODUCTION_ACCOUNT)
    eks.put_entry(
        "prod-eu",
        TERRAFORM_ROLE,
        "eu-central-1",
        PRODUCTION_ACCOUNT,
        tags={"managed-by": "terraform"},
        policies={"AmazonEKSClusterAdminPolicy": ()},
    )
    eks.put_entry("prod-eu", NODE_ROLE, "eu-central-1", PRODUCTION_ACCOUNT, type="EC2_LINUX")
    for account, region in ((LAB_ACCOUNT, "eu-west-1"), (PRODUCTION_ACCOUNT, "eu-central-1")):
        set_up_backstop(eks, account, region, deployment="sandbox")


def set_up_backstop(eks: EksStandIn, account: str, region: str, *, deployment: str) -> None:
    """The schedule group and the role of a backstop, as deploy/backstop-policy.json has it."""
    eks.scheduler.create_group("eks-access", region, account)
    statement = {
        "Effect": "Allow",
        "Action": "eks:DeleteAccessEntry",
        "Resource": f"arn:aws:eks:*:{account}:access-entry/*",
        "Condition": {
            "ArnLike": {"eks:principalArn": f"arn:aws:iam::{account}:role/eks-jit/*"},
            "StringEquals": {f"aws:ResourceTag/{DEPLOYMENT_TAG}": deployment},
        },
    }
    role = f"arn:aws:iam::{account}:role/eks-access-backstop"
    eks.scheduler.put_role(role, {"Statement": [statement]})


def _call_and_ticket(services: LocalServices) -> None:
    """Cleo is on call for the platform and Dan behind her; there are tickets and an incident."""
    pagerduty, opsgenie, jira = services.pagerduty, services.opsgenie, services.jira
    for user, name in (("PCLEO01", "cleo.roux"), ("PDAN001", "dan.okafor")):
        pagerduty.put_user(user, f"{name}@example.com")
    pagerduty.put_on_call("PCLEO01", "PPLATFM", level=1)
    pagerduty.put_on_call("PDAN001", "PPLATFM", level=2)
    pagerduty.put_incident("Q1XVIGDOPM2UJ4", 1234)
    opsgenie.put_schedule("b5b92115-bfe7-43eb-8c2a-e467f2e5ddc4", "platform")
    cleo, dan = (local_opsgenie.user(f"{name}@example.com") for name in ("cleo.roux", "dan.okafor"))
    behind = local_opsgenie.escalation("platform", {**dan, "escalationTime": 10})
    opsgenie.put_on_call("b5b92115-bfe7-43eb-8c2a-e467f2e5ddc4", cleo, behind)
    jira.put_issue("PAY-1423", "indeterminate")
    jira.put_issue("PAY-1400", "done")


def set_environment(values: Mapping[str, str]) -> Any:
    """Set AWS's variables for this process. Returns what puts back those that were there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)

    def restore() -> None:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    return restore
