"""What the login of a service can do by itself, and the owner that migrates: no more than they must, in every service's database."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import pytest

from deploy import logins
from deploy.local import postgres
from shared.runtime import migrations
from shared.runtime.database import Database, connect, create_database
from shared.runtime.dsn import database_of, name_of, with_database, with_login
from shared.runtime.retention import Kept, Retention, sweep
from shared.runtime.roles import login_of, owner_of, powers, roles_of
from tests.integration.runtime.test_roles import FOLDERS
from tests.support.servers import PostgresServer, start_postgres

pytestmark = [
    pytest.mark.database,
    pytest.mark.skipif(
        bool(os.environ.get("DATABASE_URL")), reason="takes rights away from PUBLIC on the whole server"
    ),
]
PASSWORDS = {name: {"owner": f"{name} o'wner \\", "login": f"{name} login"} for name in FOLDERS}
BEYOND = [
    "SET ROLE kaipiao",
    "SET ROLE NONE; CREATE TABLE mine (n int)",
    "SET ROLE NONE; CREATE TABLE runtime.mine (n int)",
    "SET ROLE NONE; CREATE SCHEMA mine",
    "SET ROLE NONE; CREATE TEMPORARY TABLE mine (n int)",
    "SET ROLE NONE; CREATE ROLE me",
    "SET ROLE NONE; CREATE DATABASE mine",
    "SET ROLE NONE; COPY (SELECT 1) TO PROGRAM 'true'",
    "SET ROLE NONE; SELECT pg_read_file('PG_VERSION')",
    "SET ROLE NONE; SELECT * FROM runtime.outbox",
    "SET ROLE NONE; SELECT * FROM migration.applied",
    "SET ROLE NONE; ALTER TABLE runtime.outbox DISABLE ROW LEVEL SECURITY",
    "SELECT * FROM migration.applied",
    "SET ROLE NONE; ALTER ROLE CURRENT_USER SUPERUSER",
    "SET ROLE NONE; ALTER ROLE CURRENT_USER BYPASSRLS",
    "SET ROLE pg_read_all_data",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kaipiao'",
]

OLD = {
    "invoicing": (
        """
        INSERT INTO idempotency (account_id, operation, key, digest, made_id, created_at)
        SELECT n, 'request', 'k', '', 1, '2020-01-01' FROM generate_series(1, 3) AS n
        """,
        Kept("idempotency", "created_at", 400),
    ),
    "notification": (
        """
        INSERT INTO notice (account_id, kind, channel, request_id, part_id, subject, text, files, status, created_at)
        SELECT n, 'k', 'inbox', 1, 1, '', '', '[]', 'sent', '2020-01-01' FROM generate_series(1, 3) AS n
        """,
        Kept("notice", "created_at", 400, "t.status <> 'pending'"),
    ),
}


@pytest.fixture(scope="module", params=postgres.sources(), ids=lambda each: f"PostgreSQL {each.major}")
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    started = start_postgres(using=request.param)
    yield started
    started.stop()


@pytest.fixture
async def ready(server: PostgresServer) -> str:
    """A server whose databases were made by the administrator and migrated by their owners; twice, as after a restart."""
    for _ in range(2):
        await logins.make(server.dsn, PASSWORDS)
        for name, folder in FOLDERS.items():
            await migrations.migrate(owners(server.dsn, name), folder, datetime.now(UTC))
    return server.dsn


def database(name: str) -> str:
    return f"kaipiao_{name}"


def owners(url: str, name: str) -> str:
    return with_login(database_of(url, name), owner_of(database(name)), PASSWORDS[name]["owner"])


def the_services(url: str, name: str) -> str:
    return with_login(database_of(url, name), login_of(database(name)), PASSWORDS[name]["login"])


async def test_every_service_migrates_as_its_owner_and_runs_with_its_login(ready: str) -> None:
    for name in FOLDERS:
        opened = await Database.open(the_services(ready, name), roles_of(database(name)), 2)
        async with opened.transaction() as db:
            await db.execute("INSERT INTO runtime.outbox (records) VALUES ('[]')")
            assert await powers(db) == []
        async with opened.transaction(account_id=1) as db:
            await db.execute("INSERT INTO runtime.outbox (records) VALUES ('[]')")
        await opened.close()
        await migrations.tend(owners(ready, name), 60, datetime.now(UTC))


@pytest.mark.parametrize("name", OLD)
async def test_an_owner_deletes_what_is_old_of_all_accounts(ready: str, name: str) -> None:
    statement, kept = OLD[name]
    opened = await Database.open(the_services(ready, name), roles_of(database(name)), 2)
    async with opened.transaction() as db:
        await db.execute(statement)
    owner = await connect(owners(ready, name))
    (*_, swept) = await sweep(owner, Retention(60, 60, 400, [kept]))
    await owner.close()
    async with opened.read() as db:
        assert (swept.rows, await db.fetchval(f"SELECT count(*) FROM {kept.table}")) == (3, 0)
    await opened.close()


@pytest.mark.parametrize("statement", BEYOND)
async def test_a_login_has_no_way_out_of_its_roles(ready: str, statement: str) -> None:
    for name in FOLDERS:
        db = await connect(the_services(ready, name), server_settings={"role": roles_of(database(name)).work})
        *before, beyond = statement.split("; ")
        for one in before:
            await db.execute(one)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute(beyond)
        await db.close()


async def test_nobody_is_let_into_a_database_that_is_not_theirs(ready: str) -> None:
    for name in FOLDERS:
        others = [database(other) for other in FOLDERS if other != name]
        for dsn in (owners(ready, name), the_services(ready, name)):
            for other in (*others, "postgres", "template1", name_of(ready)):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connect(with_database(dsn, other))


async def test_an_owner_is_no_administrator(ready: str) -> None:
    for name in FOLDERS:
        db = await connect(owners(ready, name))
        assert await powers(db) == ["owns the database"]
        for statement in ("CREATE ROLE me", "CREATE DATABASE mine", "COPY (SELECT 1) TO PROGRAM 'true'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute(statement)
        await db.close()


async def test_row_level_security_holds_for_everybody_and_owners_see_all_by_their_policy(ready: str) -> None:
    for name in FOLDERS:
        admin = await connect(database_of(ready, name))
        unforced = await admin.fetch(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
            """
        )
        assert unforced == []
        await admin.close()
    owner = await connect(owners(ready, "notification"))
    await owner.execute("INSERT INTO recipient VALUES (1, 1, 'k'), (2, 1, 'k') ON CONFLICT DO NOTHING")
    assert await owner.fetchval("SELECT count(*) FROM recipient") == 2
    assert await owner.execute("UPDATE recipient SET mailbox = 'k'") == "UPDATE 2"
    await owner.close()
    opened = await Database.open(the_services(ready, "notification"), roles_of(database("notification")), 1)
    async with opened.read(account_id=1) as db:
        assert await db.fetchval("SELECT count(*) FROM recipient") == 1
    await opened.close()


async def test_what_a_superuser_migrated_before_is_handed_over(server: PostgresServer) -> None:
    """As a checkout of an earlier version left it."""
    url = with_database(server.dsn, "older")
    passwords = {"ledger": PASSWORDS["ledger"]}
    dsn = database_of(url, "ledger")
    await create_database(url)
    await migrations.migrate(dsn, FOLDERS["ledger"], datetime.now(UTC))
    await logins.make(url, passwords)
    owner = with_login(dsn, owner_of("older_ledger"), PASSWORDS["ledger"]["owner"])
    assert await migrations.migrate(owner, FOLDERS["ledger"], datetime.now(UTC)) == []
    db = await connect(owner)
    assert {row[0] for row in await db.fetch(OWNERS)} == {"older_ledger_owner"}
    await db.execute("ALTER TABLE item ADD COLUMN one_more integer")
    await db.close()


OWNERS = """
    SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN ('public', 'runtime', 'migration')
    UNION SELECT pg_get_userbyid(proowner) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname IN ('public', 'runtime', 'migration')
"""


async def test_powers_are_named(server: PostgresServer) -> None:
    db = await connect(server.dsn)
    assert {"superuser", "bypassrls", "createrole", "createdb"} <= set(await powers(db))
    await db.close()
