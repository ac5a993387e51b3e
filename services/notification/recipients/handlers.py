"""What notification keeps of title: save."""

from datetime import datetime

from asyncpg import Connection

from services.notification.recipients import store
from shared.contracts.message import Message
from shared.contracts.titles import RecipientChanged, SealingKeyIssued


async def sealing_key_issued(fact: SealingKeyIssued, db: Connection, _: datetime) -> list[Message]:
    await store.keep_key(db, fact)
    return []


async def recipient_changed(fact: RecipientChanged, db: Connection, _: datetime) -> list[Message]:
    await store.keep_recipient(db, fact)
    return []
