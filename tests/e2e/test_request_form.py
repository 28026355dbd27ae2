"""The request form, from `/eks-access` to the request: it offers what the policy lets one have."""

from __future__ import annotations

import pytest
from reading import GENERAL, PATIENCE_SECONDS, given, lab_entry, wait_card, wait_told, words

from bot.sandbox.humans import Human
from bot.sandbox.slack_shown import View
from bot.sandbox.stage import Stage


@pytest.fixture
def ana(stage: Stage) -> Human:
    return stage.slack.human("U01ANA")


def form(stage: Stage, person: Human) -> View:
    """Open the request form and wait until it is filled with choices."""
    person.command("/eks-access", GENERAL)
    stage.slack.wait(lambda: person.modal is not None and person.modal.callback_id == "request")
    assert person.modal is not None
    return person.modal


def fields(person: Human) -> dict[str, dict]:
    """Field → its input block."""
    assert person.modal is not None
    blocks = person.modal.all_blocks()
    return {one["block_id"].partition(":")[0]: one for one in blocks if one["type"] == "input"}


def offered(person: Human, field: str) -> list[str]:
    return [one["value"] for one in fields(person)[field]["element"]["options"]]


def says(person: Human, said: str) -> bool:
    return person.modal is not None and said in str(person.modal.all_blocks()).replace("*", "")


def choose(stage: Stage, person: Human, name: str, value: object, *, then: str) -> None:
    """Choose, and wait until the form says what follows from it."""
    outcome = person.choose(name, value)
    assert outcome.acknowledged
    stage.slack.wait(lambda: says(person, then))


def lab_view(stage: Stage, person: Human) -> None:
    form(stage, person)
    choose(stage, person, "cluster", "modern-access-lab", then="'Level'")
    choose(stage, person, "level", "view", then="nobody has to approve")


def payments_edit(stage: Stage, person: Human) -> None:
    form(stage, person)
    choose(stage, person, "cluster", "prod-eu", then="in production")
    choose(stage, person, "level", "edit", then="on prod-eu:")


def test_a_first_request_takes_four_interactions_and_the_next_one_two(
    stage: Stage, ana: Human
) -> None:
    """Every field and every button counts; the only namespace and the duration are filled in."""
    form(stage, ana)
    first = [
        lambda: choose(stage, ana, "cluster", "modern-access-lab", then="'Level'"),
        lambda: choose(stage, ana, "level", "view", then="nobody has to approve"),
        lambda: ana.fill("reason", "Looking"),
        ana.submit,
    ]
    assert len(first) <= 4
    for interaction in first:
        interaction()
    told = wait_told(stage, ana, "is active until")
    assert given(lab_entry(stage)) == {"AmazonEKSViewPolicy": ("default",)}
    ana.click(told, "return")
    wait_told(stage, ana, "has ended")
    form(stage, ana)
    for interaction in first[2:]:
        interaction()
    stage.eks.wait_for(lambda: bool(given(lab_entry(stage))), PATIENCE_SECONDS)
    assert given(lab_entry(stage)) == {"AmazonEKSViewPolicy": ("default",)}


def test_four_interactions_are_enough_where_a_rule_wants_a_ticket(stage: Stage, ana: Human) -> None:
    """The only namespace of the rule is filled in, and the reason names the ticket."""
    form(stage, ana)
    interactions = [
        lambda: choose(stage, ana, "cluster", "prod-eu", then="in production"),
        lambda: choose(stage, ana, "level", "edit", then="on prod-eu:"),
        lambda: ana.fill("reason", "PAY-1423: clearing a stuck job"),
        ana.submit,
    ]
    assert len(interactions) <= 4
    for interaction in interactions:
        interaction()
    card = wait_card(stage, ana, "C02PAYMENTS")
    assert "https://acme.example/browse/PAY-1423" in words(card)


def test_a_reason_that_names_several_tickets_leaves_the_choice_to_the_person(
    stage: Stage, ana: Human
) -> None:
    payments_edit(stage, ana)
    result = ana.submit(namespaces="payments", reason="PAY-1, and then PAY-2")
    said = "The reason names PAY-1 and PAY-2. Enter the one that this is for."
    assert result.errors == {fields(ana)["ticket"]["block_id"]: said}
    assert ana.submit(ticket="PAY-2").errors == {}
    assert "https://acme.example/browse/PAY-2" in words(wait_card(stage, ana, "C02PAYMENTS"))


