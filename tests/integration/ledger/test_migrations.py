"""What an older version left behind is read, worked off and booked by this one."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from services.ledger.app import MIGRATIONS
from shared.contracts.ledger import BalanceReserved, ReservationReleased
from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.roles import roles_of
from tests.integration.ledger.books import MARCH_20, Ledger, few_at_once
from tests.integration.ledger.checking import holds
from tests.support.databases import Databases
from tests.support.examples import an_order

pytestmark = pytest.mark.database

OLD_NAMES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname ~ '^(reservation_item|remainder|booking($|_id|_[0-9]))'
    UNION ALL SELECT conname FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conname ~ '^(reservation_item|remainder|promise_remainder|booking_(?!task))'
"""
SMALL = (
    """{"account_id": 1, "request_id": 1, "reservation_id": 900, "total_fen": 100, "groups": [{"group_no": 1, "account_id": 1,"""
    """ "subject": "ALIYUN_SERVICE", "content": "ALIYUN/soft", "tax_percent": 6, "cycle": "202603", "count": 1, "amount_fen": 100,"""
    """ "oldest_at": "2026-03-10T00:00:00Z"}]}"""
)


async def until(dsn: str, last: str, folder: Path) -> None:
    """The database as the version with this last migration had it."""
    for file in sorted(MIGRATIONS.glob("*.sql")):
        if file.name[:3] <= last:
            shutil.copy(file, folder)
    await migrations.migrate(dsn, folder, datetime.now(UTC))


async def test_large_reservations_in_work_and_answered_ones_go_on_after_the_tables_were_renamed(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_once(monkeypatch)
    dsn = databases._dsn("ledger_of_before")
    await until(dsn, "011", tmp_path)
    roles = roles_of(dsn.rpartition("/")[2])
    ledger = Ledger(await Database.open(dsn, roles, 8))
    await ledger.bill(*(an_order(f"O{number}", 100) for number in range(6)))
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        """
        INSERT INTO allocation (account_id, request_id, reservation_id, ask, arrived_at)
        VALUES (1, 2, nextval('reservation_id'), '{"account_id": 1, "request_id": 2, "accounts": [1], "amount_fen": 450}', now())
        """
    )
    for request, place in ((1, 0), (3, 1_000_000)):
        await owner.execute(
            """
            WITH taken AS (
                UPDATE item SET invoiceable_fen = 50, reserved_fen = 50 WHERE number = 'O' || $1::int RETURNING item_id
            ), moved AS (
                INSERT INTO move (account_id, item_id, from_bucket, to_bucket, amount_fen, cause, at)
                SELECT 1, item_id, 'invoiceable', 'reserved', 50, 'request ' || $1::int, now() FROM taken
            ), summed AS (
                UPDATE balance_sum SET positive_fen = positive_fen - 50, reserved_fen = reserved_fen + 50
            ), answered AS (
                INSERT INTO reservation VALUES (1, $1::int, 900 + $1::int, 'BalanceReserved', $2, now())
            )
            INSERT INTO reservation_item SELECT 1, 900 + $1::int, 1, item_id, 1, $3, 50 FROM taken
            """,
            request,
            SMALL,
            place,
        )
    await migrations.migrate(dsn, MIGRATIONS, datetime.now(UTC))
    assert [row[0] for row in await owner.fetch(OLD_NAMES)] == []
    large = await owner.fetch("SELECT request_id, large, answer IS NULL FROM reservation ORDER BY request_id")
    assert [tuple(row) for row in large] == [(1, False, False), (2, True, True), (3, True, False)]
    await owner.close()
    (answer,) = await ledger.allocated()
    assert isinstance(answer, BalanceReserved)
    assert (answer.request_id, answer.total_fen) == (2, 450)
    said = [*await ledger.released(request_id=1), *await ledger.released(request_id=3), *await ledger.booked()]
    assert [(one.request_id, one.released_fen) for one in said if isinstance(one, ReservationReleased)] == [
        (1, 50),
        (3, 50),
    ]
    assert (await ledger.balance(MARCH_20)) is not None
    await holds(ledger.database)
    await ledger.database.close()
    await databases.drop(dsn)
