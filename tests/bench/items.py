"""Accounts full of items, as intake would have left them, made by PostgreSQL itself."""

from datetime import UTC, datetime

import asyncpg

from services.ledger.intake.rules import sort_out
from shared.contracts.billing import Line, OrderPaid
from shared.domain.catalogue import Catalogue
from shared.runtime.database import Database

MILLION, MANY_ACCOUNTS, FEN = 1_000_000, 100_000, 100
BEGINNING = datetime(2024, 12, 31, 16, tzinfo=UTC)
YEAR_SECONDS = 31_000_000
"""Nearly all of the year 2025 in Shanghai: every account's items fill its twelve months."""

ITEMS = """
    INSERT INTO item (account_id, kind, number, line, digest, cycle, subject, content, tax_percent, catalogue_version, item_name,
        occurred_at, arrived_at, opens_at, settled_fen, invoiceable_fen)
    SELECT account_id, 'order', 'P' || lpad(n::text, 9, '0'), 1, decode(md5(n::text), 'hex'), to_char(local, 'YYYYMM'), $5, $6, $7, $8, $9,
        at, at, date_trunc('month', local) AT TIME ZONE 'Asia/Shanghai', $10, $10
    FROM generate_series($1::bigint, $2) AS n, LATERAL (SELECT $3::timestamptz + n % $4 * $11 * interval '1 second' AS at) AS t,
        LATERAL (SELECT at AT TIME ZONE 'Asia/Shanghai' AS local, 1 + n / $4 AS account_id) AS l
"""
SUMS = """
    INSERT INTO balance_sum (account_id, subject, cycle, content, opens_at, settled_fen, refunded_fen, positive_fen, negative_fen,
        reserved_fen, invoiced_fen, offset_fen)
    SELECT account_id, subject, cycle, content, opens_at, sum(settled_fen), 0, sum(invoiceable_fen), 0, 0, 0, 0
    FROM item GROUP BY account_id, subject, cycle, content, opens_at
"""
STEP = 500_000


def seconds_apart(items: int) -> int:
    return YEAR_SECONDS // items


async def fill(database: Database, items: int, accounts: int) -> None:
    """Items of one subject and 100 fen each, as many for each account."""
    each = items // accounts
    line = Line(subject="ALIYUN_SERVICE", item_name="云服务器", cash_fen=FEN)
    order = OrderPaid(account_id=1, number="P", occurred_at=BEGINNING, lines=(line,))
    catalogue = Catalogue.load()
    (like,) = sort_out([order], catalogue).items
    alike = (like.subject, like.content, like.tax_percent, catalogue.version, like.item_name, like.settled_fen)
    owner = await asyncpg.connect(database.dsn, timeout=60)
    for first in range(0, items, STEP):
        last = min(first + STEP, items) - 1
        await owner.execute(ITEMS, first, last, BEGINNING, each, *alike, seconds_apart(each))
    await owner.execute(SUMS)
    await owner.execute(
        "INSERT INTO account_change (account_id, published) SELECT DISTINCT account_id, 1 FROM balance_sum"
    )
    await owner.execute("VACUUM (ANALYZE) item, balance_sum, account_change")
    await owner.close()


async def one_account_of_a_million(database: Database) -> None:
    await fill(database, MILLION, 1)


async def fill_with_ten_millions(database: Database) -> None:
    await fill(database, 10 * MILLION, MANY_ACCOUNTS)


async def one_account_of_a_thousand(database: Database) -> None:
    await fill(database, 1000, 1)


async def a_thousand_accounts(database: Database) -> None:
    """A hundred items each."""
    await fill(database, 100_000, 1000)
