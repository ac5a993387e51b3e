"""The platform's own storage: SQLite, synced at every commit, so that a SIGKILL loses nothing that was acknowledged."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.sandbox.tax_platform.core import Quota
from deploy.sandbox.tax_platform.records import Form, Task, as_row, form_from, task_from

SCHEMA = """
CREATE TABLE IF NOT EXISTS task (serial TEXT PRIMARY KEY, state TEXT NOT NULL, due_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS task_due ON task (due_at) WHERE state = 'processing';
CREATE TABLE IF NOT EXISTS number (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS log (row_id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quota (tax_id TEXT NOT NULL, month TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tax_id, month));
CREATE INDEX IF NOT EXISTS task_number ON task (json_extract(body, '$.number')) WHERE state = 'issued';
CREATE TABLE IF NOT EXISTS form (number TEXT PRIMARY KEY, blue_number TEXT NOT NULL, will TEXT NOT NULL, due_at TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS form_blue_number ON form (blue_number);
CREATE INDEX IF NOT EXISTS form_due ON form (due_at) WHERE will <> '';
CREATE TABLE IF NOT EXISTS form_number (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), last INTEGER NOT NULL);
INSERT OR IGNORE INTO form_number VALUES (1, 0);
INSERT OR IGNORE INTO number VALUES (1, 0);
"""


class Disk:
    """Whatever changes within `kept` is on the disk when the block is left, or undone as a whole. The server answers after that."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "platform.sqlite")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(SCHEMA)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        with self._db:
            yield

    def close(self) -> None:
        self._db.close()

    def get(self, serial: str) -> Task | None:
        row = self._db.execute("SELECT body FROM task WHERE serial = ?", (serial,)).fetchone()
        return None if row is None else task_from(row[0])

    def put(self, task: Task) -> None:
        values = (task.serial, task.state, task.due_at.isoformat(), as_row(task))
        self._db.execute("INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?)", values)

    def issued(self, number: str) -> Task | None:
        row = self._db.execute(
            "SELECT body FROM task WHERE state = 'issued' AND json_extract(body, '$.number') = ?", (number,)
        ).fetchone()
        return None if row is None else task_from(row[0])

    def due(self, now: datetime) -> list[Task]:
        rows = self._db.execute(
            "SELECT body FROM task WHERE state = 'processing' AND due_at <= ? ORDER BY due_at, serial LIMIT 1000",
            (now.isoformat(),),
        )
        return [task_from(body) for (body,) in rows]

    def next_number(self) -> int:
        (number,) = self._db.execute("UPDATE number SET last = last + 1 RETURNING last").fetchone()
        return int(number)

    def form(self, number: str) -> Form | None:
        row = self._db.execute("SELECT body FROM form WHERE number = ?", (number,)).fetchone()
        return None if row is None else form_from(row[0])

    def put_form(self, form: Form) -> None:
        values = (form.number, form.blue_number, form.then, form.due_at.isoformat(), as_row(form))
        self._db.execute("INSERT OR REPLACE INTO form VALUES (?, ?, ?, ?, ?)", values)

    def forms_over(self, blue_number: str) -> list[Form]:
        rows = self._db.execute("SELECT body FROM form WHERE blue_number = ? ORDER BY number", (blue_number,))
        return [form_from(body) for (body,) in rows]

    def due_forms(self, now: datetime) -> list[Form]:
        rows = self._db.execute(
            "SELECT body FROM form WHERE will <> '' AND due_at <= ? ORDER BY due_at, number LIMIT 1000",
            (now.isoformat(),),
        )
        return [form_from(body) for (body,) in rows]

    def next_form(self) -> int:
        (number,) = self._db.execute("UPDATE form_number SET last = last + 1 RETURNING last").fetchone()
        return int(number)

    def quota(self, tax_id: str, month: str) -> Quota:
        row = self._db.execute("SELECT body FROM quota WHERE tax_id = ? AND month = ?", (tax_id, month)).fetchone()
        return Quota() if row is None else Quota(**json.loads(row[0]))

    def put_quota(self, tax_id: str, month: str, quota: Quota) -> None:
        self._db.execute("INSERT OR REPLACE INTO quota VALUES (?, ?, ?)", (tax_id, month, json.dumps(asdict(quota))))

    def log(self, row: dict[str, Any]) -> None:
        self._db.execute("INSERT INTO log (body) VALUES (?)", (json.dumps(row, ensure_ascii=False),))

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(body) for (body,) in self._db.execute("SELECT body FROM log ORDER BY row_id")]
