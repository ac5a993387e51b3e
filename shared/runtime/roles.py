"""Who may do what in a service's database. The owner migrates. The service has a login of its own that can do nothing by itself: each of
its transactions acts as one of two roles.

work   handlers and workers, for all accounts. Nothing append-only can be changed or deleted.
serve  HTTP on behalf of one account: row-level security shows and takes only rows of the account the transaction names.

Nobody passes row-level security by, the owner neither: each has a policy, or sees nothing.
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


def owner_of(database: str) -> str:
    """The login that migrates; `provision` makes it."""
    return f"{database}_owner"


def login_of(database: str) -> str:
    """The login that the service runs with; `provision` makes it."""
    return f"{database}_login"


def quoted(name: str) -> str:
    """As an identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


async def provision(db: Connection, database: str, owner_password: str, login_password: str) -> None:
    """The two logins and the two roles of a database, by somebody who may make roles; may be repeated, and renews the passwords.

    Of the database itself only its owner and its login are let in; `db` may be connected to any.
    """
    roles, owner, login = roles_of(database), owner_of(database), login_of(database)
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        for role in (roles.work, roles.serve, owner, login):
            if not await db.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
                await db.execute(f"CREATE ROLE {quoted(role)}")
            await db.execute(f"ALTER ROLE {quoted(role)} {POWERLESS} NOLOGIN")
        for role, password in ((owner, owner_password), (login, login_password)):
            statement = "SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)"
            await db.execute(await db.fetchval(statement, role, password))
        # What belongs to a database's owner comes to it through a role, before PostgreSQL 16 by inheriting only.
        await db.execute(f"ALTER ROLE {quoted(owner)} INHERIT")
        await db.execute(f"GRANT {quoted(roles.work)}, {quoted(roles.serve)} TO {quoted(login)}")


async def hand_over(db: Connection) -> None:
    """This database and all that is in it to its owner; by somebody who may. Nobody else is let in any more but its login."""
    database = await db.fetchval("SELECT current_database()")
    owner, login = quoted(owner_of(database)), quoted(login_of(database))
    async with db.transaction():
        await db.execute(f"ALTER DATABASE {quoted(database)} OWNER TO {owner}")
        await db.execute(f"REVOKE ALL ON DATABASE {quoted(database)} FROM PUBLIC")
        await db.execute(f"GRANT CONNECT ON DATABASE {quoted(database)} TO {login}")
        for (statement,) in await db.fetch(THINGS_OF_OTHERS, owner_of(database)):
            await db.execute(f"{statement} OWNER TO {owner}")


async def powers(db: Connection) -> list[str]:
    """What the login of a service has and should not, in words; nothing when all is well."""
    row = await db.fetchrow(POWERS)
    assert row is not None
    return [name.replace("_", " ") for name, has in row.items() if has]


POWERLESS = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT"
POWERS = r"""
    SELECT rolsuper AS superuser, rolbypassrls AS bypassrls, rolcreaterole AS createrole, rolcreatedb AS createdb,
        rolreplication AS replication, d.datdba = r.oid AS owns_the_database, EXISTS (
            SELECT FROM pg_roles m WHERE m.oid <> r.oid AND pg_has_role(r.oid, m.oid, 'MEMBER')
                AND (m.rolsuper OR m.rolbypassrls OR m.rolname LIKE 'pg\_%' AND m.rolname <> 'pg_database_owner')) AS a_powerful_role
    FROM pg_roles r, pg_database d WHERE rolname = session_user AND datname = current_database()
"""
THINGS_OF_OTHERS = """
    SELECT CASE relkind WHEN 'S' THEN 'ALTER SEQUENCE ' ELSE 'ALTER TABLE ' END || c.oid::regclass::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN ('public', 'runtime', 'migration') AND pg_get_userbyid(relowner) <> $1 AND (relkind IN ('r', 'p', 'v')
        OR relkind = 'S' AND NOT EXISTS (
            SELECT FROM pg_depend WHERE objid = c.oid AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')))
    UNION ALL
    SELECT 'ALTER ROUTINE ' || p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname IN ('public', 'runtime', 'migration') AND pg_get_userbyid(proowner) <> $1
    UNION ALL
    SELECT 'ALTER SCHEMA ' || quote_ident(nspname) FROM pg_namespace WHERE nspname IN ('runtime', 'migration')
        AND pg_get_userbyid(nspowner) <> $1
"""
"""What an earlier version left with whoever migrated then. Sequences of a column go with their table."""


async def grant(db: Connection, append_only: Sequence[str]) -> None:
    """Make the roles and give them their rights; may be repeated. `append_only`: tables, with their schema."""
    roles = roles_of(await db.fetchval("SELECT current_database()"))
    owner = await db.fetchval("SELECT current_user")
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        for role in (roles.work, roles.serve):
            if not await db.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
                await db.execute(f'CREATE ROLE "{role}" NOLOGIN')
                await db.execute(f'GRANT "{role}" TO CURRENT_USER')
    async with db.transaction():
        await db.execute(_rights(roles))
        for row in await db.fetch(UNGUARDED, roles.serve, owner):
            await db.execute(_policies(row["name"], roles, owner))
        for growing in append_only:
            await _only_grows(db, growing, roles)


UNGUARDED = """
    SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT (c.relforcerowsecurity
        AND ARRAY[$1::name, $2::name] <@ ARRAY(SELECT unnest(roles) FROM pg_policies WHERE schemaname = 'public' AND tablename = c.relname)
    ) ORDER BY 1
"""
"""Tables of account data without a policy for the serving role, or for the owner, or that somebody may pass by."""


def _rights(roles: Roles) -> str:
    return f"""
        GRANT USAGE ON SCHEMA public, runtime TO "{roles.work}", "{roles.serve}";
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, runtime TO "{roles.work}";
        GRANT INSERT ON runtime.outbox TO "{roles.serve}";
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public, runtime TO "{roles.work}", "{roles.serve}";
        GRANT EXECUTE ON FUNCTION runtime.seen_again TO "{roles.work}";
    """


def _policies(table: str, roles: Roles, owner: str) -> str:
    """Serve has no rights to partitions, which have no policies: it reaches them through their table."""
    return f"""
        GRANT SELECT, INSERT, UPDATE ON {table} TO "{roles.serve}";
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        DROP POLICY IF EXISTS migrate ON {table};
        DROP POLICY IF EXISTS work ON {table};
        DROP POLICY IF EXISTS serve ON {table};
        CREATE POLICY migrate ON {table} TO {quoted(owner)} USING (true);
        CREATE POLICY work ON {table} TO "{roles.work}" USING (true);
        CREATE POLICY serve ON {table} TO "{roles.serve}" USING (account_id = runtime.account_id());
    """


async def _only_grows(db: Connection, table: str, roles: Roles) -> None:
    """The table and its partitions, which can be written directly too."""
    rows = await db.fetch("SELECT relid::regclass::text FROM pg_partition_tree($1::regclass)", table)
    for name in [row[0] for row in rows] or [table]:
        await db.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON {name} FROM "{roles.work}", "{roles.serve}"')
