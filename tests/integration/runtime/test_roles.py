"""What the working and the serving role may not do, in every service's database, whatever a statement says."""

from datetime import UTC, datetime

import asyncpg
import pytest

from services.gateway.app import MIGRATIONS as GATEWAY
from services.invoicing.app import MIGRATIONS as INVOICING
from services.ledger.app import MIGRATIONS as LEDGER
from services.notification.app import MIGRATIONS as NOTIFICATION
from services.title.app import MIGRATIONS as TITLE
from shared.runtime import migrations
from shared.runtime.database import Database
from shared.runtime.roles import roles_of
from tests.conftest import OpenDatabase
from tests.support.databases import Databases

pytestmark = pytest.mark.database

FOLDERS = {
    "title": TITLE,
    "ledger": LEDGER,
    "invoicing": INVOICING,
    "notification": NOTIFICATION,
    "gateway": GATEWAY,
}
GROWING = [(name, table) for name, folder in FOLDERS.items()
    for table in migrations.append_only(migrations.files_of(folder))]  # fmt: skip
ACCOUNT_TABLES = """
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""


async def denied(database: Database, statement: str, account_id: int | None = None) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(account_id=account_id) as db:
            await db.execute(statement)


async def add_recipients(database: Database, *accounts: int) -> None:
    async with database.transaction() as db:
        for account in accounts:
            await db.execute("INSERT INTO recipient VALUES ($1, 1, 'k')", account)


@pytest.mark.parametrize(("service", "table"), sorted(set(GROWING)))
@pytest.mark.parametrize("account_id", [None, 1], ids=["work", "serve"])
async def test_what_only_grows_can_be_neither_changed_nor_emptied(
    service: str, table: str, account_id: int | None, open_database: OpenDatabase
) -> None:
    database = await open_database(FOLDERS[service])
    async with database.read() as db:
        partitions = await db.fetch("SELECT relid::regclass::text AS name FROM pg_partition_tree($1::regclass)", table)
        (column,) = await db.fetchrow(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 1", table
        ) or ("",)
    for name in [row["name"] for row in partitions] or [table]:
        await denied(database, f"DELETE FROM {name}", account_id)
        await denied(database, f"UPDATE {name} SET {column} = {column}", account_id)
        await denied(database, f"TRUNCATE {name}", account_id)


@pytest.mark.parametrize("service", FOLDERS)
async def test_every_table_of_account_data_shows_one_account_only(service: str, open_database: OpenDatabase) -> None:
    database = await open_database(FOLDERS[service])
    async with database.read() as db:
        tables = {row["relname"] for row in await db.fetch(ACCOUNT_TABLES)}
        guarded = await db.fetch("SELECT tablename FROM pg_policies WHERE policyname = 'serve'")
        partitions = {row["relname"] for row in await db.fetch("SELECT relname FROM pg_class WHERE relispartition")}
    assert {row["tablename"] for row in guarded} == tables - partitions
    for table in tables & partitions:
        await denied(database, f"SELECT FROM {table}", account_id=1)


@pytest.mark.parametrize("service", FOLDERS)
async def test_neither_role_changes_tables(service: str, open_database: OpenDatabase) -> None:
    database = await open_database(FOLDERS[service])
    for account_id in (None, 1):
        await denied(database, "CREATE TABLE mine (n int)", account_id)
        await denied(database, "ALTER TABLE runtime.outbox ADD COLUMN n int", account_id)
        await denied(database, "CREATE ROLE me", account_id)


@pytest.fixture
async def two_accounts(open_database: OpenDatabase) -> Database:
    database = await open_database(NOTIFICATION)
    await add_recipients(database, 1, 2)
    return database


async def test_on_behalf_of_an_account_another_ones_rows_do_not_exist(two_accounts: Database) -> None:
    for account_id, seen in ((1, [1]), (2, [2]), (3, []), (None, [1, 2])):
        async with two_accounts.read(account_id) as db:
            rows = await db.fetch("SELECT account_id FROM recipient ORDER BY 1")
        assert [row["account_id"] for row in rows] == seen


async def test_nor_can_they_be_written(two_accounts: Database) -> None:
    await denied(two_accounts, "INSERT INTO recipient VALUES (3, 1, 'k')", account_id=1)
    await denied(two_accounts, "UPDATE recipient SET account_id = 3", account_id=1)
    async with two_accounts.transaction(account_id=1) as db:
        assert await db.execute("UPDATE recipient SET mailbox = 'mine'") == "UPDATE 1"
    async with two_accounts.read() as db:
        assert await db.fetchval("SELECT mailbox FROM recipient WHERE account_id = 2") == "k"


async def test_a_connection_forgets_whom_it_served(two_accounts: Database) -> None:
    async with two_accounts.read(1) as db:
        pid = await db.fetchval("SELECT pg_backend_pid()")
    for _ in range(20):
        async with two_accounts.read() as db:
            count, same = await db.fetchrow("SELECT count(*), pg_backend_pid() FROM recipient") or (0, 0)
            assert count == 2
            if same == pid:
                return
    raise AssertionError("the pool never gave the same connection again")


async def test_migrating_again_leaves_the_policies_as_they_are(databases: Databases) -> None:
    dsn, _ = await databases.dsn(NOTIFICATION)
    now = datetime.now(UTC)
    for _ in range(2):
        assert await migrations.migrate(dsn, NOTIFICATION, now) == []
    database = await Database.open(dsn, roles_of(dsn.rpartition("/")[2]))
    await add_recipients(database, 1, 2)
    async with database.read(1) as db:
        assert await db.fetchval("SELECT count(*) FROM recipient") == 1
    await database.close()
    await databases.drop(dsn)
