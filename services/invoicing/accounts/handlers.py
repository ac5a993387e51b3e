"""What title says about accounts is kept as it comes: load, decide, save, answer."""

from datetime import datetime

from asyncpg import Connection

from services.invoicing.accounts import store
from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged, MemberChanged, TitleChanged


async def account_status_changed(fact: AccountStatusChanged, db: Connection, _: datetime) -> list[Message]:
    await store.keep_account_status(db, fact)
    return []


async def title_changed(fact: TitleChanged, db: Connection, _: datetime) -> list[Message]:
    await store.keep_title(db, fact)
    return []


async def member_changed(fact: MemberChanged, db: Connection, _: datetime) -> list[Message]:
    await store.keep_member(db, fact)
    return []
