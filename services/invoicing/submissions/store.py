"""Statements about whatever is sent to a tax platform. Their tables have the same columns for it; a `SubmissionTable` says the rest."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Connection, Record

from services.invoicing.submissions.rules import LEASE_SECONDS, H, O, Pending, PlatformCall, Submission, Unmoved
from shared.contracts.invoicing import Share
from shared.runtime.leases import Leased

LOADED = "t.serial, t.tries, t.unanswered, t.epoch, t.reason, t.text, t.traceparent, t.next_step AS step"
"""What is loaded of every row `t` that is due."""
OUTCOME = ("next_step", "number", "issued_at", "specimen", "qr", "reason", "text", "unanswered")
"""What of an outcome is written as it is."""
CALLS_KEPT, BETWEEN_CALLS, OLD_CALLS_MAX = "interval '3 hours'", "interval '1 second'", 100
"""How long a call is known, which is longer than a signature can be valid; and how often a row may be called about."""
JSON: Mapping[str, Callable[[Any], object]] = {
    "shares": lambda shares: tuple(Share(**share) for share in shares),
    "lines": tuple,
    "title": dict,
}
"""Columns that hold JSON, and what is made of it."""


@dataclass(frozen=True)
class SubmissionTable:
    """A table whose rows `t` are sent to a tax platform. Columns of the one lifecycle: status, serial, next_step, tries, unanswered,
    epoch, due_at, lease_until, recheck, number, issued_at, specimen, qr, reason, text.

    `due`: which rows may be due, in the words of the table's partial index. `askable`: which the platform may have us ask about again;
    none that has its invoice. `loaded`, `joined`: what its room needs of a row that is due, and where from. `held`: what its room looks
    at, beside status and epoch, when an answer has come. `credit_note_id`: 0 for a part.
    """

    name: str
    key: str
    credit_note_id: str
    due: str
    askable: str
    loaded: str
    joined: str
    held: str

    @property
    def leased(self) -> Leased:
        return Leased(self.name, ("account_id", self.key), self.due, LEASE_SECONDS, also="next_step = 'query'")

    def key_of(self, of: Submission) -> tuple[int, int]:
        return of.account_id, getattr(of, self.key)


async def due(db: Connection, table: SubmissionTable, at: datetime, *more: object) -> Record | None:
    """The next row that is due, locked. `at` is $1; `more` is what `table.due` has beyond."""
    return await db.fetchrow(
        f"WITH due AS ({table.leased.select()}) SELECT {LOADED}, {table.loaded} FROM due t {table.joined}", at, *more
    )


async def take(
    db: Connection, table: SubmissionTable, of: Submission, at: datetime, also: Mapping[str, object] = {}
) -> None:
    """Lease, epoch, and the attempt on record of the call that follows. From here on the next step is a query."""
    await db.execute(
        f"""
        WITH claimed AS (
            UPDATE {table.name} t SET {table.leased.taken("$1::timestamptz")}{_columns(also, 5)}
            WHERE t.account_id = $2 AND t.{table.key} = $3
            RETURNING t.account_id, t.part_id, {table.credit_note_id} AS credit_note_id, t.tries, t.serial
        )
        INSERT INTO attempt (account_id, part_id, credit_note_id, attempt_no, serial, step, at)
        SELECT account_id, part_id, credit_note_id, tries, serial, $4, $1 FROM claimed
        """,
        at,
        *table.key_of(of),
        of.step,
        *also.values(),
    )


async def held(db: Connection, table: SubmissionTable, of: Submission) -> Record:
    """The row as it is now, locked."""
    row = await db.fetchrow(
        f"""
        SELECT t.status, t.epoch, {table.held} FROM {table.name} t WHERE t.account_id = $1 AND t.{table.key} = $2 FOR UPDATE OF t
        """,
        *table.key_of(of),
    )
    assert row is not None
    return row


async def leave(db: Connection, table: SubmissionTable, of: Submission, unmoved: Unmoved) -> None:
    """The lease ends, and nothing else changes but when the platform is asked again, if it is."""
    await db.execute(
        f"""
        UPDATE {table.name} SET recheck = recheck AND $3, due_at = coalesce($4, due_at), lease_until = NULL, unanswered = $5
        WHERE account_id = $1 AND {table.key} = $2
        """,
        *table.key_of(of),
        unmoved.again,
        unmoved.due_at,
        unmoved.unanswered,
    )


async def write(
    db: Connection,
    table: SubmissionTable,
    of: Submission,
    pending: Pending[H, O],
    also: Mapping[str, object],
) -> None:
    """What became of it, with the columns that its room adds; the number of an invoice is taken once for all."""
    outcome = pending.outcome
    columns = {name: getattr(outcome, name) for name in OUTCOME} | dict(also)
    await db.execute(
        f"""
        WITH written AS (
            UPDATE {table.name} SET status = $3, due_at = coalesce($4, due_at), lease_until = NULL, recheck = false{_columns(columns, 5)}
            WHERE account_id = $1 AND {table.key} = $2 RETURNING account_id, part_id, number
        )
        INSERT INTO issued_number (number, account_id, part_id) SELECT number, account_id, part_id FROM written WHERE number IS NOT NULL
        """,
        *table.key_of(of),
        pending.status,
        outcome.due_at,
        *columns.values(),
    )


async def ask_again(db: Connection, table: SubmissionTable, call: PlatformCall, now: datetime) -> None:
    """Due at once, for a query; also one that has ended without an invoice. Unless the call was taken before, or another one just now."""
    await db.execute(
        f"""
        WITH old AS (
            DELETE FROM platform_call WHERE call_id IN (
                SELECT call_id FROM platform_call WHERE called_at < $3::timestamptz - {CALLS_KEPT}
                ORDER BY called_at LIMIT {OLD_CALLS_MAX} FOR UPDATE SKIP LOCKED)
        ), taken AS (
            INSERT INTO platform_call (call_id, called_at) VALUES ($2, $3) ON CONFLICT DO NOTHING RETURNING call_id
        )
        UPDATE {table.name} t
        SET due_at = 'epoch', next_step = 'query', recheck = t.status IN ('failed', 'voided'), called_at = $3
        FROM platform_serial s
        WHERE EXISTS (SELECT FROM taken)
            AND s.serial = $1 AND t.account_id = s.account_id AND t.part_id = s.part_id AND t.serial = s.serial AND ({table.askable})
            AND (t.called_at IS NULL OR t.called_at <= $3 - {BETWEEN_CALLS})
        """,
        call.serial,
        call.call_id,
        now,
    )


def read(row: Record) -> dict[str, Any]:
    """The values of a row, with what is JSON in it read."""
    return dict(row) | {name: make(json.loads(row[name])) for name, make in JSON.items() if name in row}


def _columns(values: Mapping[str, object], first: int) -> str:
    return "".join(f", {name} = ${place}" for place, name in enumerate(values, first))
