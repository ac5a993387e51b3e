"""The launchers against real servers, and the supervisor with tiny programs."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import folders, postgres, process
from deploy.local.kafka import jars, wire
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.postgres import PostgresPrograms, PostgresSettings
from deploy.local.process import CannotStartError, Command
from tests.integration import small_checkout
from tests.integration.small_checkout import ELSEWHERE, SmallCheckout
from tests.support import servers

SETUP = folders.CHECKOUT / "deploy" / "local" / "setup.sh"
SETUP_TOOLS = ("cat", "cksum", "dirname", "id", "sed")
ORPHAN = "from tests.support import servers; import os, signal; print(servers.start_postgres().pid, flush=True); os.kill(os.getpid(), 9)"


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder PostgreSQL's own account can reach, which pytest's is not."""
    folder, held = folders.scratch()
    yield folder
    shutil.rmtree(folder)
    held.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[SmallCheckout]:
    made = small_checkout.make(tmp_path / "checkout")
    yield made
    made.door("stop")
    made.door("clean-data")


async def one(dsn: str) -> int:
    db = await asyncpg.connect(dsn)
    try:
        return int(await db.fetchval("SELECT 1"))
    finally:
        await db.close()


def a_port() -> int:
    with Ports() as ports:
        return ports.any_free(1)[0]


def a_sleeper(folder: Path) -> Command:
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    return Command("sleeper", argv, {}, folder / "sleeper.log", folder)


@pytest.mark.database
@pytest.mark.parametrize("using", postgres.sources(), ids=lambda each: f"PostgreSQL {each.major}")
async def test_every_postgresql_on_this_machine_starts(using: PostgresPrograms) -> None:
    server = servers.start_postgres(using=using)
    try:
        assert await one(server.dsn) == 1
    finally:
        server.stop()
    assert not postgres.answers(int(server.dsn.rpartition(":")[2].split("/")[0]))


@pytest.mark.database
async def test_a_kept_server_lets_nobody_in_without_its_password(scratch: Path) -> None:
    settings = PostgresSettings(scratch / "postgres", a_port(), scratch / "log", "s/cr:et@")
    using = postgres.programs()
    postgres.prepare(settings, using)
    server = postgres.launch(settings, using)
    try:
        postgres.await_ready(server, settings)
        assert await one(settings.dsn) == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            await one(replace(settings, password="guess").dsn)
    finally:
        server.stop()


@pytest.mark.database
async def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    server = servers.start_postgres()
    try:
        db = await asyncpg.connect(server.dsn)
        await db.execute("CREATE TABLE kept AS SELECT 1 AS one")
        server.kill()
        db.terminate()
        server.start()
        assert await one(server.dsn) == 1
        again = await asyncpg.connect(server.dsn)
        assert await again.fetchval("SELECT one FROM kept") == 1
        await again.close()
    finally:
        server.stop()


def test_data_of_another_major_version_is_refused(scratch: Path) -> None:
    (scratch / "postgres").mkdir()
    (scratch / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(CannotStartError, match="type make clean-data"):
        postgres.prepare(PostgresSettings(scratch / "postgres", 1, scratch / "log"), postgres.programs())


@pytest.mark.database
def test_a_server_dies_with_whoever_started_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], cwd=folders.CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert process.wait_until(lambda: not process.argv_of(int(done.stdout)), 10)


def test_a_leftover_is_ended_by_its_pid_and_command_line(tmp_path: Path) -> None:
    leftover = process.start(a_sleeper(tmp_path), tmp_path)
    assert process.reap_leftovers(tmp_path) == ["sleeper"]
    assert leftover.popen.wait(10) == -signal.SIGTERM
    assert not list(tmp_path.glob("*.json"))


