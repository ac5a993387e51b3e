"""Containers, local runs and the settings class speak of the same things."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.local import plan
from deploy.local.keys import Keys
from deploy.local.options import Options
from deploy.local.plan import Plan
from deploy.local.ports import Ports
from shared.runtime.settings import Settings
from tests.support import containers

CHECKOUT = Path(__file__).parents[2]
SETTINGS = {name.upper() for name in Settings.model_fields}
# The stand-ins for the outside world keep files of their own.
SANDBOX_SETTINGS = SETTINGS | {"SANDBOX_DIR"}
# Known to the supervisor per process; compose says it once for all.
PER_PROCESS = {
    *("HTTP_HOST", "HTTP_PORT", "OPERATIONS_HOST", "OPERATIONS_PORT", "CALLBACKS_HOST", "CALLBACKS_PORT", "REPLICA")
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return content


def a_plan(replicas: int = 1, **environ: str) -> Plan:
    options = Options(environ, 1, replicas, False, False, None, None, None, None)
    with Ports() as ports:
        return plan.make(
            options,
            Keys("token", "key", "password", "secret", "operator"),
            Path("state"),
            "postgresql://h/k",
            "h:9092",
            ports,
        )


def test_the_supervisor_passes_only_names_that_are_settings() -> None:
    made = a_plan(OTLP_ENDPOINT="http://traces.example")
    assert set(made.shared) <= SETTINGS
    assert all(set(each.settings) <= SETTINGS for each in made.services)
    assert all(set(each.settings) <= SANDBOX_SETTINGS for each in made.sandbox)


def test_compose_passes_only_names_that_are_settings(compose: dict[str, Any]) -> None:
    ours = {name: each for name, each in compose["services"].items() if name not in {"postgres", "kafka"}}
    unknown = {name: set(each["environment"]) - SANDBOX_SETTINGS for name, each in ours.items()}
    assert not any(unknown.values()), unknown


def test_compose_and_the_supervisor_set_the_same_names(compose: dict[str, Any]) -> None:
    assert set(compose["x-settings"]) - PER_PROCESS - {"OTLP_ENDPOINT"} == set(a_plan().shared)


def test_compose_and_the_supervisor_run_the_same_programs(compose: dict[str, Any]) -> None:
    made = a_plan()
    local = {each.name: each.module for each in (*made.sandbox, *made.services)}
    commands = {name: each.get("command", []) for name, each in compose["services"].items()}
    contained = {name: argv[2] for name, argv in commands.items() if argv[:2] == ["python", "-m"]}
    assert contained == {**local, "demo": "deploy.demo"}


def test_compose_listens_where_the_supervisor_prefers_to(compose: dict[str, Any]) -> None:
    usual = {**plan.SERVICE_PORTS, "gateway": plan.GATEWAY_PORT, "tax_platform": plan.TAX_PLATFORM_PORT}
    usual |= {"sms_gateway": plan.SMS_PORT, "smtp_sink": plan.SMTP_HTTP_PORT}
    assert {name: int(compose["services"][name]["environment"]["HTTP_PORT"]) for name in usual} == usual
    operations = {name: usual[name] + plan.OPERATIONS_STEP for name in (*plan.SERVICE_PORTS, "gateway")}
    said = {name: int(compose["services"][name]["environment"]["OPERATIONS_PORT"]) for name in operations}
    assert said == operations
    assert int(compose["services"]["invoicing"]["environment"]["CALLBACKS_PORT"]) == plan.CALLBACKS_PORT


def test_images_are_pinned_and_the_same_everywhere(compose: dict[str, Any]) -> None:
    images = {name: compose["services"][name]["image"] for name in ("postgres", "kafka")}
    assert images == {"postgres": containers.POSTGRES_IMAGE, "kafka": containers.KAFKA_IMAGE}


def test_the_dockerfile_runs_nothing_as_root_and_asks_for_readiness() -> None:
    text = (CHECKOUT / "deploy" / "Dockerfile").read_text()
    assert "\nUSER kaipiao\n" in text
    assert "/readyz" in text
    assert all(":" in line.split()[1] for line in text.splitlines() if line.startswith("FROM python"))


def test_each_replica_has_its_own_port_and_name() -> None:
    services = a_plan(replicas=3).services
    assert len({each.settings["HTTP_PORT"] for each in services}) == len(services) == 13
    assert {each.settings["REPLICA"] for each in services if each.module == "services.title"} == {"1", "2", "3"}
    assert len({each.settings["OPERATIONS_PORT"] for each in services}) == 13


def test_the_edge_knows_every_replica_and_operators_reach_each() -> None:
    made = a_plan(replicas=2)
    addresses = {f"http://127.0.0.1:{each.settings['HTTP_PORT']}" for each in made.services if "title" in each.name}
    assert {*made.shared["TITLE_URL"].split(",")} == addresses
    reached = plan.endpoints(made)["operations"]
    assert reached == {each.name: f"http://127.0.0.1:{each.settings['OPERATIONS_PORT']}" for each in made.services}
    assert made.shared["OPERATIONS_URLS"] == ",".join(f"{name}={url}" for name, url in reached.items())


def test_operators_and_the_platform_are_answered_on_loopback_wherever_customers_come_from() -> None:
    for each in a_plan(HTTP_HOST="::").services:
        hosts = {name: host for name, host in each.settings.items() if name.endswith("_HOST") and name != "HTTP_HOST"}
        assert {*hosts.values()} == {"127.0.0.1"}


def test_a_mail_server_of_ones_own_replaces_the_sink() -> None:
    shared = a_plan(SMTP_HOST="mail.example", SMTP_PORT="2525").shared
    assert (shared["SMTP_HOST"], shared["SMTP_PORT"]) == ("mail.example", "2525")


def test_endpoints_name_a_database_for_every_service() -> None:
    dsn = plan.endpoints(a_plan())["dsn"]
    assert dsn == {
        name: f"postgresql://h/k_{name}" for name in ("title", "ledger", "invoicing", "notification", "gateway")
    }
