"""`kaipiao` when nothing runs, or when what runs is silent, gone or talks nonsense: each command says so and shows no traceback."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import ids, ledger, routes, status
from deploy.cli.app import app

COMMANDS = (
    ("status",),
    ("parked", "list"),
    ("parked", "show", "1"),
    ("parked", "show", "1", "--content"),
    ("parked", "redrive", "1"),
    ("parked", "redrive", "--reason", "NO_CATALOGUE_ROW"),
    ("parked", "dismiss", "1", "--comment", "why"),
    ("clock", "show"),
    ("clock", "set", "2026-12-03T00:00"),
    ("clock", "advance", "0.5"),
    ("api-keys", "create", "1", "name"),
    ("ledger", "rebuild", "--check"),
    ("account", "erase", "1", "--reason", "case 1", "--yes"),
    ("account", "erasure", "1"),
    ("ids", "skip"),
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIPIAO_VAR", str(tmp_path))
    monkeypatch.delenv("LEDGER_DSN", raising=False)
    monkeypatch.setattr(routes, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(status, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(ledger, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(ids, "CONNECT_SECONDS", 0.2)


def test_the_list_of_commands_is_complete() -> None:
    named = {command[0] for command in COMMANDS}
    groups = {group.name for group in app.registered_groups} | {one.name for one in app.registered_commands}
    assert named == groups
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found = group.typer_instance.registered_commands
        commands = {one.name or one.callback.__name__ for one in found if one.callback is not None}
        assert commands == {more[0] for first, *more in COMMANDS if first == group.name}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_says_that_nothing_is_running(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, command)
    assert done.exit_code != 0
    assert done.stderr.startswith("nothing is running here: type make run")


def test_nobody_is_asked_to_erase_before_a_person_has_said_yes() -> None:
    done = CliRunner().invoke(app, ["account", "erase", "1", "--reason", "case 1"], input="n\n")
    assert done.exit_code == 1
    assert "cannot be brought back" in done.stdout
    assert "nothing is running" not in done.stderr


def test_what_is_no_moment_is_said_so_before_anybody_is_asked() -> None:
    done = CliRunner().invoke(app, ["clock", "set", "tomorrow"])
    assert (done.exit_code, done.stderr) == (1, "tomorrow is no moment; write it as 2026-12-03T00:00+08:00\n")


# those who do not answer


def closes(connection: socket.socket) -> None:
    connection.close()


def is_silent(connection: socket.socket) -> None:
    connection.settimeout(5)
    while connection.recv(4096):
        pass


def babbles(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"who is there?\r\n\r\n")
    connection.close()


def answers_html(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 12\r\nConnection: close\r\n\r\n<html></html")
    connection.close()


def breaks_off(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    connection.close()


def dawdles(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    connection.settimeout(0.05)
    while True:
        connection.sendall(b" ")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


@contextmanager
def somebody(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Every connection is served by a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def listen() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def nobody(_: socket.socket) -> None:
    raise AssertionError("nobody is there")


@pytest.mark.parametrize(
    "serve", [nobody, closes, is_silent, babbles, answers_html, breaks_off, dawdles], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_names_who_does_not_answer(
    command: tuple[str, ...], serve: Callable[[socket.socket], None], tmp_path: Path
) -> None:
    with somebody(serve) as port:
        write_endpoints(tmp_path, 9 if serve is nobody else port)
        done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 1
    names = [*routes.SERVICES, "gateway"]
    said = done.stdout + done.stderr
    assert any(name in said for name in names), said
    assert "Traceback" not in said
    if command[:2] == ("parked", "list"):
        assert all(name in done.stderr for name in routes.SERVICES), "it goes on with the others"


def test_status_shows_every_replica_and_goes_on_after_one_that_hangs(tmp_path: Path) -> None:
    def is_ready(connection: socket.socket) -> None:
        connection.recv(4096)
        body = b'{"database": true, "kafka": false}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with somebody(is_silent) as silent, somebody(is_ready) as ready:
        places = {"title": ready, "title-2": silent, "ledger": ready, "smtp_sink": 9}
        urls = {name: f"http://127.0.0.1:{port}/readyz" for name, port in places.items()}
        (tmp_path / "endpoints.json").write_text(json.dumps({"ready": urls}))
        done = CliRunner().invoke(app, ["status"])
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [(line[0], line[1]) for line in lines] == [
        ("title", "ready"),
        ("title-2", "away"),
        ("ledger", "ready"),
        ("smtp_sink", "away"),
    ]
    assert "kafka NO" in done.stdout
    assert "silent for" in done.stdout
    assert done.exit_code == 1


def write_endpoints(folder: Path, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    names = (*routes.SERVICES, "gateway")
    known = {
        "operations": dict.fromkeys(names, url),
        "settings": {"OPERATOR_TOKEN": "t"},
        "dsn": {"ledger": f"postgresql://nobody@127.0.0.1:{port}/none"},
        "ready": dict.fromkeys(names, f"{url}/readyz"),
    }
    (folder / "endpoints.json").write_text(json.dumps(known))


# choosing


def test_many_are_chosen_by_numbers_or_by_a_filter_and_never_by_saying_nothing(tmp_path: Path) -> None:
    write_endpoints(tmp_path, 9)
    nothing = CliRunner().invoke(app, ["parked", "redrive"])
    both = CliRunner().invoke(app, ["parked", "redrive", "1", "--reason", "NOT_JSON"])
    nowhere = CliRunner().invoke(app, ["parked", "list", "--service", "nowhere"])
    assert nothing.stderr == "name numbers, or choose with --reason, --account, --type or --since\n"
    assert both.stderr == "name numbers or a filter, not both\n"
    assert nowhere.stderr.startswith("there is no service nowhere; name one of title")
