"""Who may do what in a service's database. One login, the owner, who migrates; every transaction acts as one of two lesser roles.

work   handlers and workers, for all accounts. Nothing append-only can be changed or deleted.
serve  HTTP on behalf of one account: row-level security shows and takes only rows of the account the transaction names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Connection

LOCK = 0x6B616971  # roles belong to the whole server, and the services of one server migrate at the same time


@dataclass(frozen=True)
class Roles:
    work: str
    serve: str


def roles_of(database: str) -> Roles:
    return Roles(f"{database}_work", f"{database}_serve")


async def grant(db: Connection, append_only: Sequence[str]) -> None:
    """Make the roles and give them their rights; may be repeated. `append_only`: tables, with their schema."""
    roles = roles_of(await db.fetchval("SELECT current_database()"))
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        for role in (roles.work, roles.serve):
            if not await db.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
                await db.execute(f'CREATE ROLE "{role}" NOLOGIN')
            if not await db.fetchval("SELECT pg_has_role(current_user, $1, 'MEMBER')", role):
                await db.execute(f'GRANT "{role}" TO CURRENT_USER')
    async with db.transaction():
        await db.execute(_rights(roles))
        for row in await db.fetch(UNGUARDED, roles.serve):
            await db.execute(_policies(row["name"], roles))
        for growing in append_only:
            await _only_grows(db, growing, roles)


UNGUARDED = """
    SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT EXISTS (
        SELECT FROM pg_policies WHERE schemaname = 'public' AND tablename = c.relname AND roles = ARRAY[$1::name]
    ) ORDER BY 1
"""
"""Tables of account data without a policy for the serving role."""


def _rights(roles: Roles) -> str:
    return f"""
        GRANT USAGE ON SCHEMA public, runtime TO "{roles.work}", "{roles.serve}";
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, runtime TO "{roles.work}";
        GRANT INSERT ON runtime.outbox TO "{roles.serve}";
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public, runtime TO "{roles.work}", "{roles.serve}";
    """


def _policies(table: str, roles: Roles) -> str:
    """Serve has no rights to partitions, which have no policies: it reaches them through their table."""
    return f"""
        GRANT SELECT, INSERT, UPDATE ON {table} TO "{roles.serve}";
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        DROP POLICY IF EXISTS work ON {table};
        DROP POLICY IF EXISTS serve ON {table};
        CREATE POLICY work ON {table} TO "{roles.work}" USING (true);
        CREATE POLICY serve ON {table} TO "{roles.serve}" USING (account_id = runtime.account_id());
    """


async def _only_grows(db: Connection, table: str, roles: Roles) -> None:
    """The table and its partitions, which can be written directly too."""
    rows = await db.fetch("SELECT relid::regclass::text FROM pg_partition_tree($1::regclass)", table)
    for name in [row[0] for row in rows] or [table]:
        await db.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON {name} FROM "{roles.work}", "{roles.serve}"')
