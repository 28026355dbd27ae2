"""What AWS answers, sorted: worth trying again or not, and what a person is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore import exceptions as botocore_errors
from botocore.exceptions import ClientError

from bot.aws.errors import is_not_found, translated
from bot.core.errors import AwsProblem, PermanentAwsProblem, TemporaryAwsProblem
from bot.core.model import Cluster
from bot.sandbox import eks_rules

BOT_ROLE = "arn:aws:iam::444455556666:role/eks-access-bot"
CLUSTER = Cluster("prod-eu", "eu-central-1", "444455556666", BOT_ROLE)
ROLE = "arn:aws:iam::444455556666:role/eks-jit/ana"
SECRET = "AKIAIOSFODNN7EXAMPLE"


def client_error(code: str, message: str = "", operation: str = "CreateAccessEntry") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def problem(error: Exception) -> AwsProblem:
    with (
        pytest.raises(AwsProblem) as raised,
        translated(CLUSTER, ROLE, "create access entries"),
    ):
        raise error
    assert raised.value.__cause__ is error
    return raised.value


NO_CLUSTER = eks_rules.CLUSTER_NOT_FOUND_MSG.format(clusterName="prod-eu")
TABLE: list[tuple[str, str, type[AwsProblem], str, str]] = [
    ("AccessDeniedException", "not authorized", PermanentAwsProblem, "access_denied", "docs/aws"),
    ("AccessDenied", "not authorized", PermanentAwsProblem, "access_denied", "docs/aws.md"),
    ("ResourceNotFoundException", NO_CLUSTER, PermanentAwsProblem, "no_cluster", "eu-central-1"),
    (
        "InvalidRequestException",
        eks_rules.AUTHENTICATION_MODE_MSG,
        PermanentAwsProblem,
        "config_map_mode",
        "aws eks update-cluster-config --name prod-eu",
    ),
    (
        "InvalidParameterException",
        eks_rules.INVALID_PRINCIPAL_MSG,
        TemporaryAwsProblem,
        "invalid_principal",
        ROLE,
    ),
    (
        "ResourceInUseException",
        eks_rules.ACCESS_ENTRY_EXISTS_MSG,
        TemporaryAwsProblem,
        "entry_appeared",
        "looks at it",
    ),
    (
        "ResourceLimitExceededException",
        eks_rules.ACCESS_ENTRY_LIMIT_MSG.format(limit=3000),
        PermanentAwsProblem,
        "entry_limit",
        "remove entries",
    ),
    (
        "ResourceNotFoundException",
        eks_rules.ACCESS_POLICY_NOT_FOUND_MSG,
        PermanentAwsProblem,
        "refused_by_eks",
        "policyArn could not be found",
    ),
    (
        "ResourceNotFoundException",
        eks_rules.ACCESS_ENTRY_NOT_FOUND_MSG,
        TemporaryAwsProblem,
        "not_yet_there",
        "several seconds",
    ),
    (
        "InvalidParameterException",
        eks_rules.NOT_STANDARD_MSG,
        PermanentAwsProblem,
        "refused_by_eks",
        "STANDARD",
    ),
    (
        "InvalidParameterException",
        eks_rules.SERVICE_LINKED_ROLE_MSG,
        PermanentAwsProblem,
        "refused_by_eks",
        "Service Linked Role",
    ),
    ("ThrottlingException", "Rate exceeded", TemporaryAwsProblem, "aws_fault", "tries again"),
    ("TooManyRequestsException", "Rate exceeded", TemporaryAwsProblem, "aws_fault", "tries again"),
    ("ServerException", "Internal server error", TemporaryAwsProblem, "aws_fault", "tries again"),
    ("ServiceUnavailableException", "", TemporaryAwsProblem, "aws_fault", "tries again"),
    ("500", "", TemporaryAwsProblem, "aws_fault", "tries again"),
    (
        "ExpiredTokenException",
        "The token expired",
        TemporaryAwsProblem,
        "credentials_refused",
        "have expired. Whoever runs the bot gives it new ones",
    ),
    (
        "UnrecognizedClientException",
        "The security token included in the request is invalid",
        TemporaryAwsProblem,
        "credentials_refused",
        "Whoever runs the bot",
    ),
    ("SignatureDoesNotMatch", "", TemporaryAwsProblem, "credentials_refused", "host's clock"),
    ("OptInRequired", "", TemporaryAwsProblem, "credentials_refused", "keeps that account"),
    ("InvalidRequestException", "anything else", TemporaryAwsProblem, "aws_fault", "tries again"),
    ("SomethingNobodyForesaw", "", TemporaryAwsProblem, "aws_fault", "tries again"),
]


@pytest.mark.parametrize(
    ("code", "message", "kind", "named", "remedy"),
    TABLE,
    ids=[f"{code}: {message[:40]}" for code, message, *_ in TABLE],
)
def test_an_answer_is_sorted_and_the_sentence_names_the_cluster_and_what_to_do(
    code: str, message: str, kind: type[AwsProblem], named: str, remedy: str
) -> None:
    found = problem(client_error(code, message))
    assert type(found) is kind
    assert found.code == named
    assert "prod-eu" in found.sentence or named == "invalid_principal"
    assert remedy in found.sentence


NO_ANSWER: list[Callable[[], Exception]] = [
    lambda: botocore_errors.ReadTimeoutError(endpoint_url=f"https://eks/{SECRET}"),
    lambda: botocore_errors.ConnectTimeoutError(endpoint_url=f"https://eks/{SECRET}"),
    lambda: botocore_errors.EndpointConnectionError(endpoint_url=f"https://eks/{SECRET}"),
    lambda: botocore_errors.ConnectionClosedError(endpoint_url=f"https://eks/{SECRET}"),
    lambda: botocore_errors.SSLError(endpoint_url="https://eks", error=ValueError(SECRET)),
    lambda: botocore_errors.CredentialRetrievalError(provider="sso", error_msg=SECRET),
]


@pytest.mark.parametrize("make", NO_ANSWER, ids=lambda make: type(make()).__name__)
def test_no_answer_is_worth_trying_again(make: Callable[[], Exception]) -> None:
    found = problem(make())
    assert isinstance(found, TemporaryAwsProblem)
    assert "prod-eu" in found.sentence
    assert "tries again" in found.sentence
    assert SECRET not in found.sentence


@pytest.mark.parametrize(
    "error",
    [botocore_errors.NoCredentialsError(), botocore_errors.ProfileNotFound(profile="bot")],
    ids=lambda error: type(error).__name__,
)
def test_without_credentials_the_operator_is_named(error: Exception) -> None:
    found = problem(error)
    assert isinstance(found, TemporaryAwsProblem)
    assert "Whoever runs the bot" in found.sentence


def test_a_role_that_may_not_be_assumed_is_named_and_not_an_eks_permission() -> None:
    found = problem(client_error("AccessDenied", "not authorized", "AssumeRole"))
    assert isinstance(found, PermanentAwsProblem)
    assert found.code == "role_denied"
    assert BOT_ROLE in found.sentence
    assert "assume" in found.sentence
    assert "create access entries" not in found.sentence


def test_what_iam_says_of_the_caller_stays_in_the_log() -> None:
    denied = f"User: arn:aws:sts::444455556666:assumed-role/bot/{SECRET} is not authorized"
    found = problem(client_error("AccessDeniedException", denied))
    assert SECRET not in found.sentence
    assert "444455556666" not in found.sentence
    assert SECRET in str(found.__cause__)


def test_what_is_no_error_of_aws_passes_untouched() -> None:
    with pytest.raises(ZeroDivisionError), translated(CLUSTER, ROLE, "read"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (client_error("ResourceNotFoundException", eks_rules.ACCESS_ENTRY_NOT_FOUND_MSG), True),
        (client_error("ResourceNotFoundException", eks_rules.POLICY_NOT_ASSOCIATED_MSG), True),
        (client_error("ResourceNotFoundException", NO_CLUSTER), False),
        (client_error("NotFoundException", eks_rules.ACCESS_ENTRY_NOT_FOUND_MSG), False),
        (client_error("AccessDeniedException", "could not be found"), False),
        (client_error("InvalidParameterException", "could not be found"), False),
    ],
)
def test_only_eks_404_for_an_entry_or_association_says_that_it_is_gone(
    error: Any, *, gone: bool
) -> None:
    assert is_not_found(error) is gone
