"""What is masked, what is not, and that no text makes it slow."""

from __future__ import annotations

import ast
import re._constants as kinds  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.core import masking
from bot.core.masking import MASK, masked, without_secrets

ROOT = Path(__file__).parents[2]
LONG = "sEcReT0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
HEX = "5ec7e7" * 12

SECRETS = {
    "secret key with blanks": "aws_secret_access_key = sEcReT/abc+def",
    "secret key with tabs": "aws_secret_access_key\t=\tsEcReT/abc+def",
    "secret key in JSON": '"SecretAccessKey": "sEcReT/abc+def"',
    "secret key in JSON without blanks": '{"SecretAccessKey":"sEcReT","SessionToken":"sEcReT//=="}',
    "secret key as Python writes it": "{'SecretAccessKey': 'sEcReT/abc'}",
    "secret key in JSON within JSON": r"{\"SecretAccessKey\": \"sEcReT abc\"}",
    "secret key in XML": "<SecretAccessKey>sEcReT/abc+def</SecretAccessKey>",
    "security token in an address": "https://sts/?X-Amz-Security-Token=sEcReT%2F%2F&X-Amz-Date=1",
    "security token in a header": "x-amz-security-token: sEcReT//",
    "security token in an address within one": "u=https%3A%2F%2Fs3%3FX-Amz-Security-Token%3DsEcReT",
    "signature of an address": "https://s3/?X-Amz-Signature=5ec7e75ec7e7",
    "GitHub's fine-grained token": f"github_pat_{LONG}",
    "GitLab's token": "glpat-sEcReT0123456789abcd",
    "GitLab's token behind an underscore": "TOKEN_glpat-sEcReT0123456789abcd",
    "password of the environment": "PGPASSWORD=sEcReT psql",
    "quoted password of the environment": "PGPASSWORD='sEcReT and more' psql",
    "password in JSON": '"password": "sEcReT"',
    "password with blanks": 'password="sEcReT and more sEcReT"',
    "password with a quote": r'"password": "a\" sEcReT"',
    "password that was cut off": '"password": "sEcReT and mo',
    "password in YAML": "password: sEcReT",
    "password in Ruby": "password => 'sEcReT'",
    "password of Helm": "--set postgresql.auth.password=sEcReT",
    "Slack's workflow": "https://hooks.slack.com/workflows/T0/A0/123/sEcReT",
    "Slack's trigger": "https://hooks.slack.com/triggers/T0/123/sEcReT",
    "Slack's hook for governments": "https://hooks.slack-gov.com/services/T0/B0/sEcReT",
    "lower-case bearer": "authorization: bearer sEcReTsEcReTsEcReT0123",
    "bearer with two blanks": "BEARER  sEcReTsEcReTsEcReT0123",
    "lower-case basic": "authorization: basic c0VjUmVUc0VjUmVUc0VjUmVU==",
    "private key with headers": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-256-CBC,00AA\n\nsEcReT\n-----END RSA PRIVATE KEY-----",
    "private key with line breaks spelt": r"-----BEGIN PRIVATE KEY-----\nsEcReT\n-----END PRIVATE "
    "KEY-----",
    "PGP key": "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: a-b\n\nsEcReT\n"
    "-----END PGP PRIVATE KEY BLOCK-----",
    "Jira's token of the environment": "JIRA_API_TOKEN=sEcReT",
    "PagerDuty's key": "PAGERDUTY_API_KEY: sEcReT",
    "Slack's signing secret": "SLACK_SIGNING_SECRET=5ec7e75ec7e7",
    "client's secret": "client_secret=sEcReT&grant_type=x",
    "token in an address": "https://ci/trigger?token=sEcReT012345",
    "Vault's token": f"hvs.{LONG}",
    "npm's token": f"npm_{LONG}",
    "PyPI's token": f"pypi-AgEIcHlwaS5vcmc{LONG}",
    "Google's key": f"AIza{LONG}",
    "Stripe's key": "sk_live_sEcReT0123456789",
    "SendGrid's key": f"SG.{LONG}.{LONG}",
    "DigitalOcean's token": f"dop_v1_{HEX}",
    "Databricks' token": f"dapi{HEX[:32]}",
    "Grafana's token": f"glsa_{LONG}",
    "Azure's secret": f"abc8Q~{LONG}",
    "age's key": "AGE-SECRET-KEY-15EC7E75EC7E75EC7E75EC7E7",
}
EXAMPLE = "USER:PASSWORD@"
"""Stands in the documentation of addresses of databases, and is masked as what it stands for is."""

