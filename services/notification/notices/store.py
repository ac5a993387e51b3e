"""Every statement about notices: what is to be told, and what became of it."""

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.notification.notices.rules import LEASE_SECONDS, DeliveryOutcome, DueNotice, NewNotice, Notice
from shared.contracts.invoicing import InvoiceFile
from shared.runtime.leases import Leased

PAGE_MAX = 200
NOTICES = Leased("notice", ("account_id", "notice_id"), "t.channel = $2 AND t.status = 'pending'", LEASE_SECONDS)
NOTICE = "account_id, notice_id, channel, kind, request_id, status, reason"
ADDRESS = {"mail": "mailbox", "sms": "mobile"}
"""Where a channel finds a recipient: a column of `recipient`."""


async def add(db: Connection, notices: Sequence[NewNotice]) -> list[Notice]:
    """Those that were not there yet."""
    rows = await db.fetch(
        f"""
        INSERT INTO notice (account_id, request_id, part_id, credit_note_id, kind, channel, subject, text, files, status,
            created_at, ended_at)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::jsonb[], $10::text[], $11::timestamptz[], $12::timestamptz[])
        ON CONFLICT (account_id, request_id, part_id, credit_note_id, kind, channel) DO NOTHING
        RETURNING {NOTICE}
        """,
        [one.account_id for one in notices],
        [one.request_id for one in notices],
        [one.part_id for one in notices],
        [one.credit_note_id for one in notices],
        [one.kind for one in notices],
        [one.channel for one in notices],
        [one.subject for one in notices],
        [one.text for one in notices],
        [json.dumps([file.model_dump() for file in one.files]) for one in notices],
        [one.status for one in notices],
        [one.created_at for one in notices],
        [one.ended_at for one in notices],
    )
    return [Notice(**row) for row in rows]


async def claim_due(db: Connection, at: datetime, _: datetime, *, channel: str) -> DueNotice | None:
    row = await db.fetchrow(
        f"""
        WITH {NOTICES.claim()}
        SELECT c.account_id, c.notice_id, c.request_id, c.kind, c.channel, c.subject, c.text, c.files, c.tries, c.epoch, c.due_at,
            c.traceparent, r.{ADDRESS[channel]} AS address
        FROM claimed c LEFT JOIN recipient r USING (account_id)
        """,
        at,
        channel,
    )
    if row is None:
        return None
    files = tuple(InvoiceFile(**file) for file in json.loads(row["files"]))
    return DueNotice(**dict(row) | {"files": files, "claimed_at": at})


async def record(db: Connection, due: DueNotice, outcome: DeliveryOutcome) -> list[Notice]:
    """The notice as it is now; none for a holder whose lease went to another."""
    rows = await db.fetch(
        f"""
        UPDATE notice SET status = $4, reason = $5, due_at = $6, ended_at = $7, lease_until = NULL
        WHERE account_id = $1 AND notice_id = $2 AND epoch = $3 AND status = 'pending' RETURNING {NOTICE}
        """,
        due.account_id,
        due.notice_id,
        due.epoch,
        outcome.status,
        outcome.reason,
        outcome.due_at,
        outcome.ended_at,
    )
    return [Notice(**row) for row in rows]


async def drop_words(db: Connection, account_id: int) -> None:
    """Of a tax platform, which may have quoted the buyer."""
    await db.execute(
        "UPDATE notice SET text = subject WHERE account_id = $1 AND kind IN ('invoice_failed', 'credit_note_failed')",
        account_id,
    )


async def page(db: Connection, account_id: int, before: int, limit: int) -> list[Record]:
    """Newest first."""
    return await db.fetch(
        """
        SELECT notice_id, kind, channel, request_id, part_id, subject, text, status, reason, created_at, ended_at
        FROM notice WHERE account_id = $1 AND notice_id < $2 ORDER BY notice_id DESC LIMIT $3
        """,
        account_id,
        before,
        limit,
    )
