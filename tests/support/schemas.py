"""`make schema`: writes services/*/schema.sql from databases that were migrated on a server of our own."""

import asyncio
from pathlib import Path

import asyncpg

from deploy.reference import schemas
from deploy.reference.files import ROOT
from tests.support.databases import Databases
from tests.support.servers import start_postgres


def file_of(service: str) -> Path:
    return ROOT / "services" / service / "schema.sql"


async def schema_of(service: str, databases: Databases) -> str:
    dsn, roles = await databases.dsn(ROOT / "services" / service / "migrations")
    db = await asyncpg.connect(dsn)
    try:
        return await schemas.page(service, db, roles.work)
    finally:
        await db.close()
        await databases.drop(dsn)


async def write(databases: Databases) -> None:
    for service in schemas.SERVICES:
        file_of(service).write_text(await schema_of(service, databases), encoding="utf-8")


if __name__ == "__main__":
    postgres = start_postgres()
    try:
        asyncio.run(write(Databases(postgres.dsn)))
    finally:
        postgres.stop()
