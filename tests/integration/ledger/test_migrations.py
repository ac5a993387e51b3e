"""What an older version left behind is read, worked off and booked by this one."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.ledger.app import MIGRATIONS
from shared.contracts.ledger import BalanceReserved, ReservationReleased
from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.roles import roles_of
from tests.integration.ledger.checking import holds
from tests.support.databases import Databases
from tests.support.examples import an_order
from tests.support.ledger import Ledger, few_at_once

pytestmark = pytest.mark.database

OLD_NAMES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname ~ '^(reservation_item|remainder|booking($|_id|_[0-9]))'
    UNION ALL SELECT conname FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conname ~ '^(reservation_item|remainder|promise_remainder|booking_(?!task))'
"""


@pytest.fixture
async def old(databases: Databases, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the ledger as it was before its tables were renamed."""
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < "012":
            shutil.copy(file, tmp_path)
    dsn, roles = await databases.dsn(tmp_path)
    database = await Database.open(dsn, roles, 2)
    yield database
    await database.close()
    await databases.drop(dsn)


@asynccontextmanager
async def migrated(old: Database) -> AsyncIterator[Ledger]:
    """The same database today; at the end the books are right."""
    await migrations.migrate(old.dsn, MIGRATIONS, datetime.now(UTC))
    database = await Database.open(old.dsn, roles_of(old.dsn.rpartition("/")[2]), 2)
    yield Ledger(database)
    await holds(database)
    await database.close()


RESERVED_BEFORE = """
    WITH taken AS (
        UPDATE item SET invoiceable_fen = 50, reserved_fen = 50 WHERE number = 'O' || $1::int RETURNING item_id
    ), moved AS (
        INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
        SELECT 1, item_id, 'invoiceable', 'reserved', 50, 'request ' || $1::int, now() FROM taken
    ), summed AS (
        UPDATE balance_sum SET positive_fen = positive_fen - 50, reserved_fen = reserved_fen + 50
    ), answered AS (
        INSERT INTO reservation VALUES (1, $1::int, 900 + $1::int, 'BalanceReserved',
            '{"groups": [{"group_no": 1, "amount_fen": 50}]}', now())
    )
    INSERT INTO reservation_item SELECT 1, 900 + $1::int, 1, item_id, 1, $2, 50 FROM taken
"""
"""Half an order is reserved, as the first item of a small reservation or as one of a large one."""
ASKED_BEFORE = """
    INSERT INTO allocation (account_id, request_id, reservation_id, ask, arrived_at)
    VALUES (1, 2, nextval('reservation_id'), '{"account_id": 1, "request_id": 2, "accounts": [1], "amount_fen": 450}', now())
"""


async def test_large_reservations_in_work_and_answered_ones_go_on_after_the_tables_were_renamed(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    await Ledger(old).bill(*(an_order(f"O{number}", 100) for number in range(6)))
    async with old.transaction() as db:
        await db.execute(RESERVED_BEFORE, 1, 0)
        await db.execute(ASKED_BEFORE)
        await db.execute(RESERVED_BEFORE, 3, 1_000_000)
    async with migrated(old) as ledger:
        async with ledger.database.read() as db:
            assert await db.fetch(OLD_NAMES) == []
            rows = await db.fetch("SELECT request_id, large, answer IS NULL FROM reservation ORDER BY request_id")
        assert [tuple(row) for row in rows] == [(1, False, False), (2, True, True), (3, True, False)]
        (answer,) = await ledger.allocated()
        assert isinstance(answer, BalanceReserved)
        assert (answer.request_id, answer.total_fen) == (2, 450)
        said = [*await ledger.released(request_id=1), *await ledger.released(request_id=3), *await ledger.booked()]
        released = [(one.request_id, one.released_fen) for one in said if isinstance(one, ReservationReleased)]
        assert released == [(1, 50), (3, 50)]