def test_the_last_choice_is_there_again_and_only_the_reason_is_missing(
    stage: Stage, ana: Human
) -> None:
    payments_edit(stage, ana)
    first = {"namespaces": "payments", "duration": "4h", "ticket": "PAY-1", "reason": "Clearing it"}
    assert ana.submit(first).errors == {}
    wait_card(stage, ana, "C02PAYMENTS")
    stage.slack.human("U02BEN").command(f"/eks-access deny {_request(stage)} No", GENERAL)
    wait_told(stage, ana, "denied")
    form(stage, ana)
    assert says(ana, "edit on prod-eu:")
    shown = {name: block["element"] for name, block in fields(ana).items()}
    assert shown["namespaces"]["initial_value"] == "payments"
    assert shown["duration"]["initial_option"]["value"] == "4h"
    assert "initial_value" not in shown["reason"]
    assert "initial_value" not in shown["ticket"]
    assert ana.submit(ticket="PAY-2", reason="Clearing it again").errors == {}
    wait_card(stage, ana, "C02PAYMENTS", number=2)


def _request(stage: Stage) -> str:
    card = stage.slack.human("U02BEN").sees("C02PAYMENTS")[0]
    return card.text.rpartition("(")[2].rstrip(")")


def test_levels_namespaces_and_durations_follow_from_cluster_and_level(
    stage: Stage, ana: Human
) -> None:
    form(stage, ana)
    assert set(fields(ana)) == {"cluster", "reason", "ticket"}
    choose(stage, ana, "cluster", "modern-access-lab", then="'Level'")
    assert offered(ana, "level") == ["view", "edit"]
    choose(stage, ana, "level", "view", then="nobody has to approve")
    assert offered(ana, "duration")[-1] == "8h"
    assert "default and dev-*" in fields(ana)["namespaces"]["hint"]["text"]
    assert not fields(ana)["namespaces"]["optional"]
    choose(stage, ana, "cluster", "prod-eu", then="in production")
    assert offered(ana, "level") == ["view", "edit", "cluster-admin"]
    choose(stage, ana, "level", "cluster-admin", then="in the whole cluster")
    assert offered(ana, "duration") == ["15m", "30m", "1h"]
    assert "namespaces" not in fields(ana)


def test_it_says_who_decides_what_it_allows_and_that_it_is_production(
    stage: Stage, ana: Human
) -> None:
    payments_edit(stage, ana)
    assert says(ana, ":warning: Production: prod-eu is in production.")
    assert says(ana, "read secrets, exec into pods")
    assert says(ana, "one of <!subteam^S02PAYLEADS> and <@U02BEN> approves, asked in <#C02PAYMENTS")
    ticket = fields(ana)["ticket"]
    assert ticket["label"]["text"] == "Ticket, required by payments here or in the reason"
    assert ticket["hint"]["text"] == "It has to look like PAY-1423."
    choose(stage, ana, "level", "cluster-admin", then="2 of <!subteam^S01PLATFORM> approve")
    ana.choose("cluster", "modern-access-lab")
    stage.slack.wait(lambda: not says(ana, ":warning:"))
    assert "hint" not in fields(ana)["ticket"]
    assert fields(ana)["ticket"]["label"]["text"] == "Ticket"


def test_reason_and_ticket_stay_while_the_choice_changes(stage: Stage, ana: Human) -> None:
    form(stage, ana)
    ana.fill("reason", "Clearing a stuck job")
    ana.fill("ticket", "PAY-7")
    choose(stage, ana, "cluster", "prod-eu", then="in production")
    choose(stage, ana, "level", "edit", then="on prod-eu:")
    assert ana.submit(namespaces="payments").errors == {}
    card = wait_card(stage, ana, "C02PAYMENTS")
    assert "Clearing a stuck job" in words(card)
    assert "PAY-7" in words(card)


def test_a_level_that_the_next_cluster_does_not_have_is_not_kept(stage: Stage, ana: Human) -> None:
    form(stage, ana)
    choose(stage, ana, "cluster", "prod-eu", then="in production")
    choose(stage, ana, "level", "cluster-admin", then="2 of <!subteam^S01PLATFORM> approve")
    ana.choose("cluster", "modern-access-lab")
    stage.slack.wait(lambda: offered(ana, "level") == ["view", "edit"])
    result = ana.submit(reason="Looking")
    assert set(result.errors) == {fields(ana)["level"]["block_id"]}


