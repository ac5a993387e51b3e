"""What notification keeps of title: save."""

from datetime import datetime

from asyncpg import Connection

from services.notification.recipients import store
from shared.contracts.message import Message
from shared.contracts.titles import RecipientChanged


async def recipient_changed(fact: RecipientChanged, db: Connection, _: datetime) -> list[Message]:
    await store.keep_recipient(db, fact)
    return []
