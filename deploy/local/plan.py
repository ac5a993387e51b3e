"""What runs: every program of the stack with its port and its settings. Nothing here starts anything."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.keys import Keys
from deploy.local.options import Options
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.process import Command
from deploy.local.secure import ADMIN, KAFKA_LOGINS, kafka_settings
from shared.runtime.dsn import database_of, name_of, with_login
from shared.runtime.programs import may_know

SERVICE_PORTS = {"title": 8101, "ledger": 8102, "invoicing": 8103, "notification": 8104}
GATEWAY_PORT = 8080
# The operators' listener of a service prefers the port a thousand above.
OPERATIONS_STEP = 1000
CALLBACKS_PORT = 8121
TAX_PLATFORM_PORT = 8111
SMS_PORT = 8112
SMTP_HTTP_PORT = 8113
SMTP_PORT = 8125
KAFKA_PORT = 9092
KAFKA_CONTROLLER_PORT = 19092
POSTGRES_PORT = 5440
# The second replica of title prefers 8201, the third 8301.
REPLICA_STEP = 100
DATABASES = (*SERVICE_PORTS, "gateway")
# Few arenas keep a process small, logs are written as they come, and compiled modules halve every later start.
SMALL_PYTHON = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""}
MAY_BE_SAID = (
    "MIGRATION_URL",
    "ENVIRONMENT",
    "CLOCK",
    "TOPIC_REPLICATION",
    "TOPIC_MIN_INSYNC",
    "TAX_PLATFORM_URL",
    "TAX_PLATFORM_SECRET",
    "SMS_URL",
    "DOCUMENTS_URL",
    "SERVICE_TOKEN",
    "OPERATOR_TOKEN",
    "SEALING_KEY",
    "PARKING_KEY",
    "OTLP_ENDPOINT",
)
# Names that steer `make run` itself or are meant for one process; children must not inherit them.
NOT_INHERITED = {
    "HTTP_PORT",
    "HTTP_HOST",
    "OPERATIONS_HOST",
    "OPERATIONS_PORT",
    "CALLBACKS_HOST",
    "CALLBACKS_PORT",
    "REPLICA",
    "REPLICAS",
    "RUN_EXIT",
    "DETACH",
    "SECURE",
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
}


@dataclass(frozen=True)
class Planned:
    """One Python program, where it says that it is ready, and of a service where operators reach it."""

    name: str
    module: str
    settings: Mapping[str, str]
    ready_url: str
    operations_url: str = ""


@dataclass(frozen=True)
class Plan:
    """All programs above PostgreSQL and Kafka, and the settings they share."""

    shared: Mapping[str, str]
    sandbox: tuple[Planned, ...]
    services: tuple[Planned, ...]
    kafka_logins: Mapping[str, str] = field(default_factory=dict)
    """Of whoever stands outside, with SECURE=1: upstream, finance, and the operator who reads everything."""


def make(
    options: Options,
    keys: Keys,
    state: Path,
    database_url: str,
    kafka_bootstrap: str,
    ports: Ports,
    own_logins: bool = False,
) -> Plan:
    """Chooses ports in a fixed order, so that a machine with nothing else on it gets the usual ones.

    `own_logins`: each service has its own at PostgreSQL, and those of `database_url` are for whoever made them.
    """
    host = options.environ.get("HTTP_HOST", LOOPBACK)
    gateway = _chosen(ports, options.http_port, GATEWAY_PORT, "HTTP_PORT")
    logins = {
        name: _logins(name, keys, database_url, own_logins, options.secure) for name in (*DATABASES, "tax_platform")
    }
    http = {
        name: [ports.prefer(port + REPLICA_STEP * number) for number in range(options.replicas)]
        for name, port in SERVICE_PORTS.items()
    }
    services = [
        _service(name, replica, port, LOOPBACK, ports, logins[name])
        for name, listed in http.items()
        for replica, port in enumerate(listed, 1)
    ]
    services.append(_service("gateway", 1, gateway, host, ports, logins["gateway"]))
    callbacks = next(each.settings["CALLBACKS_PORT"] for each in services if each.name == "invoicing")
    tax_platform, sms, smtp_http = (ports.prefer(port) for port in (TAX_PLATFORM_PORT, SMS_PORT, SMTP_HTTP_PORT))
    smtp = _chosen(ports, None if options.environ.get("SMTP_HOST") else options.smtp_port, SMTP_PORT, "SMTP_PORT")
    copies = "3" if options.kafka_nodes == 3 else "1"
    shared = {
        "ENVIRONMENT": "local",
        "CLOCK": "system" if options.environ.get("ENVIRONMENT") == "production" else "test",
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "TOPIC_REPLICATION": copies,
        "TOPIC_MIN_INSYNC": "2" if options.kafka_nodes == 3 else "1",
        "GATEWAY_URL": _url(gateway),
        **{f"{name.upper()}_URL": ",".join(map(_url, listed)) for name, listed in http.items()},
        "OPERATIONS_URLS": ",".join(f"{each.name}={each.operations_url}" for each in services),
        "CALLBACKS_URL": _url(int(callbacks)),
        "TAX_PLATFORM_URL": _url(tax_platform),
        "TAX_PLATFORM_SECRET": keys.tax_platform_secret,
        "SMS_URL": _url(sms),
        **_mail(options, smtp),
        "DOCUMENTS_URL": f"file://{state / 'documents'}",
        "SERVICE_TOKEN": keys.service_token,
        "OPERATOR_TOKEN": keys.operator_token,
        "SEALING_KEY": keys.sealing_key,
        "PARKING_KEY": keys.parking_key,
    }
    # Whatever was said explicitly wins, except the addresses that were just chosen.
    shared |= {name: options.environ[name] for name in MAY_BE_SAID if options.environ.get(name)}
    if options.secure:
        shared |= kafka_settings(state)
    sandbox = (
        _sandbox("tax_platform", tax_platform, state, logins["tax_platform"]),
        _sandbox("sms_gateway", sms, state),
        _sandbox("smtp_sink", smtp_http, state, {"SMTP_HOST": LOOPBACK, "SMTP_PORT": str(smtp)}),
    )
    people = {name: keys.password_of(f"kafka/{name}") for name in KAFKA_LOGINS} if options.secure else {}
    return Plan(shared, sandbox, tuple(services), people)


def command(
    planned: Planned, shared: Mapping[str, str], environ: Mapping[str, str], checkout: Path, logs: Path | None
) -> Command:
    """A program finds in its environment what it needs, and nobody else's secrets."""
    program = planned.module.rpartition(".")[2]
    inherited = {
        name: setting for name, setting in environ.items() if name not in NOT_INHERITED and may_know(program, name)
    }
    given = {name: setting for name, setting in shared.items() if may_know(program, name)}
    return Command(
        name=planned.name,
        argv=[sys.executable, "-m", planned.module],
        env={**inherited, **SMALL_PYTHON, **given, **planned.settings},
        log=None if logs is None else logs / f"{planned.name}.log",
        cwd=checkout,
    )


