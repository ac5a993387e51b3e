"""What production refuses: every default that is for local runs only, secrets that are none, and plain text on the wire. Each line says
what to set instead, and no line shows what was set.
"""

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.runtime.dsn import parameter, password_of
from shared.runtime.programs import NEEDS, may_know

if TYPE_CHECKING:
    from shared.runtime.settings import Settings

RANDOM = "at least 16 random characters, such as `openssl rand -base64 32` makes"
LOCAL_DEFAULTS = {
    "database_url": "the service's own login, postgresql://login:password@host:5432/kaipiao",
    "kafka_bootstrap": "your brokers, host:port,host:port",
    "gateway_url": "where customers reach the gateway",
    "title_url": "where the others reach title",
    "ledger_url": "where the gateway reaches ledger",
    "invoicing_url": "where the gateway reaches invoicing",
    "notification_url": "where the gateway reaches notification",
    "service_token": RANDOM,
    "operator_token": RANDOM,
    "tax_platform_url": "the https address of your tax platform",
    "tax_platform_secret": RANDOM,
    "sms_url": "the https address of your SMS gateway",
    "smtp_host": "your mail server",
    "smtp_port": "the port of your mail server, 587 or 465",
    "mail_from": "a mailbox of yours",
    "documents_url": "a folder that is kept, file:///var/lib/kaipiao/documents, or s3://bucket",
    "sealing_key": "the base64 of 32 random bytes, `openssl rand -base64 32`",
    "parking_key": "the base64 of 32 random bytes, `openssl rand -base64 32`",
}
"""Settings whose default is for a laptop, and what stands there in production."""
SECRETS = ("service_token", "operator_token", "tax_platform_secret")
KEYS = ("sealing_key", "parking_key")
SECRET_LENGTH_MIN, KEY_LETTERS_MIN = 16, 16
LOCAL_PASSWORDS = ("local-only", "kaipiao", "postgres")
COPIES_MIN, IN_SYNC_MIN = 3, 2
FORGOTTEN = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - places where nothing of value may lie
ENCRYPTED = ("require", "verify-ca", "verify-full")


def findings(settings: "Settings") -> list[str]:
    """What is wrong, a line each; nothing may be. A service that is named is asked for its own settings only."""
    own = settings.kaipiao_service if settings.kaipiao_service in NEEDS else ""
    found = {**dict(_databases(settings)), **dict(_outside(settings)), **dict(_secrets(settings))}
    found |= {
        **dict(_for_tests(settings)),
        **dict(_topics(settings)),
        **dict(_defaults(settings)),
    }  # a default says best what is wrong
    return [f"{name}: {text}" for name, text in sorted(found.items()) if not own or may_know(own, name)]


def _defaults(settings: "Settings") -> Iterator[tuple[str, str]]:
    for name, instead in LOCAL_DEFAULTS.items():
        default = type(settings).model_fields[name].default
        if getattr(settings, name) == default or (name in KEYS and _text(default) in _keys(settings, name)):
            yield name.upper(), f"it has its default for local runs, which production refuses; set it to {instead}"


def _for_tests(settings: "Settings") -> Iterator[tuple[str, str]]:
    if settings.wall_clock_file:
        yield "WALL_CLOCK_FILE", "it is for tests, which step a clock by it; set it to nothing, or leave it out"


def _secrets(settings: "Settings") -> Iterator[tuple[str, str]]:
    for name in SECRETS:
        if len(_text(getattr(settings, name))) < SECRET_LENGTH_MIN:
            yield name.upper(), f"it is too short to be a secret; set it to {RANDOM}"
    for name in KEYS:
        if any(len(set(base64.b64decode(key))) < KEY_LETTERS_MIN for key in _keys(settings, name)):
            yield name.upper(), f"it is not random; set it to {LOCAL_DEFAULTS[name]}"


def _topics(settings: "Settings") -> Iterator[tuple[str, str]]:
    """A record that is confirmed must outlive a broker."""
    if settings.topic_replication < COPIES_MIN:
        yield (
            "TOPIC_REPLICATION",
            f"{settings.topic_replication} copies lose records with a broker; set it to {COPIES_MIN}",
        )
    if settings.topic_min_insync < IN_SYNC_MIN:
        yield "TOPIC_MIN_INSYNC", f"{settings.topic_min_insync} is less than outlives a broker; set it to {IN_SYNC_MIN}"


def _databases(settings: "Settings") -> Iterator[tuple[str, str]]:
    for name in ("database_url", "migration_url"):
        url = _text(getattr(settings, name))
        mode = parameter(url, "sslmode") if url else ""
        if url and password_of(url) in LOCAL_PASSWORDS:
            yield name.upper(), "its password is the one for local runs; give the login another, and set that"
        elif mode and mode not in ENCRYPTED:
            yield (
                name.upper(),
                f"sslmode={mode} lets passwords and data go in plain text; set it to verify-full, or leave it out",
            )


def _outside(settings: "Settings") -> Iterator[tuple[str, str]]:
    if not settings.kafka_protocol.endswith("SSL"):
        yield "KAFKA_SECURITY_PROTOCOL", f"{settings.kafka_protocol} is plain text; set it to SASL_SSL, or leave it out"
    if settings.kafka_protocol.startswith("SASL") and not (settings.kafka_username and _text(settings.kafka_password)):
        for name in ("KAFKA_USERNAME", "KAFKA_PASSWORD"):
            yield name, "SASL needs it; set it to the login of this service, or KAFKA_SECURITY_PROTOCOL to SSL"
    if settings.mail_tls == "none":
        yield "SMTP_TLS", "none is plain text; set it to starttls or tls, or leave it out"
    for name in ("tax_platform_url", "sms_url"):
        if urlsplit(getattr(settings, name)).scheme != "https":
            yield name.upper(), f"it is plain text; set it to {LOCAL_DEFAULTS[name]}"
    documents = urlsplit(settings.documents_url)
    if documents.scheme == "file" and any(
        documents.path == one or documents.path.startswith(f"{one}/") for one in FORGOTTEN
    ):
        yield "DOCUMENTS_URL", f"what lies there is forgotten; set it to {LOCAL_DEFAULTS['documents_url']}"


def _keys(settings: "Settings", name: str) -> list[str]:
    return [key.strip() for key in _text(getattr(settings, name)).split(",")]


def _text(setting: Any) -> str:  # noqa: ANN401 - of a pydantic field
    return setting.get_secret_value() if isinstance(setting, SecretStr) else str(setting)
