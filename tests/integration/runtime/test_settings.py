"""What production refuses, and how it says so: by name, with what to set, and without a value."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from shared.runtime.objects import ObjectStore
from shared.runtime.production import LOCAL_DEFAULTS
from shared.runtime.programs import LISTED, NEEDS, SERVICES, STAND_INS, may_know
from shared.runtime.settings import KAFKA_MARGIN_DAYS, KNOW_OF_RECORDS, Settings
from tests.support.source import ROOT

PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://kaipiao_ledger_login:Hs8s7dJw@db1.example,db2.example/kaipiao?target_session_attrs=read-write",
    "KAFKA_BOOTSTRAP": "k1.example:9093,k2.example:9093",
    "KAFKA_USERNAME": "ledger",
    "KAFKA_PASSWORD": "jd83jd92hd8",
    "TOPIC_REPLICATION": "3",
    "TOPIC_MIN_INSYNC": "2",
    "GATEWAY_URL": "https://invoices.example",
    "TITLE_URL": "http://title.example:8101",
    "LEDGER_URL": "http://ledger.example:8102",
    "INVOICING_URL": "http://invoicing.example:8103",
    "NOTIFICATION_URL": "http://notification.example:8104",
    "SERVICE_TOKEN": "wq8dj2pd8xk20dk2lsk29dk2",
    "OPERATOR_TOKEN": "b7sk29dkq0xw2lfm4tz8cn1v",
    "TAX_PLATFORM_URL": "https://tax.example",
    "TAX_PLATFORM_SECRET": "p20dkq93kd92kd9s8d7jwdd0",
    "SMS_URL": "https://sms.example",
    "SMTP_HOST": "mail.example",
    "SMTP_PORT": "587",
    "MAIL_FROM": "invoices@acme.example",
    "DOCUMENTS_URL": "s3://invoices",
    "SEALING_KEY": "DvC2L1DLfNlpb6vl3a+2lBxqvB8nK2XpKPZ8q5YwyrM=",
    "PARKING_KEY": "5ZW0uYLqk0qFm3xWb2tN0eJ8rT1vCz7hQyKpD4sGf9A=",
}
WRONG = [
    ("DATABASE_URL", "postgresql://kaipiao:local-only@db.example/kaipiao"),
    ("DATABASE_URL", "postgresql://l:Hs8s7dJw@db.example/kaipiao?sslmode=prefer"),
    ("DATABASE_URL", "postgresql://l:Hs8s7dJw@db.example/kaipiao?sslmode=disable"),
    ("MIGRATION_URL", "postgresql://o:local-only@db.example/kaipiao"),
    ("MIGRATION_URL", "postgresql://o:Hs8s7dJw@db.example/kaipiao?sslmode=allow"),
    ("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
    ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
    ("KAFKA_USERNAME", ""),
    ("KAFKA_PASSWORD", ""),
    ("TOPIC_REPLICATION", "1"),
    ("TOPIC_REPLICATION", "2"),
    ("TOPIC_MIN_INSYNC", "1"),
    ("SERVICE_TOKEN", ""),
    ("SERVICE_TOKEN", "short"),
    ("OPERATOR_TOKEN", "short"),
    ("TAX_PLATFORM_SECRET", "local-only"),
    ("TAX_PLATFORM_URL", "http://tax.example"),
    ("SMS_URL", "http://sms.example"),
    ("SMTP_TLS", "none"),
    ("WALL_CLOCK_FILE", "/run/kaipiao/clock"),
    ("DOCUMENTS_URL", "file:///tmp/elsewhere"),
    ("DOCUMENTS_URL", "file:///dev/shm"),
    ("SEALING_KEY", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="),
    ("SEALING_KEY", "DvC2L1DLfNlpb6vl3a+2lBxqvB8nK2XpKPZ8q5YwyrM=,QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="),
    ("PARKING_KEY", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="),
]


def made(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in (PRODUCTION | changes).items():
        monkeypatch.setenv(name, value)
    return Settings(_env_file=None)


def test_production_starts_with_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch)
    assert (settings.clock, settings.kafka_protocol, settings.mail_tls) == ("system", "SASL_SSL", "starttls")
    assert settings.dsn("ledger").endswith("/kaipiao_ledger?target_session_attrs=read-write&sslmode=verify-full")


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_production_refuses_by_name_and_shows_no_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(monkeypatch, **{name: value})
    lines = str(refused.value).replace("Value error, ", "").splitlines()
    about = [line.strip() for line in lines if line.strip().startswith(f"{name}: ")]
    assert len(about) == 1
    assert "set it to" in about[0] or "and set that" in about[0]
    for secret in ("local-only", "Hs8s7dJw", PRODUCTION["SEALING_KEY"], PRODUCTION["SERVICE_TOKEN"]):
        assert secret not in str(refused.value)


@pytest.mark.parametrize("name", LOCAL_DEFAULTS)
def test_each_local_default_is_refused_also_when_it_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = Settings.model_fields[name].default
    text = default.get_secret_value() if isinstance(default, SecretStr) else str(default)
    with pytest.raises(ValidationError, match=f"{name.upper()}: it has its default for local runs"):
        made(monkeypatch, **{name.upper(): text})


@pytest.mark.parametrize("name", ["sealing_key", "parking_key"])
def test_a_published_key_is_refused_also_as_one_of_several(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    published = Settings.model_fields[name].default.get_secret_value()
    own = PRODUCTION[name.upper()]
    made(monkeypatch, **{name.upper(): f"{own},{own}"})
    with pytest.raises(ValidationError, match=f"{name.upper()}: it has its default for local runs"):
        made(monkeypatch, **{name.upper(): f"{own}, {published}"})


def test_every_default_that_names_this_machine_or_a_secret_is_one_of_them() -> None:
    suspicious = {
        name
        for name, field in Settings.model_fields.items()
        if any(word in _text(field.default) for word in ("127.0.0.1", "localhost", "local-only", "file:", ".example"))
        or (isinstance(field.default, SecretStr) and _text(field.default))
    }
    assert suspicious - {"http_host", "operations_host", "callbacks_host"} <= set(LOCAL_DEFAULTS)


def _text(default: object) -> str:
    return default.get_secret_value() if isinstance(default, SecretStr) else str(default)


@pytest.mark.parametrize("key", ["bm90IDMyIGJ5dGVz", "no base64 at all", "", f"{PRODUCTION['SEALING_KEY']},"])
def test_a_sealing_key_that_is_none_is_refused_everywhere(key: str) -> None:
    with pytest.raises(ValidationError, match="32 random bytes"):
        Settings(_env_file=None, sealing_key=SecretStr(key))


def test_a_service_in_production_answers_for_its_own_settings_and_says_all_at_once() -> None:
    done = started("ledger", ENVIRONMENT="production")
    assert done.returncode == 78
    names = {line.split()[1].rstrip(":") for line in done.stderr.splitlines()}
    assert {"DATABASE_URL", "KAFKA_BOOTSTRAP", "SERVICE_TOKEN", "TOPIC_REPLICATION"} <= names
    assert not {"SEALING_KEY", "SMTP_HOST", "TAX_PLATFORM_URL", "DOCUMENTS_URL"} & names
    assert all(line.startswith("setting ") and ": " in line for line in done.stderr.splitlines())
    names = {
        line.split()[1].rstrip(":") for line in started("notification", ENVIRONMENT="production").stderr.splitlines()
    }
    assert {"SEALING_KEY", "SMTP_HOST", "SMS_URL", "DOCUMENTS_URL"} <= names


@pytest.mark.parametrize("name", KNOW_OF_RECORDS)
def test_what_is_known_of_a_record_outlives_it_in_kafka(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {one.upper(): "101" for one in KNOW_OF_RECORDS} | {"TOPIC_RETENTION_DAYS": str(100 - KAFKA_MARGIN_DAYS)}
    assert made(monkeypatch, **kept)
    with pytest.raises(
        ValidationError, match=f"{name.upper()}: topics keep records for 86 days; set it to 101 or more"
    ):
        made(monkeypatch, **kept | {name.upper(): "100"})


def test_nobody_starts_who_would_forget_what_kafka_has() -> None:
    done = started("ledger", TOPIC_RETENTION_DAYS="60")
    assert done.returncode == 78
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["setting INBOX_DAYS", "setting OUTBOX_DAYS"]


def started(service: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
    argv = [sys.executable, "-m", f"services.{service}"]
    return subprocess.run(argv, cwd="/", env=env, capture_output=True, text=True, check=False, timeout=60)


# who knows what


def test_every_secret_is_given_to_somebody_and_to_nobody_by_chance() -> None:
    secrets = {name.upper() for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert secrets <= LISTED, "a new secret needs its row in shared/runtime/programs.py"
    assert set(NEEDS) >= {*SERVICES, *STAND_INS, "demo"}
    assert {name for name in secrets for one in STAND_INS if may_know(one, name)} <= {
        "TAX_PLATFORM_SECRET",
        "KAFKA_PASSWORD",
    }


def test_what_looks_like_a_secret_is_not_inherited() -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "GITHUB_TOKEN", "SOME_API_KEY", "POSTGRES_PASSWORD"):
        assert not may_know("smtp_sink", name)
    assert may_know("invoicing", "AWS_SECRET_ACCESS_KEY")
    assert may_know("smtp_sink", "PATH")


# folders


async def test_documents_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir(mode=0o755)
    store = ObjectStore(folder.as_uri())
    await store.put("invoices/1001/1.pdf", b"x")
    modes = {path.stat().st_mode & 0o777 for path in (folder, folder / "invoices", folder / "invoices" / "1001")}
    assert modes == {0o700}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_a_folder_of_somebody_else_that_all_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    folder.chmod(0o755)
    os.chown(folder, 65534, 65534)
    with pytest.raises(PermissionError, match="DOCUMENTS_URL"):
        ObjectStore(folder.as_uri())
