"""Deliberately broken variants. Each has to be caught by the invariant named here, on a recorded seed that is clean without it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import Any
from unittest.mock import patch

from asyncpg import Connection

from services.invoicing.credit_notes import rules as credit_notes
from services.invoicing.credit_notes.rules import ClaimedCreditNote, CreditNoteOutcome
from services.invoicing.issuing import claims
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.quotas import store as quotas
from services.invoicing.quotas.rules import QuotaChange
from services.invoicing.submissions import rules as submissions
from services.invoicing.submissions.rules import Outcome
from services.invoicing.tax_platforms.port import Answer, Unknown
from shared.domain.identifiers import serial_of
from shared.runtime import outbox, store
from shared.runtime.envelope import Envelope
from shared.runtime.outbox import Relay
from shared.runtime.transport import Record


async def _enter_inbox(
    db: Connection, consumer: str, envelope: Envelope, record: Record, at: datetime, remembered: bool
) -> bool:
    await _real_enter_inbox(db, consumer, envelope, record, at, remembered)
    return True


_real_enter_inbox = store.enter_inbox
_real_claim = claims.claim_due
_real_count = quotas.count
_real_decide = submissions.decide
_real_decide_credit = credit_notes.decide
_cursors: dict[str, int] = {}


async def _mark_then_send(self: Relay) -> bool:
    if not await self._hold_lease():
        return False
    async with self._database.transaction() as db:
        rows = await db.fetch(
            "UPDATE runtime.outbox SET sent_at = now() WHERE sent_at IS NULL RETURNING outbox_id, records"
        )
    for row in sorted(rows, key=lambda one: one["outbox_id"]):
        await self._transport.send(outbox.outgoing_of(row["records"]))
    return False


async def _follow_cursor(self: Relay) -> bool:
    """Remembers how far it came; a row whose transaction commits late lies behind it for ever."""
    if not await self._hold_lease():
        return False
    cursor = _cursors.get(self._database.dsn, 0)
    async with self._database.transaction() as db:
        rows = await db.fetch(
            "SELECT outbox_id, records FROM runtime.outbox WHERE outbox_id > $1 ORDER BY outbox_id", cursor
        )
        await db.execute(
            "UPDATE runtime.outbox SET sent_at = now() WHERE outbox_id = ANY ($1)", [row["outbox_id"] for row in rows]
        )
    for row in rows:
        await self._transport.send(outbox.outgoing_of(row["records"]))
        _cursors[self._database.dsn] = row["outbox_id"]
    return False


async def _new_serial(db: Connection, at: datetime, now: datetime) -> ClaimedPart | None:
    """Does not ask what became of the first submission: submits again, under a new serial."""
    claimed = await _real_claim(db, at, now)
    if claimed is None or claimed.tries != 2:
        return claimed
    serial = serial_of(claimed.part_id, "B", claimed.tries)
    key = (claimed.account_id, claimed.part_id)
    await db.execute("UPDATE part SET serial = $3 WHERE account_id = $1 AND part_id = $2", *key, serial)
    await db.execute("INSERT INTO platform_serial (serial, account_id, part_id) VALUES ($3, $1, $2)", *key, serial)
    columns = "account_id, part_id, attempt_no, serial, step, at"
    await db.execute(f"INSERT INTO attempt ({columns}) VALUES ($1, $2, 1000, $3, 'submit', $4)", *key, serial, at)
    return replace(claimed, serial=serial, step="submit")


def _timeout_is_failure(part: ClaimedPart, answer: Answer) -> Outcome:
    if isinstance(answer, Unknown):
        return Outcome("failed", reason="TIMEOUT", text=answer.reason)
    return _real_decide(part, answer)


def _red_timeout_is_failure(credit: ClaimedCreditNote, answer: Answer) -> CreditNoteOutcome:
    if isinstance(answer, Unknown):
        return CreditNoteOutcome("failed", reason="TIMEOUT", text=answer.reason)
    return _real_decide_credit(credit, answer)


async def _keep_quota(db: Connection, changes: Sequence[QuotaChange]) -> None:
    """What was held for a part that came to an end is never free again."""
    await _real_count(db, [replace(change, held_net_fen=max(change.held_net_fen, 0)) for change in changes])


class NeverCalledError(AssertionError):
    """Nobody called what stands in for the target: the target has moved, or is bound under another name."""


@dataclass(frozen=True)
class Mutant:
    """`killed_by` is the invariant that notices, on `seed`."""

    target: str
    replacement: Callable[..., Any]
    killed_by: str
    seed: int

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A target that is gone is an `AttributeError`; one that nobody calls any more fails at the end."""
        _cursors.clear()
        calls = 0

        @wraps(self.replacement)
        def counted(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            return self.replacement(*arguments, **options)

        with patch(self.target, counted):
            yield
        if calls == 0:
            raise NeverCalledError(self.target)


MUTANTS = {
    "inbox off": Mutant("shared.runtime.store.enter_inbox", _enter_inbox, "nothing_is_said_twice", 0),
    "mark before publish": Mutant(
        "shared.runtime.outbox.Relay.step", _mark_then_send, "nothing_committed_left_unpublished", 0
    ),
    "new serial on retry": Mutant(
        "services.invoicing.issuing.claims.claim_due", _new_serial, "one_invoice_for_a_part", 1
    ),
    "timeout is failure": Mutant(
        "services.invoicing.issuing.rules.decide", _timeout_is_failure, "no_invoice_for_what_ended_without", 1
    ),
    "red timeout is failure": Mutant(
        "services.invoicing.credit_notes.rules.decide", _red_timeout_is_failure, "red_is_the_negative_of_its_blue", 4
    ),
    "quota kept": Mutant(
        "services.invoicing.quotas.store.count", _keep_quota, "quotas_are_what_parts_hold_and_used", 0
    ),
    "cursor outbox": Mutant(
        "shared.runtime.outbox.Relay.step", _follow_cursor, "nothing_committed_left_unpublished", 1
    ),
}
