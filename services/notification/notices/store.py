"""Every statement about notices: what is to be told, and what became of it."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from asyncpg import Connection, Record

from services.notification.notices.rules import LEASE_SECONDS, Change, Due, Ended, New
from shared.contracts.invoicing import InvoiceFile

PAGE_MAX = 200
ENDED = "account_id, notification_id, channel, kind, request_id, reason"


async def add(db: Connection, news: Sequence[New], now: datetime) -> list[Ended]:
    """What is new among these. A message to the inbox is sent by being stored: those are returned."""
    rows = await db.fetch(
        f"""
        WITH fresh AS (
            INSERT INTO notification (account_id, request_id, part_id, kind, channel, subject, text, files, credit_note_id,
                status, created_at, ended_at)
            SELECT n.*, CASE WHEN n.channel = 'inbox' THEN 'sent' ELSE 'pending' END, $10::timestamptz,
                CASE WHEN n.channel = 'inbox' THEN $10::timestamptz END
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
                $9::bigint[]) AS n (account_id, request_id, part_id, kind, channel, subject, text, files, credit_note_id)
            ON CONFLICT (account_id, request_id, part_id, credit_note_id, kind, channel) DO NOTHING
            RETURNING {ENDED}, status
        )
        SELECT {ENDED} FROM fresh WHERE status = 'sent' ORDER BY notification_id
        """,
        [new.account_id for new in news],
        [new.request_id for new in news],
        [new.part_id for new in news],
        [new.kind for new in news],
        [new.channel for new in news],
        [new.subject for new in news],
        [new.text for new in news],
        [json.dumps([file.model_dump() for file in new.files]) for new in news],
        [new.credit_note_id for new in news],
        now,
    )
    return [Ended(**row) for row in rows]


async def claim_due(db: Connection, at: datetime, _: datetime, *, channel: str) -> Due | None:
    row = await db.fetchrow(
        """
        WITH due AS (
            SELECT account_id, notification_id FROM notification
            WHERE channel = $3 AND status = 'pending' AND due_at <= $1 AND (lease_until IS NULL OR lease_until < $1)
            ORDER BY due_at, account_id, notification_id LIMIT 1 FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE notification n SET tries = n.tries + 1, epoch = n.epoch + 1, lease_until = $2
            FROM due WHERE n.account_id = due.account_id AND n.notification_id = due.notification_id RETURNING n.*
        )
        SELECT c.account_id, c.notification_id, c.request_id, c.kind, c.channel, c.subject, c.text, c.files, c.tries, c.epoch,
            c.traceparent, CASE c.channel WHEN 'mail' THEN r.mailbox ELSE r.mobile END AS address, k.wrapped_key
        FROM claimed c LEFT JOIN recipient r USING (account_id) LEFT JOIN sealing_key k USING (account_id)
        """,
        at,
        at + timedelta(seconds=LEASE_SECONDS),
        channel,
    )
    if row is None:
        return None
    files = tuple(InvoiceFile(**file) for file in json.loads(row["files"]))
    return Due(**dict(row) | {"files": files, "claimed_at": at})


async def change(db: Connection, due: Due, made: Change, now: datetime) -> list[Ended]:
    """The notification if it has come to an end; nothing for a holder whose lease went to another."""
    rows = await db.fetch(
        f"""
        UPDATE notification SET status = $4::text, reason = $5, due_at = coalesce($6, due_at), lease_until = NULL,
            ended_at = CASE WHEN $4::text <> 'pending' THEN $7::timestamptz END
        WHERE account_id = $1 AND notification_id = $2 AND epoch = $3 AND status = 'pending' RETURNING {ENDED}, status
        """,
        due.account_id,
        due.notification_id,
        due.epoch,
        made.status,
        made.reason,
        made.due_at,
        now,
    )
    return [
        Ended(**{name: value for name, value in row.items() if name != "status"})
        for row in rows
        if row["status"] != "pending"
    ]


async def page(db: Connection, account_id: int, before: int, limit: int) -> list[Record]:
    return await db.fetch(
        """
        SELECT notification_id, kind, channel, request_id, part_id, subject, text, status, reason, created_at, ended_at
        FROM notification WHERE account_id = $1 AND notification_id < $2 ORDER BY notification_id DESC LIMIT $3
        """,
        account_id,
        before,
        limit,
    )
