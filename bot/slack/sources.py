"""What every desk looks into for its answers, and the clock it goes by."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from bot.core.errors import Refused
from bot.core.model import Person
from bot.core.oncall import OnCallFacts, Schedules
from bot.core.people import not_full_member
from bot.policy_file import LoadedPolicy
from bot.slack.people import MAX_AGE, Directory
from bot.store.database import Database


@dataclass(frozen=True, slots=True)
class Sources:
    """Safe to use from several threads. `on_call` asks on-call services, or tells what is kept."""

    database: Database
    directory: Directory
    policy: Callable[[], LoadedPolicy]
    on_call: Callable[[Collection[Schedules]], OnCallFacts]
    clock: Callable[[], datetime]

    def member(self, user_id: str) -> Person:
        """This full member of the workspace, as Slack described them half a minute ago or later.

        Raises Refused for anybody else, and DirectoryUnavailable where Slack does not tell.
        """
        person = self.directory.asking(MAX_AGE).person(user_id)
        problem = not_full_member(person, self.directory.team_id())
        if problem is not None:
            raise Refused(problem.code, problem.sentence)
        return person
