"""Statements about credit notes. One lives for an invoice at most: an index sees to it."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from asyncpg import Connection

from services.invoicing.credit_notes.rules import (
    ISSUED,
    NEXT_STATUS,
    ClaimedCredit,
    CreditAsk,
    CreditChange,
    FirstCredit,
    Invoice,
    NewCredit,
)
from services.invoicing.invoice_files.store import add_document_job
from services.invoicing.issuing.rules import LEASE_SECONDS
from services.invoicing.requests.store import hash_of
from shared.contracts.invoicing import Share
from shared.domain.identifiers import serial_of


async def first_under_key(db: Connection, ask: CreditAsk) -> FirstCredit | None:
    """What was first asked under this idempotency key. A twin in another transaction is waited for."""
    await db.execute(
        "SELECT pg_advisory_xact_lock($1, hashtext('credit note ' || $2))", hash_of(ask.account_id), ask.idempotency_key
    )
    row = await db.fetchrow(
        "SELECT credit_note_id, digest FROM credit_note WHERE account_id = $1 AND idempotency_key = $2",
        ask.account_id,
        ask.idempotency_key,
    )
    return None if row is None else FirstCredit(**row)


async def next_id(db: Connection) -> int:
    credit_note_id: int = await db.fetchval("SELECT nextval('credit_note_id')")
    return credit_note_id


async def invoice(db: Connection, ask: CreditAsk) -> Invoice | None:
    """The invoice, locked: of two credit notes asked for at once, the second sees the first."""
    part_id = await db.fetchval(
        "SELECT part_id FROM part WHERE account_id = $1 AND number = $2 FOR UPDATE", ask.account_id, ask.number
    )
    row = await db.fetchrow(
        """
        SELECT p.part_id, p.request_id, p.kind, p.gross_fen, p.status, c.status AS credit, a.status AS account_status
        FROM part p LEFT JOIN account a USING (account_id)
            LEFT JOIN credit_note c ON c.account_id = p.account_id AND c.part_id = p.part_id AND c.status <> 'failed'
        WHERE p.account_id = $1 AND p.part_id = $2
        """,
        ask.account_id,
        part_id,
    )
    return None if row is None else Invoice(**row)


async def add(db: Connection, new: Sequence[NewCredit], now: datetime) -> None:
    """Due at once, under the serial that is the part's for good."""
    for one in new:
        serial = serial_of(one.part_id, "R", 1)
        await db.execute(
            """
            INSERT INTO credit_note (account_id, credit_note_id, part_id, idempotency_key, digest, red_reason, remark, recorded,
                wanted_form, serial, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            one.ask.account_id,
            one.credit_note_id,
            one.part_id,
            one.ask.idempotency_key,
            one.ask.digest,
            one.ask.reason,
            one.ask.remark,
            one.ask.recorded,
            one.ask.form_number,
            serial,
            now,
        )
        await db.execute(
            "INSERT INTO platform_serial (serial, account_id, part_id) VALUES ($1, $2, $3) ON CONFLICT (serial) DO NOTHING",
            serial,
            one.ask.account_id,
            one.part_id,
        )


async def claim_due(db: Connection, at: datetime, now: datetime) -> ClaimedCredit | None:
    """Take one that is due: lease, epoch, and the attempt row of the call that follows. From here on the next step is a query."""
    row = await db.fetchrow(
        """
        WITH due AS (
            SELECT account_id, credit_note_id, next_step FROM credit_note
            WHERE (status IN ('requested', 'form_pending') OR recheck) AND due_at <= $1 AND (lease_until IS NULL OR lease_until < $1)
            ORDER BY due_at, account_id, credit_note_id LIMIT 1 FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE credit_note c SET next_step = 'query', tries = c.tries + 1, epoch = c.epoch + 1, lease_until = $2
            FROM due WHERE c.account_id = due.account_id AND c.credit_note_id = due.credit_note_id
            RETURNING c.*, due.next_step AS step
        ), tried AS (
            INSERT INTO credit_attempt (account_id, credit_note_id, attempt_no, serial, step, at)
            SELECT account_id, credit_note_id, tries, serial, step, $1 FROM taken
        )
        SELECT c.account_id, c.credit_note_id, c.part_id, c.red_reason, c.remark, c.wanted_form, c.serial, c.step, c.tries, c.unheard,
            c.epoch, c.reason, c.text, c.traceparent, c.form_number,
            c.waits_since, c.hours_told, p.request_id, p.reservation_id, p.subject,
            p.legal_entity, p.content, p.tax_percent, p.kind, -p.gross_fen AS gross_fen, -p.net_fen AS net_fen, -p.tax_fen AS tax_fen,
            p.shares, p.lines, p.number AS blue_number, p.issued_at AS blue_issued_at, (
                SELECT e.form_number FROM credit_note e
                WHERE e.account_id = c.account_id AND e.part_id = c.part_id AND e.credit_note_id < c.credit_note_id
                    AND e.form_number IS NOT NULL
                ORDER BY e.credit_note_id DESC LIMIT 1) AS earlier_form
        FROM taken c JOIN part p USING (account_id, part_id)
        """,
        at,
        at + timedelta(seconds=LEASE_SECONDS),
    )
    if row is None:
        return None
    read = {
        "shares": tuple(Share(**share) for share in json.loads(row["shares"])),
        "lines": tuple(json.loads(row["lines"])),
    }
    return ClaimedCredit(**dict(row) | read, claimed_at=at, looked_at=now)


async def change(db: Connection, credit: ClaimedCredit, made: CreditChange, now: datetime) -> str | None:
    """The new status, or None when nothing changed. A document is a fact, whoever learns of it; all else only from the lease's holder.

    Locks the invoice first, as one that asks does. A credit note that has a successor asks no more: they share the serial.
    """
    await db.execute(
        "SELECT FROM part WHERE account_id = $1 AND part_id = $2 FOR UPDATE", credit.account_id, credit.part_id
    )
    row = await db.fetchrow(
        """
        SELECT c.status, c.epoch, EXISTS (
            SELECT FROM credit_note l WHERE l.account_id = c.account_id AND l.part_id = c.part_id AND l.credit_note_id > c.credit_note_id
        ) AS succeeded FROM credit_note c WHERE c.account_id = $1 AND c.credit_note_id = $2 FOR UPDATE
        """,
        credit.account_id,
        credit.credit_note_id,
    )
    assert row is not None
    if row["epoch"] != credit.epoch and not made.change.fact:
        return None
    status = NEXT_STATUS.get((row["status"], made.change.event))
    if status is None or row["succeeded"]:
        await _rest(db, credit, made, ask_again=not row["succeeded"] and made.change.event in ("unsettled", "form"))
        return None
    await _become(db, credit, made, status, now)
    if made.change.number is not None:
        await db.execute(
            "INSERT INTO issued_number (number, account_id, part_id) VALUES ($1, $2, $3)",
            made.change.number,
            credit.account_id,
            credit.part_id,
        )
    if status == ISSUED:
        await add_document_job(db, credit, credit.credit_note_id)
    return status


async def _become(db: Connection, credit: ClaimedCredit, made: CreditChange, status: str, now: datetime) -> None:
    change, form = made.change, made.form
    await db.execute(
        """
        UPDATE credit_note SET status = $3, next_step = $4, due_at = coalesce($5, due_at), lease_until = NULL, recheck = false,
            form_number = coalesce($6, form_number), form_state = coalesce($7, form_state), waits_since = $8, hours_told = $9,
            number = $10, issued_at = $11, specimen = $12, qr = $13, reason = $14, text = $15, unheard = $16,
            ended_at = CASE WHEN $3 IN ('issued', 'failed', 'quarantined') THEN $17::timestamptz END
        WHERE account_id = $1 AND credit_note_id = $2
        """,
        credit.account_id,
        credit.credit_note_id,
        status,
        change.next_step,
        change.due_at,
        None if form is None else form.number,
        None if form is None else form.state,
        made.waits_since,
        made.hours_told,
        change.number,
        change.issued_at,
        change.specimen,
        change.qr,
        change.reason,
        change.text,
        change.unheard,
        now,
    )


async def _rest(db: Connection, credit: ClaimedCredit, made: CreditChange, *, ask_again: bool) -> None:
    """One that has ended stays as it is; while the platform's answer is open, it is asked again."""
    await db.execute(
        """
        UPDATE credit_note SET recheck = recheck AND $4, due_at = coalesce($5, due_at), lease_until = NULL, unheard = $6
        WHERE account_id = $1 AND credit_note_id = $2 AND epoch = $3
        """,
        credit.account_id,
        credit.credit_note_id,
        credit.epoch,
        ask_again,
        made.change.due_at,
        made.change.unheard,
    )


async def notify_answered(db: Connection, credit: ClaimedCredit) -> None:
    """Wakes whoever waits for the platform's word on this credit note, on any replica."""
    await db.execute("SELECT pg_notify('credit_answered', $1)", f"{credit.account_id}:{credit.credit_note_id}")


async def look_again(db: Connection, serial: str) -> None:
    """The last one under this serial, unless there is a document already: due at once, for a query."""
    await db.execute(
        """
        UPDATE credit_note c SET due_at = 'epoch', next_step = 'query', recheck = c.status = 'failed'
        FROM platform_serial s
        WHERE s.serial = $1 AND c.account_id = s.account_id AND c.part_id = s.part_id AND c.serial = s.serial
            AND c.status IN ('requested', 'form_pending', 'failed') AND c.credit_note_id = (
                SELECT max(l.credit_note_id) FROM credit_note l WHERE l.account_id = s.account_id AND l.part_id = s.part_id)
        """,
        serial,
    )