def test_quick_choices_end_with_what_was_chosen_last(stage: Stage, ana: Human) -> None:
    lab_view(stage, ana)
    for level in ("edit", "view", "edit"):
        assert ana.choose("level", level).acknowledged
    stage.slack.wait(lambda: says(ana, "edit on modern-access-lab:"))
    stage.slack.wait(lambda: says(ana, "one of <!subteam^S01PLATFORM> approves"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("namespaces", "Not A Namespace", "namespace"),
        ("namespaces", "orders", "No rule lets you ask for edit on prod-eu in `orders`"),
        ("namespaces", "kube-system", "system namespace"),
        ("namespaces", "", "Name the namespaces"),
        (
            "ticket",
            "",
            "Rule payments needs a ticket, here or in the reason. It has to look like PAY-1423.",
        ),
        ("ticket", "pay 1", "pay 1 is no ticket for rule payments. It has to look like PAY-1423."),
        ("duration", "9h", "9 h is too long: rule payments gives at most 4 h"),
        ("duration", "9999h", "9999h"),
        ("reason", " \u200b ", "Say why you need it"),
        ("reason", "-" * 3001, "3,000"),
        ("level", "edti", "edti"),
        ("cluster", "somebody-elses", "no cluster here"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_the_form_stays(
    stage: Stage, ana: Human, field: str, value: str, said: str
) -> None:
    payments_edit(stage, ana)
    values = {"namespaces": "payments", "ticket": "PAY-1", "reason": "Looking", "duration": "1h"}
    result = ana.submit({**values, field: value}, forge=True)
    assert list(result.errors) == [fields(ana)[field]["block_id"]]
    assert said in result.errors[fields(ana)[field]["block_id"]]
    assert ana.modal is not None
    assert ana.submit({**values, "cluster": "prod-eu", "level": "edit"}).errors == {}
    wait_card(stage, ana, "C02PAYMENTS")


def test_nobody_is_offered_what_only_a_group_may_have(make_stage) -> None:
    stage = make_stage()
    policy = stage.policy_file.read_text().replace(
        "  - name: payments\n", "  - name: payments\n    requesters: {groups: [S01PLATFORM]}\n"
    )
    stage.policy_file.write_text(policy)
    stage.start_bot()
    ana, cleo = stage.slack.human("U01ANA"), stage.slack.human("U03CLEO")
    form(stage, ana)
    choose(stage, ana, "cluster", "prod-eu", then="on prod-eu:")
    assert offered(ana, "level") == ["cluster-admin"]
    result = ana.submit({"level": "edit", "reason": "Why"}, forge=True)
    assert "cluster-admin" in str(result.errors)
    form(stage, cleo)
    choose(stage, cleo, "cluster", "prod-eu", then="'Level'")
    assert offered(cleo, "level") == ["view", "edit", "cluster-admin"]


def test_more_than_a_hundred_clusters_are_searched_for_among_those_one_may_ask_for(
    make_stage,
) -> None:
    stage = make_stage()
    extra = "".join(
        f'  - {{name: {kind}-{number:03}, region: eu-west-1, account: "111122223333", '
        f"labels: {{env: {'lab' if kind == 'lab' else 'closed'}}}}}\n"
        for kind in ("lab", "closed")
        for number in range(150)
    )
    policy = stage.policy_file.read_text().replace("clusters:\n", f"clusters:\n{extra}", 1)
    stage.policy_file.write_text(policy)
    stage.start_bot()
    ana = stage.slack.human("U01ANA")
    form(stage, ana)
    assert fields(ana)["cluster"]["element"]["type"] == "external_select"
    assert [one["value"] for one in ana.suggest("cluster", "lab-149")] == ["lab-149"]
    assert ana.suggest("cluster", "closed") == []
    assert len(ana.suggest("cluster", "")) == 100
    choose(stage, ana, "cluster", "lab-149", then="'Level'")
    choose(stage, ana, "level", "view", then="nobody has to approve")


def test_a_choice_in_a_form_that_is_closed_harms_nobody(stage: Stage, ana: Human) -> None:
    shown = form(stage, ana)
    ana.close()
    assert ana.click(shown, "cluster", "prod-eu").acknowledged
    lab_view(stage, ana)


def test_a_guest_gets_a_sentence_instead_of_a_form(stage: Stage) -> None:
    gia = stage.slack.human("U05GIA")
    gia.command("/eks-access")
    stage.slack.wait(lambda: says(gia, "guest"))
    assert gia.modal is not None
    assert gia.modal.callback_id == "notice"
