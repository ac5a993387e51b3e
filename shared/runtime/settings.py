"""The one settings object. The same names stand in `.env`, compose and local runs; `docs/settings.md` is made from this file."""

from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Read from the environment (upper-case names), then from `.env`. A wrong value ends the process with its name."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    environment: Annotated[Literal["local", "production"], Field(description="production refuses the test clock")] = (
        "local"
    )
    clock: Annotated[
        Literal["system", "test"],
        Field(
            description="test: business time is wall time plus what `kaipiao clock` says, for all processes together"
        ),
    ] = "system"
    replica: Annotated[str, Field(description="name of this replica, unique among those of its service")] = "1"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="least level written")] = (
        "INFO"
    )

    database_url: Annotated[
        SecretStr,
        Field(description="PostgreSQL 15 or later; its database name is a prefix: a service uses `<name>_<service>`"),
    ] = SecretStr("postgresql://kaipiao@127.0.0.1:5440/kaipiao")
    database_pool: Annotated[int, Field(ge=4, le=100, description="connections of one process at most")] = 12

    kafka_bootstrap: Annotated[str, Field(description="brokers to start from, host:port,host:port")] = "127.0.0.1:9092"
    topic_partitions: Annotated[int, Field(ge=1, le=1000, description="partitions of a new topic")] = 6
    topic_replication: Annotated[int, Field(ge=1, le=10, description="copies of a new topic")] = 1
    topic_min_insync: Annotated[int, Field(ge=1, le=10, description="copies that must confirm a record")] = 1
    topic_retention_days: Annotated[int, Field(ge=1, le=3650, description="how long topics keep records")] = 14
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
        str, Field(description="where the gateway reaches title: all replicas, by commas or a name")
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
    service_token: Annotated[SecretStr, Field(description="bearer secret between gateway and services")] = SecretStr(
        "local-only"
    )
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
    sms_url: Annotated[str, Field(description="the SMS gateway")] = "http://127.0.0.1:8112"
    smtp_host: Annotated[str, Field(description="the mail server")] = "127.0.0.1"
    smtp_port: Annotated[Port, Field(description="the mail server's port")] = 8125
    mail_from: Annotated[str, Field(description="sender of mails")] = "invoices@kaipiao.example"

    documents_url: Annotated[str, Field(description="object store for documents: file:///folder or s3://bucket")] = (
        "file:///tmp/kaipiao-documents"
    )
    sealing_key: Annotated[SecretStr, Field(description="master key for personal data: base64 of 32 bytes")] = (
        SecretStr("bG9jYWwtb25seS1sb2NhbC1vbmx5LWxvY2FsLW9ubHk=")
    )

    otlp_endpoint: Annotated[str, Field(description="OTLP/HTTP receiver of traces; empty turns export off")] = ""

    @field_validator("clock")
    @classmethod
    def _production_has_the_time_it_is(cls, clock: str, known: ValidationInfo) -> str:
        if clock == "test" and known.data.get("environment") == "production":
            raise ValueError("the test clock is refused in production; set it to system, or ENVIRONMENT to local")
        return clock

    def dsn(self, service: str) -> str:
        """The database of one service."""
        return database_of(self.database_url.get_secret_value(), service)


def database_of(url: str, service: str) -> str:
    """`postgresql://host/kaipiao` and "ledger" give `postgresql://host/kaipiao_ledger`."""
    parts = urlsplit(url)
    name = PurePosixPath(parts.path).name or "kaipiao"
    return urlunsplit(parts._replace(path=f"/{name}_{service}"))
