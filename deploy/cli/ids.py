"""`kaipiao ids`: after a promotion that lost commits, numbers that were given out and forgotten must not be given out again. Topics and the
tax platform still know them: a part's serial is made from its number, and the platform may have issued an invoice under it.
"""

import asyncio
from typing import Annotated

import asyncpg
import typer

from deploy.cli.routes import endpoints, stop
from shared.runtime.dsn import name_of

CONNECT_SECONDS = 10.0
SKIPPED = 1_000_000
"""More than any service gives out while a standby may be behind."""
ADVANCE = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, coalesce(last_value, start_value) + $1)
    FROM pg_sequences WHERE schemaname IN ('public', 'runtime')
"""

app = typer.Typer(no_args_is_help=True, help="Numbers that services give out.")


@app.callback()
def _group() -> None:
    """One command is a group too, so that it keeps its name when another comes."""


async def skip(dsn: str, by: int = SKIPPED) -> int:
    """How many sequences of this database were moved on."""
    db = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    try:
        return len(await db.fetch(ADVANCE, by))
    finally:
        await db.close(timeout=CONNECT_SECONDS)


@app.command("skip")
def skip_all(
    by: Annotated[int, typer.Option(min=1, max=10**9, help="by how many")] = SKIPPED,
    dsn: Annotated[
        list[str] | None, typer.Option(help="of one service's database; again for more; by default the running stack's")
    ] = None,
) -> None:
    """Move all sequences on. For a standby that was promoted and may be behind, before services write to it."""
    known: dict[str, str] = {name_of(one): one for one in dsn} if dsn else endpoints().get("dsn", {})
    for name, one in known.items():
        try:
            moved = asyncio.run(skip(one, by))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            stop(f"the database of {name} does not do it: {type(error).__name__}; what moved before may move again")
        typer.echo(f"{name}: {moved} sequences moved on by {by}")
