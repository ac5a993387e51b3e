"""`kaipiao` without a running stack: every command is there, and says in one line that nothing runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.app import app

COMMANDS = (
    ("status",),
    ("parked", "list"),
    ("parked", "show", "1"),
    ("parked", "redrive", "1"),
    ("parked", "dismiss", "1", "--comment", "why"),
    ("clock", "show"),
    ("clock", "set", "2026-12-03T00:00"),
    ("clock", "advance", "0.5"),
    ("api-keys", "create", "1", "name"),
    ("ledger", "rebuild", "--check"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_says_that_nothing_is_running(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAIPIAO_VAR", str(tmp_path))
    monkeypatch.delenv("LEDGER_DSN", raising=False)
    done = CliRunner().invoke(app, command)
    assert done.exit_code != 0
    assert done.stderr.startswith("nothing is running here: type make run")


def test_what_is_no_moment_is_said_so_before_anybody_is_asked() -> None:
    done = CliRunner().invoke(app, ["clock", "set", "tomorrow"])
    assert (done.exit_code, done.stderr) == (1, "tomorrow is no moment; write it as 2026-12-03T00:00+08:00\n")
