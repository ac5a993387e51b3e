"""Statements about credit notes. One lives for an invoice at most: an index sees to it."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.invoicing.credit_notes.intents import CreditNoteIntent, Invoice, NewCreditNote
from services.invoicing.credit_notes.rules import ClaimedCreditNote, HeldCreditNote
from services.invoicing.invoice_files.store import files
from services.invoicing.submissions import store as submissions
from services.invoicing.submissions.store import SubmissionTable

PAGE_MAX = 200
CREDIT_NOTES = SubmissionTable(
    name="credit_note",
    key="credit_note_id",
    credit_note_id="t.credit_note_id",
    due="t.status IN ('requested', 'form_pending') OR t.recheck",
    askable="""t.status IN ('requested', 'form_pending', 'failed') AND t.credit_note_id = (
        SELECT max(l.credit_note_id) FROM credit_note l WHERE l.account_id = s.account_id AND l.part_id = s.part_id)""",
    loaded="""t.account_id, t.credit_note_id, t.part_id, t.red_reason, t.remark, t.requested_form_number, t.form_number, t.waits_since,
        t.reminded_hours_left, p.request_id, p.reservation_id, p.subject, p.legal_entity, p.content, p.tax_percent, p.kind,
        -p.gross_fen AS gross_fen, -p.net_fen AS net_fen, -p.tax_fen AS tax_fen, p.shares, p.lines, p.number AS blue_number,
        p.issued_at AS blue_issued_at, (
            SELECT e.form_number FROM credit_note e
            WHERE e.account_id = t.account_id AND e.part_id = t.part_id AND e.credit_note_id < t.credit_note_id
                AND e.form_number IS NOT NULL
            ORDER BY e.credit_note_id DESC LIMIT 1) AS earlier_form""",
    joined="JOIN part p USING (account_id, part_id)",
    held="""t.form_number, t.form_state, EXISTS (
        SELECT FROM credit_note l WHERE l.account_id = t.account_id AND l.part_id = t.part_id AND l.credit_note_id > t.credit_note_id
        ) AS succeeded""",
)
"""The last one of an invoice may be asked about again."""
SHOWN = f"""c.credit_note_id, p.number, c.part_id, p.request_id, p.subject, p.legal_entity, p.tax_percent, p.kind,
    -p.gross_fen AS gross_fen, -p.net_fen AS net_fen, -p.tax_fen AS tax_fen, c.red_reason AS reason, c.remark, c.recorded, c.status,
    c.form_number AS red_form_number, c.form_state AS red_form_state, c.number AS red_number, c.issued_at AS credited_at, c.specimen,
    c.reason AS failure, c.text, c.created_at, c.ended_at, {files("c.number")}"""


async def next_id(db: Connection) -> int:
    credit_note_id: int = await db.fetchval("SELECT nextval('credit_note_id')")
    return credit_note_id


async def locked_part_id(db: Connection, intent: CreditNoteIntent) -> int | None:
    """Of the invoice: of two credit notes asked for at once, the second sees the first."""
    part_id: int | None = await db.fetchval(
        "SELECT part_id FROM part WHERE account_id = $1 AND number = $2 FOR UPDATE", intent.account_id, intent.number
    )
    return part_id


async def invoice(db: Connection, account_id: int, part_id: int | None) -> Invoice | None:
    row = await db.fetchrow(
        """
        WITH a AS (SELECT account_id, status, erased_with FROM account WHERE account_id = $1 FOR SHARE)
        SELECT p.part_id, p.request_id, p.kind, p.gross_fen, p.status, c.status AS credit, a.status AS account_status,
            coalesce(a.erased_with > (r.title->>'version')::bigint, false) AS erased
        FROM part p JOIN request r USING (account_id, request_id) LEFT JOIN a USING (account_id)
            LEFT JOIN credit_note c ON c.account_id = p.account_id AND c.part_id = p.part_id AND c.status <> 'failed'
        WHERE p.account_id = $1 AND p.part_id = $2
        """,
        account_id,
        part_id,
    )
    return None if row is None else Invoice(**row)


async def add(db: Connection, new: Sequence[NewCreditNote], now: datetime) -> None:
    """Due at once."""
    await db.executemany(
        """
        WITH numbered AS (
            INSERT INTO platform_serial (serial, account_id, part_id) VALUES ($8, $1, $3) ON CONFLICT (serial) DO NOTHING
        )
        INSERT INTO credit_note (account_id, credit_note_id, part_id, red_reason, remark, recorded, requested_form_number, serial,
            created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        [
            (
                one.intent.account_id,
                one.credit_note_id,
                one.part_id,
                one.intent.reason,
                one.intent.remark,
                one.intent.recorded,
                one.intent.form_number,
                one.serial,
                now,
            )
            for one in new
        ],
    )


async def due_credit_note(db: Connection, at: datetime, now: datetime) -> ClaimedCreditNote | None:
    """As it is found; its `step` is what was to be next."""
    row = await submissions.due(db, CREDIT_NOTES, at)
    return None if row is None else ClaimedCreditNote(**submissions.read(row), claimed_at=at, looked_at=now)


async def held_credit_note(db: Connection, note: ClaimedCreditNote) -> HeldCreditNote:
    """Locked after its invoice."""
    return HeldCreditNote(**await submissions.held(db, CREDIT_NOTES, note))


async def notify_answered(db: Connection, note: ClaimedCreditNote) -> None:
    """Wakes whoever waits for the platform's word on this credit note, on any replica."""
    await db.execute("SELECT pg_notify('credit_answered', $1)", f"{note.account_id}:{note.credit_note_id}")


# what people look at


async def credit_note(db: Connection, account_id: int, credit_note_id: int) -> Record | None:
    return await db.fetchrow(
        f"""
        SELECT {SHOWN} FROM credit_note c JOIN part p USING (account_id, part_id)
        WHERE c.account_id = $1 AND c.credit_note_id = $2
        """,
        account_id,
        credit_note_id,
    )


async def answered_credit_note(db: Connection, account_id: int, credit_note_id: int) -> Record | None:
    """The credit note, once the platform has spoken."""
    row = await credit_note(db, account_id, credit_note_id)
    return None if row is None or row["status"] == "requested" else row


async def credit_notes_before(db: Connection, account_id: int, before: int, limit: int) -> list[Record]:
    return await db.fetch(
        f"""
        SELECT {SHOWN} FROM credit_note c JOIN part p USING (account_id, part_id)
        WHERE c.account_id = $1 AND c.credit_note_id < $2 ORDER BY c.credit_note_id DESC LIMIT $3
        """,
        account_id,
        before,
        limit,
    )
