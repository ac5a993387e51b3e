"""What is done with an answer that moves nothing, and with a platform that speaks by itself: load, decide, save, answer."""

from collections.abc import Mapping
from datetime import datetime

from asyncpg import Connection

from services.invoicing.submissions import store
from services.invoicing.submissions.rules import Ignored, PlatformCall, Submission, Unmoved
from services.invoicing.submissions.store import SubmissionTable
from shared.contracts.message import Message
from shared.domain.identifiers import Kind


async def ignored(_: Submission, __: Ignored, ___: Connection, ____: datetime) -> list[Message]:
    return []


async def unmoved(
    of: Submission, unmoved: Unmoved, db: Connection, _: datetime, *, table: SubmissionTable
) -> list[Message]:
    await store.leave(db, table, of, unmoved)
    return []


async def platform_called(
    call: PlatformCall, db: Connection, now: datetime, *, tables: Mapping[Kind, SubmissionTable]
) -> tuple[None, list[Message]]:
    """What the platform says of a serial only makes us ask."""
    await store.ask_again(db, tables[call.kind], call, now)
    return None, []
