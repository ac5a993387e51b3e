"""`kaipiao ledger`: is the ledger what its journal says? Reads its database directly, for the answer must not depend on the service."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import asyncpg
import typer
from asyncpg import Connection, Record

from deploy.cli.routes import endpoints, stop
from services.ledger.journal import rebuild as rows
from services.ledger.journal.sums import FIGURES

SHOWN_MAX = 20
CONNECT_SECONDS = 10.0

app = typer.Typer(no_args_is_help=True, help="The ledger's books.")


def differences(found: Sequence[Record], figures: Sequence[str]) -> list[str]:
    """A line for each figure that is not what it should be."""
    lines = []
    for row in map(dict, found):
        whose = ", ".join(str(value) for name, value in row.items() if name not in figures)
        lines += [
            f"{whose}: {one} is {row[one][0]}, should be {row[one][1]}" for one in figures if row[one][0] != row[one][1]
        ]
    return lines


async def compare(db: Connection) -> list[str]:
    """What differs, items first; from one snapshot."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        items = differences(await rows.differing_items(db), rows.ITEM_FIGURES)
        sums = differences(await rows.differing_sums(db), FIGURES)
    return [f"item {line}" for line in items] + [f"sum {line}" for line in sums]


async def put_right(db: Connection) -> list[str]:
    """What differed and is put right."""
    found = await compare(db)
    async with db.transaction():
        await rows.put_right(db)
    return found


async def with_database(dsn: str, work: Callable[[Connection], Awaitable[list[str]]]) -> list[str]:
    db = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    try:
        return await work(db)
    finally:
        await db.close(timeout=CONNECT_SECONDS)


def _running() -> str:
    known = endpoints().get("dsn", {})
    if "ledger" not in known:
        stop("var/endpoints.json names no database of the ledger: name it with --dsn")
    found: str = known["ledger"]
    return found


def _told(dsn: str, work: Callable[[Connection], Awaitable[list[str]]]) -> list[str]:
    """A database that does not answer, or refuses, is one line. Its text is PostgreSQL's own, about the connection or a table of ours."""
    try:
        return asyncio.run(with_database(dsn, work))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        said = error.args[0] if isinstance(error, asyncpg.PostgresError) and error.args else ""
        stop(f"the ledger's database does not do it: {type(error).__name__} {said}".rstrip())


@app.command("rebuild")
def rebuild(
    check: Annotated[
        bool, typer.Option("--check", help="only compare; the exit status is 1 if anything differs")
    ] = False,
    dsn: Annotated[
        str, typer.Option(help="of the ledger's database; by default the running stack's", envvar="LEDGER_DSN")
    ] = "",
) -> None:
    """Rebuild items' columns from the moves and sums from the items. Locks writers out while it puts things right; a check does not."""
    found = _told(dsn or _running(), compare if check else put_right)
    for line in found[:SHOWN_MAX]:
        typer.echo(line)
    if len(found) > SHOWN_MAX:
        typer.echo(f"… and {len(found) - SHOWN_MAX} more")
    typer.echo(f"{len(found)} differences" + ("" if check or not found else ", put right"))
    if check and found:
        raise typer.Exit(1)
