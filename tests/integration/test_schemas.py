"""services/*/schema.sql is what the migrations come to, and a statement of it means what the catalogue says."""

from pathlib import Path

import asyncpg
import pytest

from deploy.reference import schemas
from deploy.reference.schemas import ONLY_GROWS, SERVICES, readable
from tests.support.databases import Databases
from tests.support.schemas import file_of, schema_of

pytestmark = pytest.mark.database


@pytest.mark.parametrize("service", SERVICES)
async def test_a_schema_file_is_what_the_migrations_come_to(service: str, databases: Databases) -> None:
    assert file_of(service).read_text(encoding="utf-8") == await schema_of(service, databases), "type make schema"


@pytest.mark.parametrize("service", SERVICES)
async def test_the_statements_make_the_database_that_they_were_read_from(
    service: str, databases: Databases, tmp_path: Path
) -> None:
    """Roles and their rights are the migrator's, so which tables only grow is not compared."""
    written = await schema_of(service, databases)
    dsn, roles = await databases.dsn(tmp_path)
    db = await asyncpg.connect(dsn)
    await db.execute(written)
    again = await schemas.page(service, db, roles.work)
    await db.close()
    await databases.drop(dsn)
    assert _unmarked(again) == _unmarked(written)


def test_a_statement_is_shown_as_a_person_writes_it() -> None:
    assert readable("CHECK (kind = ANY (ARRAY['a'::text, 'b''c'::text]))") == "CHECK (kind IN ('a', 'b''c'))"
    assert readable("CREATE INDEX due ON ONLY part USING btree (at)") == "CREATE INDEX due ON part (at)"
    assert readable("'1970-01-01 00:00:00+00'::timestamp with time zone") == "'epoch'"
    assert readable("'{}'::bigint[]") == "'{}'"
    assert readable("'-1'::integer") == "-1"
    assert readable("permissions <@ ARRAY['a'::text]") == "permissions <@ ARRAY['a']"


def _unmarked(text: str) -> str:
    return text.replace(f"-- {ONLY_GROWS}\n", "")
