"""What the environment must say, and what is said where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import (
    OPSGENIE_API_URL,
    PAGERDUTY_API_URL,
    SECRETS_DIR,
    SLACK_API_URL,
    Settings,
    SettingsError,
    read_settings,
)

BOT_TOKEN = "xoxb-11-22-bottoken"
APP_TOKEN = "xapp-1-A01-apptoken"
SIGNING_SECRET = "0123456789abcdef-signing"
PASSWORD = "hunter2"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch, tmp_path):
    for name in [SECRETS_DIR, *(field.alias for field in Settings.model_fields.values())]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_but_the_tokens_has_a_default():
    settings = read_settings()
    assert settings.slack_api_url == SLACK_API_URL
    assert settings.database_url.get_secret_value() == "sqlite:///eks-access.db"
    assert settings.config == Path("eks-access.yaml")
    assert settings.http_port == 8000
    assert settings.pagerduty_api_url == PAGERDUTY_API_URL
    assert settings.opsgenie_api_url == OPSGENIE_API_URL
    assert settings.pagerduty_key() is settings.opsgenie_key() is settings.jira_key() is None
    assert settings.jira_url is None


def test_an_app_token_means_socket_mode(monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
    settings = read_settings()
    assert settings.socket_mode
    settings.ensure_slack()
    assert (settings.bot_token(), settings.app_token()) == (BOT_TOKEN, APP_TOKEN)


def test_no_app_token_means_http_which_needs_the_signing_secret(monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    assert not read_settings().socket_mode
    with pytest.raises(SettingsError, match=r"SLACK_APP_TOKEN .* SLACK_SIGNING_SECRET"):
        read_settings().ensure_slack()
    monkeypatch.setenv("SLACK_SIGNING_SECRET", SIGNING_SECRET)
    read_settings().ensure_slack()
    assert read_settings().signing_secret() == SIGNING_SECRET


def test_a_variable_set_to_nothing_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("SLACK_APP_TOKEN", "")
    monkeypatch.setenv("SLACK_SIGNING_SECRET", SIGNING_SECRET)
    monkeypatch.setenv("EKS_ACCESS_HTTP_PORT", "")
    monkeypatch.setenv(SECRETS_DIR, "")
    settings = read_settings()
    settings.ensure_slack()
    assert not settings.socket_mode
    assert settings.http_port == 8000


def test_a_missing_bot_token_is_named_with_its_beginning(monkeypatch):
    monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
    with pytest.raises(SettingsError, match=r"SLACK_BOT_TOKEN is not set\. .*xoxb-"):
        read_settings().ensure_slack()


@pytest.mark.parametrize(
    ("name", "value"), [("SLACK_BOT_TOKEN", APP_TOKEN), ("SLACK_APP_TOKEN", BOT_TOKEN)]
)
def test_a_token_of_another_kind_is_refused_without_being_shown(monkeypatch, name, value):
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} does not begin with") as error:
        read_settings().ensure_slack()
    assert value not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://slack.com/api/",
        "http://proxy.internal:8080/api/",
        "http://127.0.0.1.evil.example/api/",
        "ftp://slack.com/api/",
        "file:///etc/passwd",
        "slack.com/api/",
        "https://user:word@slack.com/api/",
        "https://slack.com/api/?a=b",
        "https://",
    ],
)
def test_a_token_goes_to_no_address_on_which_it_could_be_read(monkeypatch, url):
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
    monkeypatch.setenv("SLACK_API_URL", url)
    settings = read_settings()
    for refused in (settings.ensure_slack, settings.bot_token, settings.app_token):
        with pytest.raises(SettingsError, match="SLACK_API_URL"):
            refused()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/api/", "http://localhost/api/", "https://a.b/"]
)
def test_slack_may_be_on_this_machine_or_behind_https(monkeypatch, url):
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
    monkeypatch.setenv("SLACK_API_URL", url)
    read_settings().ensure_slack()


def test_white_space_around_a_token_does_no_harm(monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", f" {BOT_TOKEN}\n")
    assert read_settings().bot_token() == BOT_TOKEN


def test_secrets_may_come_from_files(monkeypatch, tmp_path):
    (tmp_path / "SLACK_BOT_TOKEN").write_text(f"{BOT_TOKEN}\n")
    (tmp_path / "DATABASE_URL").write_text(f"postgresql://bot:{PASSWORD}@db/eks\n")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    settings = read_settings()
    assert settings.bot_token() == BOT_TOKEN
    assert settings.database_url.get_secret_value() == f"postgresql://bot:{PASSWORD}@db/eks"


def test_the_environment_goes_before_the_files(monkeypatch, tmp_path):
    (tmp_path / "SLACK_BOT_TOKEN").write_text("xoxb-from-the-file")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    assert read_settings().bot_token() == BOT_TOKEN


def test_a_secrets_directory_that_is_none_is_named(monkeypatch):
    monkeypatch.setenv(SECRETS_DIR, "/nowhere")
    with pytest.raises(SettingsError, match=f"{SECRETS_DIR} names `/nowhere`"):
        read_settings()


def test_http_listens_on_loopback_in_socket_mode_and_on_all_addresses_for_slack(monkeypatch):
    assert read_settings().http_address == "0.0.0.0"  # noqa: S104 - that is what it is about
    monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
    assert read_settings().http_address == "127.0.0.1"
    monkeypatch.setenv("EKS_ACCESS_HTTP_HOST", "::")
    assert read_settings().http_address == "::"


@pytest.mark.parametrize("host", ["localhost", "0.0.0", "*"])
def test_a_host_that_is_no_address_names_the_variable(monkeypatch, host):
    monkeypatch.setenv("EKS_ACCESS_HTTP_HOST", host)
    with pytest.raises(SettingsError, match="EKS_ACCESS_HTTP_HOST"):
        read_settings()


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_wrong_port_names_the_variable(monkeypatch, port):
    monkeypatch.setenv("EKS_ACCESS_HTTP_PORT", port)
    with pytest.raises(SettingsError, match="EKS_ACCESS_HTTP_PORT"):
        read_settings()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SettingsError, match=r"in memory.*sqlite:///eks-access\.db"):
        read_settings()


def test_a_file_in_a_folder_that_is_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/missing/eks-access.db")
    said = f"{tmp_path}/missing, which is not there.* Make the folder"
    with pytest.raises(SettingsError, match=said):
        read_settings()


def test_an_at_sign_in_a_password_is_told_without_the_password(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://bot:hun@ter2@db/eks")
    with pytest.raises(SettingsError, match="`%40`") as error:
        read_settings()
    assert "ter2" not in str(error.value)


def test_printing_the_settings_shows_no_secret(monkeypatch):
    secrets = {
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "DATABASE_URL": f"postgresql://bot:{PASSWORD}@db/eks",
        "PAGERDUTY_TOKEN": "y_pagerduty+key",
        "OPSGENIE_API_KEY": "eb24-opsgenie-key",
        "JIRA_TOKEN": "ATATT3-jira-token",
        "JIRA_URL": "https://example.atlassian.net",
    }
    public = {"JIRA_URL"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert not [
            value for name, value in secrets.items() if value in shown and name not in public
        ]
        assert PASSWORD not in shown


# Other services


def test_keys_of_other_services_may_come_from_files(monkeypatch, tmp_path):
    (tmp_path / "PAGERDUTY_TOKEN").write_text("y_pagerduty+key\n")
    (tmp_path / "OPSGENIE_API_KEY").write_text("eb24-opsgenie-key\n")
    (tmp_path / "JIRA_TOKEN").write_text("ATATT3-jira-token\n")
    monkeypatch.setenv("JIRA_URL", "https://example.atlassian.net")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    settings = read_settings()
    assert settings.pagerduty_key() == "y_pagerduty+key"
    assert settings.opsgenie_key() == "eb24-opsgenie-key"
    assert settings.jira_key() == "ATATT3-jira-token"


@pytest.mark.parametrize("name", ["PAGERDUTY_API_URL", "OPSGENIE_API_URL", "JIRA_URL"])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.example.com", "is not https"),
        ("ftp://api.example.com", "is no URL of the form"),
        ("https://bot:hunter2@api.example.com", "holds a user name or a password"),
        ("https://api.example.com/?key=hunter2", "goes on after the path"),
    ],
)
def test_an_address_that_no_key_may_be_sent_to_is_refused(monkeypatch, name, url, words):
    monkeypatch.setenv("JIRA_TOKEN", "token")
    monkeypatch.setenv("JIRA_URL", "https://example.atlassian.net")
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsError, match=f"{name} {words}") as error:
        read_settings().ensure_services()
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize("name", ["PAGERDUTY_TOKEN", "OPSGENIE_API_KEY", "JIRA_TOKEN"])
@pytest.mark.parametrize("key", ["two words", "two\nlines", "schlüssel"])
def test_what_can_be_no_key_is_refused_without_being_shown(monkeypatch, name, key):
    monkeypatch.setenv("JIRA_URL", "https://example.atlassian.net")
    monkeypatch.setenv(name, key)
    with pytest.raises(SettingsError, match=f"{name} has characters") as error:
        read_settings().ensure_services()
    assert key not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("JIRA_URL", "https://example.atlassian.net", "JIRA_TOKEN"),
        ("JIRA_TOKEN", "token", "JIRA_URL"),
    ],
)
def test_half_a_jira_is_refused(monkeypatch, name, value, missing):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} is set and {missing} is not"):
        read_settings().ensure_services()
