"""A database of an earlier version keeps all it has when tables and columns get other names."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.invoicing.app import MIGRATIONS
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.idempotency import store as keys
from shared.runtime import migrations
from tests.integration.invoicing.desk import NOW
from tests.support.databases import Databases

pytestmark = pytest.mark.database

NUMBER = "26332000000000000001"
INTENT = CreditNoteIntent(1, "c1", NUMBER)
DATA = """
    INSERT INTO part (account_id, part_id, request_id, part_no, reservation_id, subject, legal_entity, content, tax_percent, kind,
        gross_fen, net_fen, tax_fen, shares, lines, status, serial, unheard, told_month, number, issued_at)
    VALUES (1, 7, 3, 1, 3, 'S', 'ALIYUN', 'C', 6, 'general', 106, 100, 6, '[]', '[]', 'issued', 'B', 2, '202603', '26332000000000000001',
        now());
    INSERT INTO attempt (account_id, part_id, attempt_no, serial, step, at) VALUES (1, 7, 1, 'B', 'submit', now());
    INSERT INTO document_job (account_id, part_id, status, due_at) VALUES (1, 7, 'stored', now());
    INSERT INTO document (account_id, part_id, name, media_type, object_key, size, sha256)
    VALUES (1, 7, 'a.pdf', 'application/pdf', 'k', 1, repeat('0', 64));
    INSERT INTO credit_attempt (account_id, credit_note_id, attempt_no, serial, step, at)
    VALUES (1, 5, 1, 'R', 'submit', now()), (1, 5, 2, 'R', 'query', now());
"""
CREDIT_NOTE = """
    INSERT INTO credit_note (account_id, credit_note_id, part_id, idempotency_key, digest, red_reason, remark, recorded, wanted_form,
        serial, hours_told, created_at)
    VALUES (1, 5, 7, $1, $2, 'sales_return', '', false, 'F7', 'R', 48, now())
"""
NAMES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


@pytest.fixture
async def db(databases: Databases, tmp_path: Path) -> AsyncIterator[asyncpg.Connection]:
    """With the data of the version before, brought up to date."""
    for file in sorted(MIGRATIONS.glob("*.sql"))[:9]:
        shutil.copy(file, tmp_path)
    dsn, _ = await databases.dsn(tmp_path)
    connection = await asyncpg.connect(dsn)
    await connection.execute(DATA)
    await connection.execute(CREDIT_NOTE, INTENT.idempotency_key, INTENT.key.digest)
    assert await migrations.migrate(dsn, MIGRATIONS, NOW) == [
        file.name for file in sorted(MIGRATIONS.glob("*.sql"))[9:]
    ]
    yield connection
    await connection.close()
    await databases.drop(dsn)


async def test_everything_is_kept_under_its_new_name(db: asyncpg.Connection) -> None:
    assert await db.fetchval("SELECT (unanswered, notified_month) = (2, '202603') FROM part")
    assert await db.fetchval("SELECT (requested_form_number, reminded_hours_left) = ('F7', 48) FROM credit_note")
    assert await db.fetchval("SELECT name FROM invoice_file") == "a.pdf"
    assert await db.fetchval("SELECT status FROM invoice_file_job") == "stored"
    attempts = await db.fetch(
        "SELECT part_id, credit_note_id, attempt_no, step FROM attempt ORDER BY credit_note_id, attempt_no"
    )
    assert [tuple(row) for row in attempts] == [(7, 0, 1, "submit"), (7, 5, 1, "submit"), (7, 5, 2, "query")]


async def test_a_key_that_was_used_before_is_known(db: asyncpg.Connection) -> None:
    first = await keys.first_use(db, INTENT.key)
    assert first is not None
    assert (first.made_id, first.digest) == (5, INTENT.key.digest)


async def test_no_table_partition_index_or_constraint_keeps_an_old_name(db: asyncpg.Connection) -> None:
    names = {row["relname"] for row in await db.fetch(NAMES)}
    assert [name for name in names if name.startswith(("document", "credit_attempt"))] == []
    assert {"invoice_file_0", "invoice_file_job_3", "invoice_file_0_pkey", "invoice_file_sha256_check"} <= names