def endpoints(plan: Plan) -> dict[str, object]:
    """The addresses people and other programs need, as they stand in var/endpoints.json."""
    shared = plan.shared
    return {
        "gateway": shared["GATEWAY_URL"],
        "operations": {each.name: each.operations_url for each in plan.services},
        **{name: shared[f"{name.upper()}_URL"].split(",")[0] for name in SERVICE_PORTS},
        "kafka": shared["KAFKA_BOOTSTRAP"],
        "database": shared["DATABASE_URL"],
        "dsn": {name: database_of(_owners_url(plan, name), name) for name in DATABASES},
        "kafka_security": {
            "security_protocol": shared.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
            "sasl_mechanism": shared.get("KAFKA_SASL_MECHANISM", ""),
            "ca_file": shared.get("TLS_CA_FILE", ""),
        },
        "kafka_logins": {name: {"username": name, "password": secret} for name, secret in plan.kafka_logins.items()},
        "tax_platform": shared["TAX_PLATFORM_URL"],
        "sms": shared["SMS_URL"],
        "smtp": f"{shared['SMTP_HOST']}:{shared['SMTP_PORT']}",
        "smtp_http": next(each.ready_url.removesuffix("/readyz") for each in plan.sandbox if each.name == "smtp_sink"),
        "documents": shared["DOCUMENTS_URL"],
        "otlp": shared.get("OTLP_ENDPOINT", ""),
        "metrics": {each.name: f"{each.operations_url}/metrics" for each in plan.services},
    }