PARTS = ("sEcReT", "5ec7e7", "c0VjUmVU", "5EC7E7")


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_masked_and_what_stands_around_it_stays(kind: str) -> None:
    text = without_secrets(f"before {SECRETS[kind]}\nafter")
    assert text.startswith("before ")
    assert text.endswith("\nafter") or "cut off" in kind
    assert MASK in text
    assert not [part for part in PARTS if part in text]
    assert without_secrets(text) == text


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "SecretAccessKey", "token", "api-key"])
def test_what_stands_under_the_name_of_a_secret_is_masked_whatever_it_looks_like(name: str) -> None:
    assert masked({"a": [{name: "hunter2"}]}) == {"a": [{name: MASK}]}
    assert masked({name: None}) == {name: None}


@pytest.mark.parametrize(
    "text",
    [
        "An error (ResourceNotFoundException), RequestId: 0a1b2c3d-1111-2222-3333-0123456789ab",
        "x-amzn-RequestId: 0A1B2C3D4E5F6789, next_token=AAAA-BBBB",
        "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/ana/0ac1-22f3",
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf",
        "arn:aws:eks::aws:cluster-access-policy/AmazonEKSSecretReaderPolicy",
        "namespace payments-token-service, secret db-password, pod vault-0",
        "https://prod.eks.amazonaws.com/api/v1/namespaces/payments/services/checkout-api",
        "kubectl get secret db-password -n payments -o yaml",
        "Rotating the password and the API token of the checkout service, PAY-1423",
        "FATAL: password authentication failed for user bot",
        "ticket=PAY-1423 and level=edit",
        "the bearer authentication-provider and basic responsibilities-of-everybody",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
        "PWD=/home/ana OLDPWD=/tmp",
        "http://127.0.0.1:8080/readyz answered ana@example.com",
    ],
)
def test_what_is_plainly_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def _sentences() -> Iterator[tuple[str, str]]:
    """The texts that the bot has within it, each with where it stands."""
    for path in sorted(ROOT.glob("bot/**/*.py")):
        if path.name != "masking.py" and "sandbox" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and " " in text:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text.replace(EXAMPLE, "")


def test_the_bots_own_sentences_stay() -> None:
    changed = {at: text for at, text in _sentences() if without_secrets(text) != text}
    assert changed == {}


def _repeats(tree: Any, inside: bool = False) -> Iterator[tuple[Any, bool]]:
    """Every repeat without an end: its kind, and whether it is within another one."""
    for kind, what in tree:
        endless = kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT)
        endless = endless and what[1] is kinds.MAXREPEAT
        if endless:
            yield kind, inside
        for part in what if isinstance(what, tuple | list) else [what]:
            for one in part if isinstance(part, list) else [part]:
                if isinstance(one, parser.SubPattern):
                    yield from _repeats(one, inside or endless)


@pytest.mark.parametrize("form", masking._FORMS, ids=lambda form: form.pattern[:30])
def test_what_repeats_without_an_end_is_never_tried_again_in_another_way(form: Any) -> None:
    found = list(_repeats(parser.parse(form.pattern)))
    assert [kind for kind, _ in found if kind is not kinds.POSSESSIVE_REPEAT] == []
    assert [kind for kind, inside in found if inside] == []


HOSTILE = [
    "-eyJaaaa",
    "eyJ",
    "://a:b",
    "://a:b/",
    ":/",
    "-----BEGIN A",
    "-----BEGIN PRIVATE KEY-----",
    "bearer ",
    'password="',
    "password=\\",
    "password",
    "secret-",
    "ghp_a",
    "xoxb-",
    "basic a",
    "\\",
    "token=",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_that_nearly_is_a_secret_comes_to_an_end(piece: str) -> None:
    """What grows with the square of the text would take hours here, beyond any test's patience."""
    assert without_secrets(piece * (1_000_000 // len(piece))) is not None
