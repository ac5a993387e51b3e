"""What people look at: requests, invoices and their files. Every statement has the account in it."""

from asyncpg import Connection, Record

PAGE_MAX = 200

REQUEST = """request_id, method, kind, numbers, cycles, products, members, consolidate, one_invoice_per_month, subject, amount_fen, remark,
    status, cancel_wished, reason, detail,
    created_at, closed_at"""
FILES = """coalesce((SELECT json_agg(json_build_object('name', d.name, 'media_type', d.media_type, 'size', d.size, 'sha256', d.sha256)
        ORDER BY d.name) FROM document d
    WHERE d.account_id = p.account_id AND d.part_id = p.part_id AND starts_with(d.name, {number})), '[]') AS files"""
LIVE_CREDIT = "FROM credit_note c WHERE c.account_id = p.account_id AND c.part_id = p.part_id AND c.status <> 'failed'"
INVOICE = f"""coalesce((
        SELECT CASE c.status WHEN 'issued' THEN 'credited' WHEN 'quarantined' THEN 'quarantined' ELSE 'crediting' END {LIVE_CREDIT}
    ), p.status) AS status,
    (SELECT c.number {LIVE_CREDIT}) AS red_number, p.part_id, p.request_id, p.part_no, p.subject, p.legal_entity, p.content,
    p.tax_percent, p.kind, p.gross_fen, p.net_fen, p.tax_fen, p.members, p.cycles, p.serial, p.number, p.issued_at, p.specimen,
    p.reason, p.text, p.tries,
    {FILES.format(number="p.number")}"""


CREDIT_NOTE = f"""c.credit_note_id, p.number, c.part_id, p.request_id, p.subject, p.legal_entity, p.tax_percent, p.kind,
    -p.gross_fen AS gross_fen, -p.net_fen AS net_fen, -p.tax_fen AS tax_fen, c.red_reason AS reason, c.remark, c.recorded, c.status,
    c.form_number AS red_form_number, c.form_state AS red_form_state, c.number AS red_number, c.issued_at AS credited_at, c.specimen,
    c.reason AS failure, c.text, c.created_at, c.ended_at, {FILES.format(number="c.number")}"""


async def credit_note(db: Connection, account_id: int, credit_note_id: int) -> Record | None:
    return await db.fetchrow(
        f"""
        SELECT {CREDIT_NOTE} FROM credit_note c JOIN part p USING (account_id, part_id)
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
        SELECT {CREDIT_NOTE} FROM credit_note c JOIN part p USING (account_id, part_id)
        WHERE c.account_id = $1 AND c.credit_note_id < $2 ORDER BY c.credit_note_id DESC LIMIT $3
        """,
        account_id,
        before,
        limit,
    )


async def request(db: Connection, account_id: int, request_id: int) -> Record | None:
    return await db.fetchrow(
        f"SELECT {REQUEST} FROM request WHERE account_id = $1 AND request_id = $2", account_id, request_id
    )


async def answered_request(db: Connection, account_id: int, request_id: int) -> Record | None:
    """The request, once the ledger has spoken."""
    return await db.fetchrow(
        f"SELECT {REQUEST} FROM request WHERE account_id = $1 AND request_id = $2 AND status <> 'reserving'",
        account_id,
        request_id,
    )


async def requests_before(db: Connection, account_id: int, before: int, limit: int) -> list[Record]:
    return await db.fetch(
        f"SELECT {REQUEST} FROM request WHERE account_id = $1 AND request_id < $2 ORDER BY request_id DESC LIMIT $3",
        account_id,
        before,
        limit,
    )


async def parts_of_request(db: Connection, account_id: int, request_id: int) -> list[Record]:
    return await db.fetch(
        f"SELECT {INVOICE} FROM part p WHERE p.account_id = $1 AND p.request_id = $2 ORDER BY p.part_no",
        account_id,
        request_id,
    )


async def invoices_before(db: Connection, account_id: int, before: int, limit: int) -> list[Record]:
    return await db.fetch(
        f"""
        SELECT {INVOICE} FROM part p WHERE p.account_id = $1 AND p.part_id < $2 AND p.number IS NOT NULL
        ORDER BY p.part_id DESC LIMIT $3
        """,
        account_id,
        before,
        limit,
    )


async def invoice(db: Connection, account_id: int, number: str) -> Record | None:
    return await db.fetchrow(
        f"""
        SELECT {INVOICE} FROM issued_number n JOIN part p USING (account_id, part_id)
        WHERE n.number = $2 AND n.account_id = $1 AND p.number = n.number
        """,
        account_id,
        number,
    )


async def file(db: Connection, account_id: int, number: str, name: str) -> Record | None:
    return await db.fetchrow(
        """
        SELECT d.name, d.media_type, d.object_key, d.sha256 FROM issued_number n JOIN document d USING (account_id, part_id)
        WHERE n.number = $2 AND n.account_id = $1 AND d.name = $3
        """,
        account_id,
        number,
        name,
    )