def test_a_stranger_with_a_leftovers_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = process.start(a_sleeper(tmp_path), tmp_path)
    note = tmp_path / "sleeper.json"
    note.write_text(note.read_text().replace("time.sleep(600)", "time.sleep(601)"))
    assert process.reap_leftovers(tmp_path) == []
    assert stranger.alive
    stranger.kill()


def test_a_taken_port_moves_unless_it_was_demanded() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Ports() as ports:
            assert ports.prefer(port) != port
            with pytest.raises(CannotStartError, match=f"port {port} is taken: choose another with HTTP_PORT="):
                ports.demand(port, "HTTP_PORT")


def test_two_runs_that_choose_at_once_never_choose_the_same_port() -> None:
    port = a_port()
    with Ports() as ours, Ports() as theirs:
        assert ours.prefer(port) != theirs.prefer(port)


def test_a_machine_without_java_is_told_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="no Java 17 or newer found: type apt-get install"):
        jars.java({"PATH": ""}, usual=tmp_path)


def test_a_java_that_is_too_old_does_not_count(tmp_path: Path) -> None:
    old = tmp_path / "old" / "bin" / "java"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\n")
    old.chmod(0o755)
    (tmp_path / "old" / "release").write_text('JAVA_VERSION="11.0.2"\n')
    with pytest.raises(CannotStartError, match="no Java 17"):
        jars.java({"PATH": ""}, usual=tmp_path)


def test_a_machine_without_maven_is_told_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="Maven is needed once"):
        jars.jars({"PATH": "", "XDG_CACHE_HOME": str(tmp_path)})


@pytest.mark.kafka
def test_a_changed_jar_is_refused(tmp_path: Path) -> None:
    for jar in jars.jars(os.environ).glob("*.jar"):
        (tmp_path / jar.name).symlink_to(jar)
    jars.check(tmp_path)
    (tmp_path / "jose4j-0.9.6.jar").unlink()
    (tmp_path / "jose4j-0.9.6.jar").write_bytes(b"another program")
    with pytest.raises(CannotStartError, match=r"jose4j-0.9.6.jar in .* is not the file we checked: type rm -rf"):
        jars.check(tmp_path)


@pytest.mark.kafka
async def test_a_broker_takes_part_again_after_it_was_killed() -> None:
    kafka = servers.start_kafka()
    try:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("kept", 1, 1)])
        await admin.close()
        before = kafka.pids[1]
        kafka.kill_node(1)
        assert kafka.pids == {}
        assert wire.brokers(LOOPBACK, int(kafka.bootstrap.rpartition(":")[2])) == []
        kafka.start_node(1)
        assert kafka.pids[1] != before
        again = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await again.start()
        assert await again.list_topics() == ["kept"]
        await again.close()
    finally:
        kafka.stop()


def test_a_machine_without_python_is_told_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    for tool in SETUP_TOOLS:
        (tmp_path / "tools" / tool).symlink_to(str(shutil.which(tool)))
    shutil.copytree(folders.CHECKOUT / "requirements", tmp_path / "requirements")
    (tmp_path / "deploy" / "local").mkdir(parents=True)
    shutil.copy(SETUP, tmp_path / "deploy" / "local" / "setup.sh")
    argv = [str(shutil.which("sh")), str(tmp_path / "deploy" / "local" / "setup.sh")]
    environ = {"PATH": str(tmp_path / "tools"), "HOME": str(tmp_path)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no Python 3.11 or newer found: install one" in done.stderr.splitlines()[-1]


@pytest.mark.live
def test_a_run_plays_the_demo_and_ends_with_its_status(checkout: SmallCheckout) -> None:
    good = checkout.door("run", RUN_EXIT="1", **ELSEWHERE)
    assert (good.returncode, "demo of http://127.0.0.1:" in good.stdout) == (0, True), good.stderr
    assert checkout.door("run", RUN_EXIT="1", DEMO_STATUS="7", **ELSEWHERE).returncode == 7
    assert not (checkout.folder / "var" / "endpoints.json").exists()


@pytest.mark.live
def test_a_second_run_says_that_the_first_is_up(checkout: SmallCheckout) -> None:
    assert checkout.door("run", DETACH="1", **ELSEWHERE).returncode == 0
    second = checkout.door("run", **ELSEWHERE)
    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"kaipiao: this checkout's stack is already running (gateway {checkout.endpoints()['gateway']}, "
        "kafka 127.0.0.1:1): type make status or make stop"
    ]


