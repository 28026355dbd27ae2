"""The commands that use an access: for whom they name which role, and what is quoted."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_examples import PROD, access, approved, check_view, live, nodes, read

from bot.core.model import Cluster
from bot.slack.connect import can_i, connect_blocks, connect_modal, kubeconfig

BEFORE = (
    "aws", "eks", "update-kubeconfig", "--region", "eu-west-1", "--name", "prod-eu",
)  # fmt: skip
ROLE = "arn:aws:iam::111122223333:role/eks-jit/ana"
SSO = (
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
    "AWSReservedSSO_Dev_0123456789abcdef"
)
USER = "arn:aws:iam::111122223333:user/ana"


@pytest.mark.parametrize(
    "arn",
    [ROLE, "arn:aws:iam::111122223333:role/ana", "arn:aws-cn:iam::111122223333:role/a/b/ana"],
)
def test_the_cluster_is_looked_up_and_used_as_the_persons_own_role(arn: str) -> None:
    words = kubeconfig(live(principal_arn=arn), None)
    assert words == (*BEFORE, "--assume-role-arn", arn, "--role-arn", arn)


@pytest.mark.parametrize("arn", [USER, SSO])
def test_a_principal_that_nobody_can_assume_is_the_callers_own_session(arn: str) -> None:
    assert kubeconfig(live(principal_arn=arn), None) == BEFORE


@pytest.mark.parametrize("arn", [ROLE, USER, SSO])
def test_a_profile_is_the_principal_and_assumes_nothing_more(arn: str) -> None:
    words = kubeconfig(live(principal_arn=arn), "eks-prod-eu")
    assert words == (*BEFORE, "--profile", "eks-prod-eu")


def test_a_role_of_another_account_is_not_asked_to_look_the_cluster_up() -> None:
    elsewhere = live(cluster=replace(PROD, account="444455556666"))
    assert kubeconfig(elsewhere, None) == (*BEFORE, "--role-arn", ROLE)
    assert read(connect_blocks(elsewhere, None))[0] == (
        "Your role is in another account than prod-eu, so it cannot look the cluster up. Run the "
        "first command as somebody who has `eks:DescribeCluster` in account 444455556666."
    )
    assert len(connect_blocks(elsewhere, "eks-prod-eu")) == 1
    assert len(connect_blocks(live(), None)) == 1


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        (access("Edit", "payments"), "kubectl auth can-i get pods -n payments"),
        (access("Edit", "b", "a"), "kubectl auth can-i get pods -n a"),
        (access("Edit"), "kubectl auth can-i get pods -A"),
        (access("View", "dev-*", "web"), "kubectl auth can-i get pods -n web"),
        (access("View", "dev-*"), "kubectl auth can-i get pods -n dev-example"),
        (access("SecretReader", "a"), "kubectl auth can-i get secrets -n a"),
    ],
)
def test_the_second_command_asks_what_the_access_answers(given_, words: str) -> None:
    assert shlex.join(can_i(live(access=given_))) == words


def test_the_form_has_the_end_the_commands_and_how_to_have_it_longer() -> None:
    view = connect_modal(approved(), live(), "eks-prod-eu")
    assert read(check_view(view)["blocks"]) == [
        "*edit* on *prod-eu* / `payments` is active until 2026-01-05 16:42 UTC.",
        "aws eks update-kubeconfig --region eu-west-1 --name prod-eu --profile eks-prod-eu",
        "kubectl auth can-i get pods -n payments",
        "If you need it longer: `/eks-access extend 7K3-QMX 1h`",
    ]
    glass = connect_modal(approved(break_glass=True), live(), None)
    assert "extend" not in str(read(glass["blocks"]))


@given(
    name=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Z"]), min_size=1),
    profile=st.none() | st.text(min_size=1),
)
def test_whatever_a_name_holds_a_shell_reads_the_words_that_were_meant(name, profile) -> None:
    odd = live(cluster=Cluster(name=name, region="eu-west-1", account="111122223333"))
    (code,) = (
        node
        for node in nodes(connect_blocks(odd, profile))
        if node.get("type") == "rich_text_preformatted"
    )
    pasted = code["elements"][0]["text"]
    assert shlex.split(pasted) == [*kubeconfig(odd, profile), *can_i(odd)]
