"""Whether PagerDuty, Opsgenie and Jira can be asked, where they are set up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot import services
from bot.doctor_result import Result, Status
from bot.settings import Settings, SettingsError
from bot.web import JsonWeb, Service, WebProblem


def answers(settings: Settings, began: Callable[[str], None]) -> Iterator[Result]:
    """One result for each service whose key is set: it can be reached, and takes the key."""
    for name, configured in (("pagerduty", _pagerduty), ("opsgenie", _opsgenie), ("jira", _jira)):
        try:
            service = configured(settings)
        except SettingsError as problem:
            yield Result(name, Status.FINDING, str(problem))
            continue
        if service is not None:
            began(name)
            yield _answer(name, service)


def _answer(name: str, service: Service) -> Result:
    web = JsonWeb(service)
    try:
        web.probe()
    except WebProblem as problem:
        return Result(name, Status.FINDING, f"It {problem.what}.", problem.remedy)
    finally:
        web.close()
    return Result(name, Status.OK, f"{service.url} takes the key in {service.key_variable}.")


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
