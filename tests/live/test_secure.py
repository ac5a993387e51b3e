"""`make run SECURE=1`: the demo over TLS with a login for everybody, and what each login cannot do."""

import gc
import json
import os
import shutil
import ssl
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from deploy.local import folders
from deploy.local.process import wait_until
from shared.contracts.topics import TOPICS
from shared.runtime.dsn import with_parameter
from shared.runtime.programs import SERVICES

pytestmark = [
    pytest.mark.live,
    pytest.mark.kafka,
    pytest.mark.database,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("live"),
]
START_SECONDS = 180
NOT_TAKEN_ALONG = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A checkout of its own, run by its launcher as a person would."""
    checkout = tmp_path_factory.mktemp("secure") / "checkout"
    for package in ("deploy", "services", "shared"):
        shutil.copytree(folders.CHECKOUT / package, checkout / package, ignore=NOT_TAKEN_ALONG)
    done = door(checkout, "run", SECURE="1", DETACH="1")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads((checkout / "var" / "endpoints.json").read_text())
        yield found | {"checkout": str(checkout), "said": done.stdout}
    finally:
        door(checkout, "stop", SECURE="1")
        door(checkout, "clean-data", SECURE="1")


def door(checkout: Path, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: text for name, text in os.environ.items() if name not in {"DATABASE_URL", "KAFKA_BOOTSTRAP"}}
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", *argv],
        cwd=checkout,
        env=inherited | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )


def security(stack: dict[str, Any], username: str, password: str) -> dict[str, Any]:
    said = stack["kafka_security"]
    return {
        "security_protocol": said["security_protocol"],
        "sasl_mechanism": said["sasl_mechanism"],
        "ssl_context": ssl.create_default_context(cafile=said["ca_file"]),
        "sasl_plain_username": username,
        "sasl_plain_password": password,
    }


def login(stack: dict[str, Any], name: str) -> dict[str, Any]:
    """Of somebody outside, from endpoints.json; of a service, from its environment."""
    if name in stack["kafka_logins"]:
        return security(stack, **stack["kafka_logins"][name])
    environ = environment(stack["pids"][name])
    return security(stack, environ["KAFKA_USERNAME"], environ["KAFKA_PASSWORD"])


def environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


async def forged(stack: dict[str, Any], name: str, topic: str) -> None:
    value = {"account_id": 1001, "member_id": 1002, "version": 99, "permissions": ["MANAGE_TARGET_INVOICE"]}
    headers = [("ce_id", b"forged"), ("ce_source", b"/kaipiao/title"), ("ce_type", b"MemberChanged")]
    async with AIOKafkaProducer(bootstrap_servers=stack["kafka"], acks="all", **login(stack, name)) as producer:
        await producer.send_and_wait(topic, json.dumps(value).encode(), b"1001", headers=headers)


async def test_a_forged_member_with_upstreams_credentials_is_refused_by_the_broker(stack: dict[str, Any]) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await forged(stack, "upstream", "title.events")


@pytest.mark.parametrize(
    "name", ["upstream", "finance", "operator", "title", "ledger", "invoicing", "notification", "gateway"]
)
async def test_nobody_writes_a_topic_that_is_not_theirs(stack: dict[str, Any], name: str) -> None:
    for topic in TOPICS.values():
        if topic.owner != name and not (topic.owner == "kaipiao" and name in SERVICES):
            with pytest.raises(TopicAuthorizationFailedError):
                await forged(stack, name, topic.name)


async def test_finance_reads_invoices_and_nothing_else(stack: dict[str, Any]) -> None:
    options = {"bootstrap_servers": stack["kafka"], "auto_offset_reset": "earliest", **login(stack, "finance")}
    async with AIOKafkaConsumer("invoicing.events", group_id="finance-test", **options) as consumer:
        assert (await consumer.getone()).value
    consumer = AIOKafkaConsumer("account.events", group_id="finance-test", **options)
    with pytest.raises(TopicAuthorizationFailedError):
        await consumer.start()
    await consumer.stop()


async def test_a_stranger_is_not_let_in(stack: dict[str, Any]) -> None:
    for options in (security(stack, "upstream", "guess"), {}):
        producer = AIOKafkaProducer(bootstrap_servers=stack["kafka"], request_timeout_ms=3000, **options)
        with pytest.raises(KafkaError):
            await producer.start()
        await producer.stop()
    del producer
    with warnings.catch_warnings():  # the client forgets a connection on which it was refused
        warnings.simplefilter("ignore")
        gc.collect()


async def test_postgresql_takes_no_password_in_plain_text(stack: dict[str, Any]) -> None:
    dsn = stack["dsn"]["ledger"]
    db = await asyncpg.connect(dsn)
    assert await db.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    others = await db.fetch(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename LIKE 'kaipiao%'"
    )
    assert all(row["ssl"] for row in others)
    await db.close()
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(with_parameter(dsn, "sslmode", "disable"))


def test_each_program_holds_its_own_secrets_only(stack: dict[str, Any]) -> None:
    held = {
        name: environment(stack["pids"][name])
        for name in ("sms_gateway", "smtp_sink", "tax_platform", "ledger", "title")
    }
    for name in ("sms_gateway", "smtp_sink", "tax_platform"):
        assert not held[name].keys() & {"SEALING_KEY", "DATABASE_URL", "MIGRATION_URL", "SERVICE_TOKEN"}
    assert "SEALING_KEY" in held["title"]
    assert "SEALING_KEY" not in held["ledger"]
    assert len({held[name]["DATABASE_URL"] for name in ("ledger", "title")}) == 2
    assert stack["database"].partition("@")[0] not in {
        one.get("DATABASE_URL", "").partition("@")[0] for one in held.values()
    }


def test_the_demo_was_played_and_the_checker_finds_nothing(stack: dict[str, Any]) -> None:
    assert "Issued" in stack["said"]
    argv = [sys.executable, "-m", "deploy.verify"]

    def verified() -> bool:
        done = subprocess.run(argv, cwd=stack["checkout"], capture_output=True, text=True, check=False)
        return done.returncode == 0

    assert wait_until(verified, 60)
