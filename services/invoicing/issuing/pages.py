"""What people look at: parts as invoices. Every statement has the account in it. A credit note that lives shows in the status."""

from asyncpg import Connection, Record

from services.invoicing.invoice_files.store import files

PAGE_MAX = 200

LIVE_CREDIT_NOTE = (
    "FROM credit_note c WHERE c.account_id = p.account_id AND c.part_id = p.part_id AND c.status <> 'failed'"
)
SHOWN = f"""coalesce((
        SELECT CASE c.status WHEN 'issued' THEN 'credited' WHEN 'quarantined' THEN 'quarantined' ELSE 'crediting' END {LIVE_CREDIT_NOTE}
    ), p.status) AS status,
    (SELECT c.number {LIVE_CREDIT_NOTE}) AS red_number, p.part_id, p.request_id, p.part_no, p.subject, p.legal_entity, p.content,
    p.tax_percent, p.kind, p.gross_fen, p.net_fen, p.tax_fen, p.members, p.cycles, p.serial, p.number, p.issued_at, p.specimen,
    p.reason, p.text, p.tries,
    {files("p.number")}"""


async def parts_of_request(db: Connection, account_id: int, request_id: int) -> list[Record]:
    return await db.fetch(
        f"SELECT {SHOWN} FROM part p WHERE p.account_id = $1 AND p.request_id = $2 ORDER BY p.part_no",
        account_id,
        request_id,
    )


async def invoices_before(db: Connection, account_id: int, before: int, limit: int) -> list[Record]:
    return await db.fetch(
        f"""
        SELECT {SHOWN} FROM part p WHERE p.account_id = $1 AND p.part_id < $2 AND p.number IS NOT NULL
        ORDER BY p.part_id DESC LIMIT $3
        """,
        account_id,
        before,
        limit,
    )


async def invoice(db: Connection, account_id: int, number: str) -> Record | None:
    return await db.fetchrow(
        f"""
        SELECT {SHOWN} FROM issued_number n JOIN part p USING (account_id, part_id)
        WHERE n.number = $2 AND n.account_id = $1 AND p.number = n.number
        """,
        account_id,
        number,
    )
