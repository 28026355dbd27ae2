"""What looks like a secret, and text and values without it.

For what is written down where it stays: the log, and the audit trail, from which nothing can be
taken out again. The forms of tokens are facts taken from the rules of gitleaks 8.30 (MIT licence,
Zachary Rice; config/gitleaks.toml), shortened to what no ordinary text has.

Every pattern takes time in proportion to the text: what repeats without end gives nothing back
(`++`), and either ends its pattern or cannot run over another beginning of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "[secret]"

_TOKENS = (
    r"xox[a-z]-[\w-]++",  # Slack
    r"xapp-[\w-]++",
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",  # AWS
    r"(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/=]{40,}+",
    r"k8s-aws-v1\.[\w-]++",
    r"eyJ[\w-]{15,}+(?:\.[\w-]*+){0,4}",  # JSON web tokens, and other JSON in base64
    r"gh[pousr]_\w{20,}+",  # GitHub
    r"github_pat_\w{20,}+",
    r"gl(?:pat|dt|ft|ffct|imt|agent|oas|ptt|rt|soat|cbt)-[\w.-]{20,}+",  # GitLab
    r"GR1348941[\w-]{20,}+",
    r"AT[AC]TT[\w=-]{20,}+",  # Atlassian
    r"hv[sbr]\.[\w-]{20,}+",  # HashiCorp
    r"atlasv1\.[\w=-]{20,}+",
    r"AIza[\w-]{35,}+",  # Google
    r"GOCSPX-[\w-]{20,}+",
    r"[\w.~]{3}[0-9]Q~[\w.~-]{31,}+",  # Azure
    r"(?:npm_|rubygems_|pul-|hf_|lin_api_|ntn_|pnu_)[A-Za-z0-9]{30,}+",
    r"pypi-AgE[\w-]{20,}+",
    r"do[opr]_v1_[a-f0-9]{32,}+",  # DigitalOcean
    r"dapi[a-f0-9]{32}",  # Databricks
    r"gl(?:sa|c)_[\w+/=]{20,}+",  # Grafana
    r"[sr]k_(?:test|live|prod)_[A-Za-z0-9]{10,}+",  # Stripe
    r"sk-(?:ant|proj|svcacct|admin)-[\w-]{20,}+",
    r"SG\.[\w.=-]{40,}+",  # SendGrid
    r"SK[a-f0-9]{32}\b",  # Twilio
    r"sntry[su]_[\w+/=]{20,}+",  # Sentry
    r"dt0c01\.[\w.]{30,}+",  # Dynatrace
    r"dp\.pt\.[A-Za-z0-9]{20,}+",  # Doppler
    r"PMAK-[a-f0-9-]{40,}+",  # Postman
    r"pscale_(?:tkn|oauth|pw)_[\w=.-]{20,}+",  # PlanetScale
    r"HRKU-AA[\w-]{20,}+",  # Heroku
    r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",  # Shopify
    r"sha256~[\w-]{43}",  # OpenShift
    r"AKCp[A-Za-z0-9]{40,}+",  # Artifactory
    r"ops_eyJ[\w+/=-]{20,}+",  # 1Password
    r"AGE-SECRET-KEY-1[A-Z0-9]{20,}+",
)
_NAMES = (
    r"passw(?:or)?d|passphrase|_pass|(?:mysql_|[;?&])pwd"
    r"|secret[_-]?(?:access[_-]?)?key|(?:client|signing|app|webhook)[_-]?secret"
    r"|(?:session|security|access|refresh|id|auth|api|bot|app|bearer|private)[_-]?token"
    r"|(?:api|account|routing|integration|encryption|private)[_-]?key"
    r"|x-(?:amz|goog)-signature|[?&]sig"
)
"""What a secret is called, or the end of it: in the environment, a file, a header, an address."""

_IS = r"[ \t]{0,8}(?:=>|:=|=|:|%3D)[ \t]{0,8}"
_LIKELY = r"(?=[a-z+/._~-]{0,300}[A-Z0-9=])"
"""Not one word in small letters: `basic responsibilities` and `bearer authentication` stay."""

_FORMS = tuple(
    re.compile(form)
    for form in (
        # Each keeps its first group, which says what was there. Private keys, in any encoding.
        r"()-----BEGIN[ A-Z0-9_]{0,100}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:(?:[^-]|-(?!----END))*+)(?:-----END[ A-Z0-9_]{0,100}-----)?",
        # Passwords in addresses.
        r"(://)[^/\s:@]*+:(?:[^\s\"'@/]|/(?!/))++(?=@)",
        # Slack's hooks and sockets.
        r"(hooks\.slack(?:-gov)?\.com/[a-z]{1,20}/)[\w/+-]++",
        r"(/(?:commands|actions|services|workflows|triggers)/)(?=[TE][A-Z0-9]{0,20}/)[\w/+-]++",
        r"(/link/?\?ticket=)[\w-]++",
        # What stands behind the name of a header or its scheme.
        rf"(?i:(\b(?:bearer|basic)[ \t]{{1,8}})){_LIKELY}[\w.~+/-]{{16,}}+=*+",
        r"(?i:(\bgenie ?key |\btoken token=))[^\s\"',]++",
        # What a name says: in double quotes, in single ones, behind backslashes, in XML, in none.
        rf"(?i:((?:{_NAMES})(?:[\"']?{_IS}(?:(\")|(')|)|\\{{1,4}}[\"']{_IS}(\\{{1,4}}[\"'])|(>))))"
        r"(?(2)(?:[^\"\\\n]|\\.)++|(?(3)(?:[^'\\\n]|\\.)++|(?(4)(?:[^\\\n]|\\(?![\"'\\]))++"
        r"|(?(5)[^<\s]++|[^\s\"'\\&][^\s\"'&]*+))))",
        r"(?i:((?<!next)(?<!next[_-])(?:secret|token)=[\"']?))[^\s\"'&]{8,}+",
        r"(?i:([\"'](?:secret|token)[\"']: ?[\"']))[^\"'\n]++",
        # What is one by its own form.
        rf"()(?<![A-Za-z0-9])(?:{'|'.join(_TOKENS)})",
    )
)
_NAMED = re.compile(rf"(?:{_NAMES}|\b(?:token|secret|authorization))\Z", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text with everything that looks like a secret replaced."""
    for form in _FORMS:
        text = form.sub(rf"\1{MASK}", text)
    return text


def names_a_secret(name: str) -> bool:
    """Whether what stands under this name is a secret, whatever it looks like."""
    return _NAMED.search(name) is not None


def masked(value: Any) -> Any:
    """A JSON value with everything that looks like a secret replaced, in names too."""
    match value:
        case str():
            return without_secrets(value)
        case Mapping():
            return {
                without_secrets(str(name)): MASK
                if isinstance(one, str) and names_a_secret(str(name))
                else masked(one)
                for name, one in value.items()
            }
        case list() | tuple():
            return [masked(one) for one in value]
    return value
