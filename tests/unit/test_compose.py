"""Containers, local runs and the settings class speak of the same things."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.local import plan
from deploy.local.keys import Keys
from deploy.local.options import Options
from deploy.local.plan import Plan, Planned
from deploy.local.ports import Ports
from shared.runtime.dsn import name_of
from shared.runtime.programs import may_know
from shared.runtime.roles import login_of, owner_of
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


def a_plan(replicas: int = 1, own_logins: bool = False, **environ: str) -> Plan:
    options = Options(environ, 1, replicas, False, False, None, None, None, None, secure="SECURE" in environ)
    keys = Keys("token", "key", "password", "secret", "operator", "parking")
    with Ports() as ports:
        return plan.make(options, keys, Path("state"), "postgresql://h/k", "h:9092", ports, own_logins)


def test_the_supervisor_passes_only_names_that_are_settings() -> None:
    made = a_plan(OTLP_ENDPOINT="http://traces.example", SECURE="1")
    assert set(made.shared) <= SETTINGS
    assert all(set(each.settings) <= SETTINGS for each in made.services)
    assert all(set(each.settings) <= SANDBOX_SETTINGS for each in made.sandbox)


def test_compose_passes_only_names_that_are_settings(compose: dict[str, Any]) -> None:
    ours = {name: each for name, each in compose["services"].items() if name not in {"postgres", "kafka", "logins"}}
    unknown = {name: set(each["environment"]) - SANDBOX_SETTINGS for name, each in ours.items()}
    assert not any(unknown.values()), unknown


def environment(made: Plan, program: Planned, **environ: str) -> dict[str, str]:
    return dict(plan.command(program, made.shared, environ, CHECKOUT, None).env)


def test_compose_and_the_supervisor_give_each_program_the_same_names(compose: dict[str, Any]) -> None:
    made = a_plan(own_logins=True)
    for program in (*made.sandbox, *made.services, replace(plan.demo(made), name="demo")):
        local = environment(made, program).keys() - plan.SMALL_PYTHON.keys() - PER_PROCESS
        contained = compose["services"][program.name]["environment"].keys() - PER_PROCESS - {"OTLP_ENDPOINT"}
        # What it does not need to be told has the right default in a container.
        assert contained <= local, program.name
        assert local - contained <= {"ENVIRONMENT", "CLOCK"}, program.name


def test_each_program_is_given_what_it_needs_and_no_more(compose: dict[str, Any]) -> None:
    """Also if somebody has it all in their environment or in `.env`."""
    secrets = {
        "SEALING_KEY",
        "DATABASE_URL",
        "MIGRATION_URL",
        "SERVICE_TOKEN",
        "SMTP_PASSWORD",
        "PGPASSWORD",
        "AWS_SECRET_ACCESS_KEY",
    }
    made = a_plan(own_logins=True)
    for program in (*made.sandbox, *made.services, plan.demo(made)):
        names = environment(made, program, **dict.fromkeys(secrets, "secret")).keys()
        module = program.module.rpartition(".")[2]
        assert {name for name in names if not may_know(module, name)} - plan.SMALL_PYTHON.keys() == set()
        if program in made.sandbox:
            assert not names & secrets
    for name, each in compose["services"].items():
        if name not in {"postgres", "kafka"}:
            assert {one for one in each["environment"] if not may_know(name, one)} == set(), name
    assert [name for name, each in compose["services"].items() if "POSTGRES_URL" in each.get("environment", {})] == [
        "logins"
    ]


def test_each_service_has_its_own_login_and_its_own_owner(compose: dict[str, Any]) -> None:
    made = a_plan(own_logins=True)
    local = {each.name: (each.settings["DATABASE_URL"], each.settings["MIGRATION_URL"]) for each in made.services}
    assert len({url for urls in local.values() for url in urls}) == 2 * len(local)
    for name, urls in local.items():
        environ = compose["services"][name]["environment"]
        for url, contained in zip(urls, (environ["DATABASE_URL"], environ["MIGRATION_URL"]), strict=True):
            database = f"{name_of(url)}_{name}"
            assert urlsplit(url).username in {login_of(database), owner_of(database)}
            assert urlsplit(contained).username in {login_of(f"kaipiao_{name}"), owner_of(f"kaipiao_{name}")}
    passwords = json.loads(re.sub(r"\$\{[^}]*\}", "x", compose["services"]["logins"]["environment"]["DATABASE_LOGINS"]))
    assert passwords.keys() == local.keys()


def test_only_whoever_has_documents_reaches_their_folder(compose: dict[str, Any]) -> None:
    holders = {
        name for name, each in compose["services"].items() if any("documents" in one for one in each.get("volumes", ()))
    }
    assert holders == {"invoicing", "notification", "demo"}


def test_compose_and_the_supervisor_run_the_same_programs(compose: dict[str, Any]) -> None:
    made = a_plan()
    local = {each.name: each.module for each in (*made.sandbox, *made.services)}
    commands = {name: each.get("command", []) for name, each in compose["services"].items()}
    contained = {name: argv[2] for name, argv in commands.items() if argv[:2] == ["python", "-m"]}
    assert contained == {**local, "demo": "deploy.demo", "logins": "deploy.logins"}


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
