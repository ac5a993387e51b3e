"""The one settings object. The same names stand in `.env`, compose and local runs; `docs/settings.md` is made from this file."""

import base64
import binascii
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.runtime import production
from shared.runtime.dsn import database_of, parameter, with_parameter
from shared.runtime.purposes import Purpose

Port = Annotated[int, Field(ge=0, le=65535)]
Pool = Annotated[int, Field(ge=1, le=100)]
KafkaProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
MailTls = Literal["none", "starttls", "tls"]
SEALING_KEY_BYTES = 32
KEPT_MAX_DAYS, KAFKA_MARGIN_DAYS = 4000, 14
"""A broker deletes whole segments, each of which it fills for up to a week: the first record in it is kept for as much longer."""
KNOW_OF_RECORDS = ("inbox_days", "outbox_days", "parked_days", "notice_days")
Days = Annotated[int, Field(ge=15, le=KEPT_MAX_DAYS)]
LOCAL_PARKING_KEY = "cGFya2VkLWxvY2FsbHktcGFya2VkLWxvY2FsbHktMDE="


class Settings(BaseSettings):
    """Read from the environment (upper-case names), then from `.env`. A wrong value ends the process with its name."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    environment: Annotated[
        Literal["local", "production"],
        Field(description="production refuses the test clock, every default that is for local runs, and plain text"),
    ] = "local"
    kaipiao_service: Annotated[
        str, Field(description="the service that reads this; in production it answers for its own settings only")
    ] = ""
    clock: Annotated[
        Literal["system", "test"],
        Field(
            description="test: business time is wall time plus what `kaipiao clock` says, for all processes together"
        ),
    ] = "system"
    wall_clock_file: Annotated[
        str,
        Field(description="for tests: a file that says by how many seconds this process's wall clock is wrong"),
    ] = ""
    replica: Annotated[
        str,
        Field(
            description="name of this replica, unique among those of its service, kept over restarts; empty: each process makes one"
        ),
    ] = ""
    stop_seconds: Annotated[
        float,
        Field(ge=5, le=600, description="how long a graceful stop may take in all; then the process ends as it is"),
    ] = 25.0
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="least level written")] = (
        "INFO"
    )

    database_url: Annotated[
        SecretStr,
        Field(
            description="PostgreSQL 15 or later, with the service's login; several hosts and libpq's parameters are taken. "
            "Its database name is a prefix: a service uses `<name>_<service>`"
        ),
    ] = SecretStr("postgresql://kaipiao@127.0.0.1:5440/kaipiao")
    migration_url: Annotated[
        SecretStr,
        Field(description="the same for the owner, who migrates; empty: the login of DATABASE_URL is the owner"),
    ] = SecretStr("")
    database_pool_handlers: Annotated[Pool, Field(description="connections for handlers and the relay, at most")] = 6
    database_pool_workers: Annotated[Pool, Field(description="connections for workers and jobs, at most")] = 6
    database_pool_http: Annotated[Pool, Field(description="connections for what is asked over HTTP, at most")] = 8

    kafka_bootstrap: Annotated[str, Field(description="brokers to start from, host:port,host:port")] = "127.0.0.1:9092"
    kafka_security_protocol: Annotated[
        KafkaProtocol | Literal[""], Field(description="empty: SASL_SSL in production, else PLAINTEXT")
    ] = ""
    kafka_sasl_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"], Field(description="how to log in with SASL")
    ] = "SCRAM-SHA-512"
    kafka_username: Annotated[str, Field(description="login for SASL")] = ""
    kafka_password: Annotated[SecretStr, Field(description="password for SASL")] = SecretStr("")
    tls_ca_file: Annotated[
        str,
        Field(
            description="certificates to trust for Kafka, mail, SMS and the tax platform; empty: those of the system"
        ),
    ] = ""
    topic_partitions: Annotated[int, Field(ge=1, le=1000, description="partitions of a new topic")] = 6
    topic_replication: Annotated[int, Field(ge=1, le=10, description="copies of a new topic")] = 1
    topic_min_insync: Annotated[int, Field(ge=1, le=10, description="copies that must confirm a record")] = 1
    topic_retention_days: Annotated[int, Field(ge=1, le=3650, description="how long topics keep records")] = 14
    inbox_days: Annotated[
        Days,
        Field(description="how long the id of an event is known after it came last: longer than topics keep records"),
    ] = 60
    outbox_days: Annotated[Days, Field(description="how long messages that were sent stay in the database")] = 60
    parked_days: Annotated[
        Days, Field(description="how long a parked record stays after it was redriven or dismissed; open ones stay")
    ] = 400
    idempotency_days: Annotated[
        int, Field(ge=30, le=KEPT_MAX_DAYS, description="how long an Idempotency-Key means what it was first used for")
    ] = 400
    notice_days: Annotated[
        int, Field(ge=90, le=KEPT_MAX_DAYS, description="how long notices can be read, and show that somebody was told")
    ] = 1100
    types_for_others: Annotated[
        str, Field(description="event types on upstream's topics that are skipped and not parked: Type,Type")
    ] = ""
    batch_max: Annotated[int, Field(ge=1, le=10_000, description="records handled in one transaction at most")] = 2000

    http_host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    http_port: Annotated[Port, Field(description="port to listen on; 0 takes any")] = 0
    http_connections: Annotated[int, Field(ge=10, description="open connections of one listener at most")] = 1000
    http_head_bytes: Annotated[int, Field(ge=1024, description="address and headers of a request at most")] = 32 * 1024
    http_headers: Annotated[int, Field(ge=10, le=1000, description="headers of a request at most")] = 100
    http_body_bytes: Annotated[int, Field(ge=1024, le=2**24, description="body of a request at most")] = 64 * 1024
    http_read_seconds: Annotated[
        float, Field(gt=0, le=300, description="how long the headers of a request may take to arrive, and its body")
    ] = 10.0
    operations_host: Annotated[str, Field(description="address of the operators' listener")] = "127.0.0.1"
    operations_port: Annotated[
        Port, Field(description="port of the operators' listener: /ops, /metrics, /livez, /readyz; 0 takes any")
    ] = 0
    operations_urls: Annotated[
        str, Field(description="where operators reach the services, name=url,name=url; for the demo")
    ] = ""
    callbacks_host: Annotated[str, Field(description="address that the tax platform's callbacks come to")] = "127.0.0.1"
    callbacks_port: Annotated[
        Port, Field(description="port that the tax platform's callbacks come to, of invoicing only; 0 takes any")
    ] = 0
    callbacks_url: Annotated[str, Field(description="where the sandbox's tax platform reaches invoicing")] = ""
    gateway_url: Annotated[str, Field(description="where customers reach the gateway")] = "http://127.0.0.1:8080"
    title_url: Annotated[
        str,
        Field(
            description="where the gateway, invoicing and notification reach title: all replicas, by commas or a name"
        ),
    ] = "http://127.0.0.1:8101"
    ledger_url: Annotated[
        str, Field(description="where the gateway reaches ledger: all replicas, by commas or a name")
    ] = "http://127.0.0.1:8102"
    invoicing_url: Annotated[
        str, Field(description="where the gateway reaches invoicing: all replicas, by commas or a name")
    ] = "http://127.0.0.1:8103"
    notification_url: Annotated[
        str, Field(description="where the gateway reaches notification: all replicas, by commas or a name")
    ] = "http://127.0.0.1:8104"
    service_token: Annotated[SecretStr, Field(description="bearer secret between services")] = SecretStr("local-only")
    operator_token: Annotated[SecretStr, Field(description="bearer secret of operators")] = SecretStr("local-only")
    owner_silent_seconds: Annotated[
        float, Field(gt=0, le=15, description="how long a replica may be silent before the gateway asks another")
    ] = 2.0
    account_at_once: Annotated[
        int, Field(ge=1, le=1000, description="requests of one account under way at once, per gateway process")
    ] = 16
    account_per_second: Annotated[
        float, Field(gt=0, description="requests of one account a second, per gateway process")
    ] = 100.0
    account_burst: Annotated[
        int, Field(ge=1, description="requests of one account that may come at once after a pause")
    ] = 200
    answer_wait_seconds: Annotated[
        float, Field(ge=0, le=30, description="how long a request waits for the ledger's word")
    ] = 2.0

    tax_platform_url: Annotated[str, Field(description="the tax platform")] = "http://127.0.0.1:8111"
    tax_platform_secret: Annotated[SecretStr, Field(description="with which the tax platform signs its callbacks")] = (
        SecretStr("local-only")
    )
    callback_window_seconds: Annotated[
        int, Field(ge=1, le=3600, description="how old the signature of a callback may be, or ahead of our clock")
    ] = 300
    tax_platform_token: Annotated[
        SecretStr, Field(description="bearer secret for calls to the tax platform; empty sends none")
    ] = SecretStr("")
    tax_platform_cert_file: Annotated[
        str, Field(description="our certificate for the tax platform, in PEM; empty shows none")
    ] = ""
    tax_platform_key_file: Annotated[str, Field(description="the key of that certificate, in PEM")] = ""
    sms_url: Annotated[str, Field(description="the SMS gateway")] = "http://127.0.0.1:8112"
    sms_token: Annotated[
        SecretStr, Field(description="bearer secret for calls to the SMS gateway; empty sends none")
    ] = SecretStr("")
    smtp_host: Annotated[str, Field(description="the mail server")] = "127.0.0.1"
    smtp_port: Annotated[Port, Field(description="the mail server's port")] = 8125
    smtp_tls: Annotated[
        MailTls | Literal[""],
        Field(description="tls from the start, or starttls; empty: starttls in production, else none"),
    ] = ""
    smtp_username: Annotated[str, Field(description="login at the mail server; empty: none")] = ""
    smtp_password: Annotated[SecretStr, Field(description="password at the mail server")] = SecretStr("")
    mail_from: Annotated[str, Field(description="sender of mails")] = "invoices@kaipiao.example"

    documents_url: Annotated[str, Field(description="object store for documents: file:///folder or s3://bucket")] = (
        "file:///tmp/kaipiao-documents"
    )
    sealing_key: Annotated[
        SecretStr,
        Field(
            description="master keys of personal data, each base64 of 32 bytes, by commas: the first wraps, all of them unwrap"
        ),
    ] = SecretStr("bG9jYWwtb25seS1sb2NhbC1vbmx5LWxvY2FsLW9ubHk=")
    parking_key: Annotated[
        SecretStr,
        Field(
            description="keys of parked records, each base64 of 32 bytes, by commas: the first seals, all of them open; "
            "each service may have its own"
        ),
    ] = SecretStr(LOCAL_PARKING_KEY)

    otlp_endpoint: Annotated[str, Field(description="OTLP/HTTP receiver of traces; empty turns export off")] = ""

    @field_validator("clock")
    @classmethod
    def _production_has_the_time_it_is(cls, clock: str, known: ValidationInfo) -> str:
        if clock == "test" and known.data.get("environment") == "production":
            raise ValueError("the test clock is refused in production; set it to system, or ENVIRONMENT to local")
        return clock

    def types_not_ours(self) -> frozenset[str]:
        """What upstream writes for other readers."""
        return frozenset(name.strip() for name in self.types_for_others.split(",") if name.strip())

    @field_validator("sealing_key", "parking_key")
    @classmethod
    def _a_key_has_32_bytes(cls, keys: SecretStr) -> SecretStr:
        for key in keys.get_secret_value().split(","):
            try:
                length = len(base64.b64decode(key.strip(), validate=True))
            except binascii.Error:
                raise ValueError("it is not base64; set it to the base64 of 32 random bytes") from None
            if length != SEALING_KEY_BYTES:
                raise ValueError(f"it has {length} bytes; set it to the base64 of {SEALING_KEY_BYTES} random bytes")
        return keys

    @model_validator(mode="after")
    def _nothing_is_wrong_together(self) -> Self:
        found = [*self._forgets_too_soon(), *(production.findings(self) if self.environment == "production" else ())]
        if found:
            raise ValueError("\n".join(found))
        return self

    def _forgets_too_soon(self) -> list[str]:
        """What Kafka can bring again has to be known still, or it would count twice."""
        least = self.topic_retention_days + KAFKA_MARGIN_DAYS + 1
        text = f"topics keep records for {self.topic_retention_days} days; set it to {least} or more"
        return [f"{name.upper()}: {text}" for name in KNOW_OF_RECORDS if getattr(self, name) < least]

    def dsn(self, service: str) -> str:
        """The database of one service, with the login of its handlers, workers and routes."""
        return self._encrypted(database_of(self.database_url.get_secret_value(), service))

    def migration_dsn(self, service: str) -> str:
        """The same database for its owner."""
        url = self.migration_url.get_secret_value() or self.database_url.get_secret_value()
        return self._encrypted(database_of(url, service))

    def _encrypted(self, dsn: str) -> str:
        """In production only a server that proves who it is is spoken to, unless somebody chose another way."""
        if self.environment != "production" or parameter(dsn, "sslmode"):
            return dsn
        return with_parameter(dsn, "sslmode", "verify-full")

    @property
    def pools(self) -> dict[Purpose, int]:
        """How many connections at most, for each purpose."""
        return {
            "handlers": self.database_pool_handlers,
            "workers": self.database_pool_workers,
            "http": self.database_pool_http,
        }

    @property
    def kafka_protocol(self) -> KafkaProtocol:
        return self.kafka_security_protocol or ("SASL_SSL" if self.environment == "production" else "PLAINTEXT")

    @property
    def mail_tls(self) -> MailTls:
        return self.smtp_tls or ("starttls" if self.environment == "production" else "none")
