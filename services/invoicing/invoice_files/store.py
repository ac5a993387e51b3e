"""Statements about the files of issued invoices: a row that is due, a lease, and what was stored."""

import json
from datetime import datetime, timedelta

from asyncpg import Connection

from services.invoicing.invoice_files.rules import DocumentJob, Made
from services.invoicing.issuing.rules import LEASE_SECONDS, Submission


async def add_document_job(db: Connection, of: Submission, credit_note_id: int = 0) -> None:
    await db.execute(
        """
        INSERT INTO document_job (account_id, part_id, credit_note_id, status, due_at, traceparent) VALUES ($1, $2, $3, 'due', $4, $5)
        ON CONFLICT (account_id, part_id, credit_note_id) DO NOTHING
        """,
        of.account_id,
        of.part_id,
        credit_note_id,
        of.claimed_at,
        of.traceparent,
    )


async def claim_due(db: Connection, at: datetime, _: datetime) -> DocumentJob | None:
    """An issued part or credit note whose files are to be made, with all that is printed. A red line is called what its blue one was."""
    row = await db.fetchrow(
        """
        WITH due AS (
            SELECT account_id, part_id, credit_note_id FROM document_job
            WHERE status = 'due' AND due_at <= $1 AND (lease_until IS NULL OR lease_until < $1)
            ORDER BY due_at, account_id, part_id, credit_note_id LIMIT 1 FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE document_job j SET epoch = j.epoch + 1, tries = j.tries + 1, lease_until = $2
            FROM due WHERE j.account_id = due.account_id AND j.part_id = due.part_id AND j.credit_note_id = due.credit_note_id
            RETURNING j.account_id, j.part_id, j.credit_note_id, j.epoch, j.tries, j.traceparent
        )
        SELECT c.*, p.request_id, p.legal_entity, p.tax_percent, p.kind, p.gross_fen, p.net_fen, p.tax_fen, p.lines,
            coalesce(n.serial, p.serial) AS serial, coalesce(n.number, p.number) AS number, coalesce(n.issued_at, p.issued_at) AS issued_at,
            coalesce(n.specimen, p.specimen) AS specimen, coalesce(n.qr, p.qr) AS qr, coalesce(n.remark, r.remark) AS remark,
            coalesce(n.created_at, r.created_at) AS requested_at, p.issued_at AS named_at, p.number AS blue_number, n.form_number,
            r.title, k.wrapped_key
        FROM claimed c JOIN part p USING (account_id, part_id) JOIN request r USING (account_id, request_id)
            LEFT JOIN credit_note n USING (account_id, credit_note_id) LEFT JOIN sealing_key k USING (account_id)
        """,
        at,
        at + timedelta(seconds=LEASE_SECONDS),
    )
    if row is None:
        return None
    values = dict(row) | {"lines": tuple(json.loads(row["lines"])), "title": json.loads(row["title"]), "claimed_at": at}
    return DocumentJob(**values)


async def settle(db: Connection, job: DocumentJob, made: Made) -> bool:
    """Files stored, or the job due again later. Whether the holder's word still counts."""
    settled = await db.fetchval(
        """
        WITH settled AS (
            UPDATE document_job SET status = CASE WHEN $4::timestamptz IS NULL THEN 'stored' ELSE 'due' END,
                due_at = coalesce($4, due_at), lease_until = NULL
            WHERE account_id = $1 AND part_id = $2 AND credit_note_id = $10 AND status = 'due' AND epoch = $3 RETURNING true
        ), stored AS (
            INSERT INTO document (account_id, part_id, name, media_type, object_key, size, sha256)
            SELECT $1, $2, f.* FROM settled, unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[]) AS f
        )
        SELECT EXISTS (SELECT FROM settled)
        """,
        job.account_id,
        job.part_id,
        job.epoch,
        made.due_again_at,
        [file.name for file in made.files],
        [file.media_type for file in made.files],
        [file.object_key for file in made.files],
        [file.size for file in made.files],
        [file.sha256 for file in made.files],
        job.credit_note_id,
    )
    return settled is True
