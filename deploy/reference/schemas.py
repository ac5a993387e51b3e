"""A service's database as it is after all its migrations: statements one can read, made from the catalogue, sorted by name.

Left out is what the runtime keeps in every database: its schema, roles and rights. What a migration may add one day and this page cannot
show yet (a view, a function, a type) is an error, so that the page never lies.
"""

import re
from dataclasses import dataclass, field

from asyncpg import Connection, Record

SERVICES = ("title", "ledger", "invoicing", "notification", "gateway")
ONLY_GROWS = "append-only: rows are added, never changed or deleted"
HEAD = """-- {service}: the database after all migrations. Written by `make schema`, never by hand: a change is a new file in migrations/.
-- A table that is partitioned by account has four partitions, which are not shown. A table with an account_id is guarded by row-level
-- security: the role that serves HTTP reaches rows of one account only.
"""

TABLES = """
    SELECT c.oid, c.relname AS name, c.relkind = 'p' AS is_partitioned, pg_get_partkeydef(c.oid) AS partitioned_by, c.reloptions,
        NOT has_table_privilege($1::name, c.oid, 'UPDATE') AS only_grows
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.relname
"""
COLUMNS = """
    SELECT a.attrelid AS oid, a.attname AS name, a.attnum AS place, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS is_needed,
        a.attidentity::text AS identity, pg_get_expr(d.adbin, d.adrelid, true) AS usual, a.attgenerated <> '' AS is_generated
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
"""
CONSTRAINTS = """
    SELECT conrelid AS oid, contype::text AS kind, conkey AS places, pg_get_constraintdef(oid, true) AS text
    FROM pg_constraint WHERE conrelid = ANY($1::oid[]) AND contype <> 'n'
    ORDER BY conrelid, array_position(ARRAY['p', 'u', 'f', 'x', 'c'], contype::text), conname
"""
INDEXES = """
    SELECT indrelid AS oid, pg_get_indexdef(indexrelid, 0, true) AS text
    FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
    WHERE indrelid = ANY($1::oid[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
    ORDER BY indrelid, c.relname
"""
SEQUENCES = """
    SELECT c.relname AS name, s.seqmin AS least, s.seqincrement AS step, format_type(s.seqtypid, NULL) AS type
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
    WHERE c.relnamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND classid = 'pg_class'::regclass AND deptype = 'i')
    ORDER BY c.relname
"""
OTHERS = """
    SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('r', 'p', 'i', 'I', 'S', 't')
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
        WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal
    UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e', 'r')
"""
ANY_OF = re.compile(r"= ANY \(ARRAY\[([^\]]*)\]\)")
NUMBER = re.compile(r"'(-?[0-9]+)'::(?:integer|bigint)")
TYPED = re.compile(r"('(?:[^']|'')*')::(?:timestamp with time zone|\w+(?:\[\])?)")
USUAL = {" ON ONLY ": " ON ", " USING btree ": " ", "'1970-01-01 00:00:00+00'": "'epoch'"}
RESERVED = {"partition", "offset"}
LINE_MAX = 140


@dataclass
class Table:
    """One table with all that belongs to it, as the catalogue has it."""

    row: Record
    columns: list[Record] = field(default_factory=list)
    constraints: list[Record] = field(default_factory=list)
    indexes: list[Record] = field(default_factory=list)


async def page(service: str, db: Connection, work: str) -> str:
    """What has to stand in services/<service>/schema.sql. `db` is a connection of the owner, `work` the role that services write as."""
    await db.execute("SET timezone TO 'UTC'")
    others = [row["name"] for row in await db.fetch(OTHERS)]
    assert others == [], f"deploy/reference/schemas.py cannot show {', '.join(others)} yet"
    parts = [_sequences(await db.fetch(SEQUENCES)), *map(_table, await _tables(db, work))]
    return HEAD.format(service=service) + "".join(f"\n{part}" for part in parts if part)


async def _tables(db: Connection, work: str) -> list[Table]:
    found = {row["oid"]: Table(row) for row in await db.fetch(TABLES, work)}
    for row in await db.fetch(COLUMNS, list(found)):
        assert not row["is_generated"], f"column {row['name']} is generated, which cannot be shown yet"
        found[row["oid"]].columns.append(row)
    for row in await db.fetch(CONSTRAINTS, list(found)):
        found[row["oid"]].constraints.append(row)
    for row in await db.fetch(INDEXES, list(found)):
        found[row["oid"]].indexes.append(row)
    return list(found.values())


def _sequences(rows: list[Record]) -> str:
    return "".join(f"CREATE SEQUENCE {row['name']}{_counting(row)};\n" for row in rows)


def _counting(row: Record) -> str:
    """Only what differs from a plain sequence."""
    usual = {"type": ("bigint", "AS"), "least": (1, "MINVALUE"), "step": (1, "INCREMENT")}
    return "".join(f" {word} {row[name]}" for name, (value, word) in usual.items() if row[name] != value)


def _table(table: Table) -> str:
    mark = f"-- {ONLY_GROWS}\n" if table.row["only_grows"] else ""
    name_width = max(len(_quoted(row["name"])) for row in table.columns)
    type_width = max(len(_type(row)) for row in table.columns)
    lines = [_column(row, name_width, type_width, _checks(table, row)) for row in table.columns]
    lines += [readable(row["text"]) for row in table.constraints if not _is_of_one_column(row)]
    body = ",\n".join(f"    {line}" for line in lines)
    indexes = "".join(f"{readable(row['text'])};\n" for row in table.indexes)
    return f"{mark}CREATE TABLE {_quoted(table.row['name'])} (\n{body}\n){_stored(table.row)};\n{indexes}"


def _column(row: Record, name_width: int, type_width: int, checks: list[str]) -> str:
    parts = [_quoted(row["name"]).ljust(name_width), _type(row).ljust(type_width)]
    parts += ["NOT NULL"] if row["is_needed"] else []
    parts += ["GENERATED ALWAYS AS IDENTITY"] if row["identity"] == "a" else []
    parts += [f"DEFAULT {readable(row['usual'])}"] if row["usual"] is not None else []
    line = " ".join([*parts, *checks]).rstrip()
    return line if len(f"    {line},") <= LINE_MAX else "\n        ".join([" ".join(parts), *checks])


def _checks(table: Table, column: Record) -> list[str]:
    """Those of this column alone."""
    own = [row for row in table.constraints if _is_of_one_column(row) and row["places"] == [column["place"]]]
    return [readable(row["text"]) for row in own]


def _is_of_one_column(constraint: Record) -> bool:
    return bool(constraint["kind"] == "c" and len(constraint["places"]) == 1)


def _stored(row: Record) -> str:
    partitioned = f" PARTITION BY {row['partitioned_by']}" if row["is_partitioned"] else ""
    return partitioned + (f" WITH ({', '.join(row['reloptions'])})" if row["reloptions"] else "")


def _type(column: Record) -> str:
    return str(column["type"]).replace("timestamp with time zone", "timestamptz")


def readable(text: str) -> str:
    """As a person writes it, with the same meaning: lists with IN, constants without their type, indexes without what is usual."""
    for long, short in USUAL.items():
        text = text.replace(long, short)
    return ANY_OF.sub(r"IN (\1)", TYPED.sub(r"\1", NUMBER.sub(r"\1", text)))


def _quoted(name: str) -> str:
    return name if name not in RESERVED else f'"{name}"'
