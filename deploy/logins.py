"""`python -m deploy.logins`: what only an administrator of PostgreSQL may do, before services start. It may be repeated.

For each service a database, an owner that migrates, and a login that can do no more than the service has to. POSTGRES_URL names the
administrator, and the database whose name is the prefix; DATABASE_LOGINS the passwords: {"ledger": {"owner": "...", "login": "..."}, ...}.
The server should be ours alone: nobody but its administrator is let into any other database.
"""

import asyncio
import json
import os
from collections.abc import Mapping

from shared.runtime.database import connect, create_database
from shared.runtime.dsn import database_of, name_of
from shared.runtime.roles import hand_over, provision, quoted

SHARED_BY_ALL = ("postgres", "template1")


async def make(url: str, passwords: Mapping[str, Mapping[str, str]]) -> None:
    admin = await connect(url)
    try:
        for service, of in passwords.items():
            dsn = database_of(url, service)
            await provision(admin, name_of(dsn), of["owner"], of["login"])
            await create_database(dsn)
            own = await connect(dsn)
            try:
                await hand_over(own)
            finally:
                await own.close()
        for database in (*SHARED_BY_ALL, name_of(url)):
            await admin.execute(f"REVOKE ALL ON DATABASE {quoted(database)} FROM PUBLIC")
    finally:
        await admin.close()


if __name__ == "__main__":
    asyncio.run(make(os.environ["POSTGRES_URL"], json.loads(os.environ["DATABASE_LOGINS"])))
