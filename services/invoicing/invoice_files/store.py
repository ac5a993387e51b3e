"""Statements about the files of issued invoices: a row that is due, a lease, and what was stored."""

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Connection, Record

from services.invoicing.invoice_files.rules import FilesDelayed, FilesMade, InvoiceFileJob, NewInvoiceFileJob
from services.invoicing.submissions.rules import LEASE_SECONDS
from shared.runtime.leases import Leased

JOBS = Leased("invoice_file_job", ("account_id", "part_id", "credit_note_id"), "t.status = 'due'", LEASE_SECONDS)


def files(number: str) -> str:
    """The column `files` of an invoice, blue or red, of the part `p`."""
    return f"""coalesce((
        SELECT json_agg(json_build_object('name', f.name, 'media_type', f.media_type, 'size', f.size, 'sha256', f.sha256) ORDER BY f.name)
        FROM invoice_file f WHERE f.account_id = p.account_id AND f.part_id = p.part_id AND starts_with(f.name, {number})
    ), '[]') AS files"""


async def add(db: Connection, jobs: Sequence[NewInvoiceFileJob]) -> None:
    await db.execute(
        """
        INSERT INTO invoice_file_job (account_id, part_id, credit_note_id, due_at, traceparent, status)
        SELECT j.*, 'due' FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::text[]) AS j
        ON CONFLICT (account_id, part_id, credit_note_id) DO NOTHING
        """,
        [job.account_id for job in jobs],
        [job.part_id for job in jobs],
        [job.credit_note_id for job in jobs],
        [job.due_at for job in jobs],
        [job.traceparent for job in jobs],
    )


async def claim_due(db: Connection, at: datetime, _: datetime) -> InvoiceFileJob | None:
    """An issued part or credit note whose files are to be made, with all that is printed. A red line is called what its blue one was."""
    row = await db.fetchrow(
        f"""
        WITH {JOBS.claim("$1::timestamptz")}
        SELECT c.account_id, c.part_id, c.credit_note_id, c.epoch, c.tries, c.traceparent,
            p.request_id, p.legal_entity, p.tax_percent, p.kind, p.gross_fen, p.net_fen, p.tax_fen, p.lines,
            coalesce(n.serial, p.serial) AS serial, coalesce(n.number, p.number) AS number, coalesce(n.issued_at, p.issued_at) AS issued_at,
            coalesce(n.specimen, p.specimen) AS specimen, coalesce(n.qr, p.qr) AS qr, coalesce(n.remark, r.remark) AS remark,
            coalesce(n.created_at, r.created_at) AS requested_at, p.issued_at AS named_at, p.number AS blue_number, n.form_number,
            r.title
        FROM claimed c JOIN part p USING (account_id, part_id) JOIN request r USING (account_id, request_id)
            LEFT JOIN credit_note n USING (account_id, credit_note_id)
        """,
        at,
    )
    if row is None:
        return None
    values = dict(row) | {"lines": tuple(json.loads(row["lines"])), "title": json.loads(row["title"]), "claimed_at": at}
    return InvoiceFileJob(**values)


async def keep(db: Connection, job: InvoiceFileJob, made: FilesMade) -> bool:
    """Whether that is news: not from a holder whose lease went to another."""
    kept = await db.fetchval(
        """
        WITH kept AS (
            UPDATE invoice_file_job SET status = 'stored', lease_until = NULL
            WHERE account_id = $1 AND part_id = $2 AND credit_note_id = $3 AND status = 'due' AND epoch = $4 RETURNING true
        ), stored AS (
            INSERT INTO invoice_file (account_id, part_id, name, media_type, object_key, size, sha256)
            SELECT $1, $2, f.* FROM kept, unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[]) AS f
        )
        SELECT EXISTS (SELECT FROM kept)
        """,
        job.account_id,
        job.part_id,
        job.credit_note_id,
        job.epoch,
        [file.name for file in made.files],
        [file.media_type for file in made.files],
        [file.object_key for file in made.files],
        [file.size for file in made.files],
        [file.sha256 for file in made.files],
    )
    return kept is True


async def delay(db: Connection, job: InvoiceFileJob, delayed: FilesDelayed) -> None:
    await db.execute(
        """
        UPDATE invoice_file_job SET due_at = $5, lease_until = NULL
        WHERE account_id = $1 AND part_id = $2 AND credit_note_id = $3 AND status = 'due' AND epoch = $4
        """,
        job.account_id,
        job.part_id,
        job.credit_note_id,
        job.epoch,
        delayed.due_at,
    )


async def give_up(db: Connection, job: InvoiceFileJob) -> None:
    await db.execute(
        """
        UPDATE invoice_file_job SET status = 'erased', lease_until = NULL
        WHERE account_id = $1 AND part_id = $2 AND credit_note_id = $3 AND status = 'due' AND epoch = $4
        """,
        job.account_id,
        job.part_id,
        job.credit_note_id,
        job.epoch,
    )


async def file(db: Connection, account_id: int, number: str, name: str) -> Record | None:
    return await db.fetchrow(
        """
        SELECT f.name, f.media_type, f.object_key, f.sha256 FROM issued_number n JOIN invoice_file f USING (account_id, part_id)
        WHERE n.number = $2 AND n.account_id = $1 AND f.name = $3
        """,
        account_id,
        number,
        name,
    )
