"""What title does with a relation: save, answer."""

from datetime import datetime

from asyncpg import Connection

from services.title.relations import store
from services.title.relations.rules import member_changed
from shared.contracts.accounts import RelationChanged
from shared.contracts.message import Message


async def relation_changed(fact: RelationChanged, db: Connection, _: datetime) -> list[Message]:
    return member_changed(fact, await store.keep_relation(db, fact))
