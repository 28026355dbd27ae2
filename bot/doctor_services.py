"""Whether PagerDuty, Opsgenie and Jira can be asked, where they are set up or needed.

Each schedule that break-glass asks about is asked about, so that a wrong id shows before the night
on which it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot import services
from bot.core.policy import Policy
from bot.doctor_result import Result, Status, count
from bot.oncall import OnCallService, Opsgenie, PagerDuty
from bot.settings import Settings, SettingsError
from bot.web import JsonWeb, Service, WebProblem
from bot.wiring import utc_now

_VARIABLES = {
    "pagerduty": "PAGERDUTY_TOKEN is",
    "opsgenie": "OPSGENIE_API_KEY is",
    "jira": "JIRA_URL and JIRA_TOKEN are",
}


def answers(
    settings: Settings, policy: Policy | None, began: Callable[[str], None]
) -> Iterator[Result]:
    """For each service: it can be reached and takes the key; then each schedule of the policy."""
    for name, configured in (("pagerduty", _pagerduty), ("opsgenie", _opsgenie), ("jira", _jira)):
        try:
            service = configured(settings)
        except SettingsError as problem:
            yield Result(name, Status.FINDING, str(problem))
            continue
        if service is None:
            uses = _uses(policy, name)
            if uses:
                message = f"The policy needs it to know {uses}, and {_VARIABLES[name]} not set."
                yield Result(name, Status.FINDING, message, "docs/oncall.md says what to set.")
            continue
        began(name)
        result = _answer(name, service)
        yield result
        schedules = _schedules_of(policy, name)
        if schedules and result.status is Status.OK:
            yield from _schedules(settings, name, schedules, began)


def _answer(name: str, service: Service) -> Result:
    web = JsonWeb(service)
    try:
        web.probe()
    except WebProblem as problem:
        return Result(name, Status.FINDING, f"It {problem.what}.", problem.remedy)
    finally:
        web.close()
    return Result(name, Status.OK, f"{service.url} takes the key in {service.key_variable}.")


def _schedules(
    settings: Settings, name: str, schedules: list[str], began: Callable[[str], None]
) -> Iterator[Result]:
    asked: OnCallService
    if name == "pagerduty":
        asked = PagerDuty(settings.pagerduty_api_url, settings.pagerduty_key(), clock=utc_now)
    else:
        asked = Opsgenie(settings.opsgenie_api_url, settings.opsgenie_key(), clock=utc_now)
    try:
        for schedule in schedules:
            check = f"{name} schedule {schedule}"
            began(check)
            on_call = asked.on_call([schedule])
            if not on_call.available:
                yield Result(check, Status.FINDING, on_call.problem or "It is not told.")
            elif on_call.ids:
                people = count(len(on_call.ids), "person is", "people are")
                yield Result(check, Status.OK, f"{people} on call first by it now.")
            else:
                message = "Nobody is on call first by it now."
                remedy = "Compare the id, and the level that the schedule is on, with the service."
                yield Result(check, Status.NOTE, message, remedy)
    finally:
        asked.close()


def _uses(policy: Policy | None, name: str) -> str:
    """What the policy file needs the service for; empty where it does not."""
    if _schedules_of(policy, name):
        return "who is on call"
    if policy is not None and policy.tickets is not None and policy.tickets.check == name:
        return "whether tickets are open"
    return ""


def _schedules_of(policy: Policy | None, name: str) -> list[str]:
    entries = policy.break_glass if policy is not None else ()
    asked = [entry.responders.services.get(name) for entry in entries]
    return sorted({schedule for one in asked if one is not None for schedule in one.schedules})


def _pagerduty(settings: Settings) -> Service | None:
    key = settings.pagerduty_key()
    return services.pagerduty(settings.pagerduty_api_url, key) if key else None


def _opsgenie(settings: Settings) -> Service | None:
    key = settings.opsgenie_key()
    return services.opsgenie(settings.opsgenie_api_url, key) if key else None


def _jira(settings: Settings) -> Service | None:
    key = settings.jira_key()
    if settings.jira_url is None or key is None:
        return None
    return services.jira(settings.jira_url, settings.jira_email, key)