@pytest.mark.live
def test_a_service_that_ends_is_started_again_and_stop_ends_all(checkout: SmallCheckout) -> None:
    assert checkout.door("run", DETACH="1", REPLICAS="2", **ELSEWHERE).returncode == 0
    before = checkout.endpoints()["pids"]
    os.kill(before["ledger-2"], signal.SIGKILL)
    assert process.wait_until(
        lambda: checkout.endpoints()["pids"].get("ledger-2", before["ledger-2"]) != before["ledger-2"], 10
    )
    assert "ledger-2 " in checkout.door("status").stdout
    pids = checkout.endpoints()["pids"].values()
    assert checkout.door("stop").stdout == "stopped\n"
    assert not [pid for pid in pids if process.argv_of(pid)]
    assert checkout.door("status").returncode == 1


@pytest.mark.live
def test_a_program_holds_no_secrets_of_another(checkout: SmallCheckout) -> None:
    """Neither those of the stack nor what somebody has in their own environment, or in `.env`."""
    (checkout.folder / ".env").write_text("SMTP_PASSWORD=secret\nSEALING_KEY=secret\n")
    assert checkout.door("run", DETACH="1", AWS_SECRET_ACCESS_KEY="secret", **ELSEWHERE).returncode == 0
    pids = checkout.endpoints()["pids"]
    held = {name: Path(f"/proc/{pid}/environ").read_bytes() for name, pid in pids.items() if name != "supervisor"}
    holders = {b"SEALING_KEY=": {"title", "invoicing", "notification"}, b"SMTP_PASSWORD=": {"notification"}}
    holders |= {b"DATABASE_URL=": {*small_checkout.PROGRAMS}, b"AWS_SECRET_ACCESS_KEY=": {"invoicing", "notification"}}
    for setting, wanted in holders.items():
        assert {name for name, environ in held.items() if setting in environ} == wanted, setting


@pytest.mark.live
def test_nothing_outlives_a_killed_supervisor(checkout: SmallCheckout) -> None:
    assert checkout.door("run", DETACH="1", **ELSEWHERE).returncode == 0
    pids = checkout.endpoints()["pids"]
    os.kill(pids["supervisor"], signal.SIGKILL)
    assert process.wait_until(lambda: not any(process.argv_of(pid) for pid in pids.values()), 10)
    assert checkout.door("run", RUN_EXIT="1", **ELSEWHERE).returncode == 0


@pytest.mark.live
def test_a_service_that_cannot_start_ends_the_run_with_one_line(checkout: SmallCheckout) -> None:
    done = checkout.door("run", RUN_EXIT="1", FAIL="title", **ELSEWHERE)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "kaipiao: title ended with status 1 (FATAL told to fail): look at var/log/title.log"
    ]


@pytest.mark.live
@pytest.mark.database
@pytest.mark.kafka
def test_ctrl_c_ends_postgresql_and_kafka_too(checkout: SmallCheckout) -> None:
    running = checkout.begin("run", POSTGRES_PORT=str(a_port()))
    assert running.stdout is not None
    assert any(line.startswith("API http://") for line in running.stdout)
    pids = checkout.endpoints()["pids"]
    assert {"postgres", "kafka-1", "gateway", "smtp_sink"} <= set(pids)
    running.send_signal(signal.SIGINT)
    _, complaints = running.communicate(timeout=60)
    assert (running.returncode, complaints) == (0, "")
    assert not [pid for pid in pids.values() if process.argv_of(pid)]