def preparing(plan: Plan, keys: Keys, own_logins: bool, secure: bool) -> list[Planned]:
    """What has to be done before services start: logins and databases, topics and who may use them."""
    url = plan.shared["DATABASE_URL"]
    found = []
    if own_logins:
        names = {name: name_of(database_of(url, name)) for name in DATABASES}
        logins = {
            name: {kind: keys.password_of(f"{database}_{kind}") for kind in ("owner", "login")}
            for name, database in names.items()
        }
        settings = {"POSTGRES_URL": url, "DATABASE_LOGINS": json.dumps(logins)}
        found.append(Planned("logins", "deploy.logins", settings, ""))
    if secure:
        settings = {"KAFKA_USERNAME": ADMIN, "KAFKA_PASSWORD": keys.password_of(f"kafka/{ADMIN}")}
        found.append(Planned("acls", "deploy.local.acls", settings, ""))
    return found


def demo(plan: Plan) -> Planned:
    """It writes what upstream writes, and reads what finance reads."""
    settings: dict[str, str] = {}
    for prefix, login in (("", "upstream"), ("FINANCE_", "finance")):
        if login in plan.kafka_logins:
            settings |= {f"{prefix}KAFKA_USERNAME": login, f"{prefix}KAFKA_PASSWORD": plan.kafka_logins[login]}
    return Planned("scenario", "deploy.demo", settings, "")


def _owners_url(plan: Plan, service: str) -> str:
    """For people and the checker, who look at all accounts."""
    settings = next(each.settings for each in plan.services if each.name == service)
    return settings.get("MIGRATION_URL") or plan.shared.get("MIGRATION_URL") or plan.shared["DATABASE_URL"]


def _logins(name: str, keys: Keys, database_url: str, own_logins: bool, secure: bool) -> dict[str, str]:
    """What a program shows at PostgreSQL and Kafka."""
    settings = {}
    if own_logins and name in DATABASES:
        database = name_of(database_of(database_url, name))
        for setting, kind in (("DATABASE_URL", "login"), ("MIGRATION_URL", "owner")):
            login = f"{database}_{kind}"
            settings[setting] = with_login(database_url, login, keys.password_of(login))
    if secure:
        settings |= {"KAFKA_USERNAME": name, "KAFKA_PASSWORD": keys.password_of(f"kafka/{name}")}
    return settings


def _chosen(ports: Ports, demanded: int | None, usual: int, setting: str) -> int:
    return ports.prefer(usual) if demanded is None else ports.demand(demanded, setting)


def _mail(options: Options, sink_port: int) -> dict[str, str]:
    """Mails go to the sink, unless somebody named a mail server of their own."""
    own = options.environ.get("SMTP_HOST", "")
    if own:
        return {"SMTP_HOST": own, "SMTP_PORT": options.environ.get("SMTP_PORT") or "25"}
    return {"SMTP_HOST": LOOPBACK, "SMTP_PORT": str(sink_port)}


def _sandbox(name: str, port: int, state: Path, more: Mapping[str, str] | None = None) -> Planned:
    settings = {"HTTP_HOST": LOOPBACK, "HTTP_PORT": str(port), "SANDBOX_DIR": str(state / "sandbox" / name)}
    settings |= more or {}
    return Planned(name, f"deploy.sandbox.{name}", settings, f"{_url(port)}/readyz")


def _service(name: str, replica: int, port: int, host: str, ports: Ports, logins: Mapping[str, str]) -> Planned:
    """Operators' routes and the platform's callbacks are for this machine, wherever customers come from."""
    operations = ports.prefer((GATEWAY_PORT if name == "gateway" else port) + OPERATIONS_STEP)
    settings = {"HTTP_HOST": host, "HTTP_PORT": str(port), "REPLICA": str(replica), **logins}
    settings |= {"OPERATIONS_HOST": LOOPBACK, "OPERATIONS_PORT": str(operations)}
    if name == "invoicing":
        callbacks = ports.prefer(CALLBACKS_PORT + REPLICA_STEP * (replica - 1))
        settings |= {"CALLBACKS_HOST": LOOPBACK, "CALLBACKS_PORT": str(callbacks)}
    label = name if replica == 1 else f"{name}-{replica}"
    return Planned(label, f"services.{name}", settings, f"{_url(operations)}/readyz", _url(operations))


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"
