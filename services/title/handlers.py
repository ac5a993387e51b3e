"""What title does with each fact of the account system: load, decide, save, answer."""

from collections.abc import Callable
from datetime import datetime

from asyncpg import Connection

from services.title import domain, store
from services.title.domain import Seal
from shared.contracts.accounts import AccountClosed, AccountRegistered, RegistrationChanged, RelationChanged
from shared.contracts.message import Message

NewKey = Callable[[], str]


async def account_registered(
    fact: AccountRegistered, db: Connection, now: datetime, *, new_key: NewKey, seal: Seal
) -> list[Message]:
    account, fresh = await store.next_version(db, fact.account_id, new_key(), None, fact.occurred_at, now)
    titles = await store.replace_active_title(db, account, domain.title_after(account, fact), now)
    changed = await store.set_recipient(db, account, fact)
    return [
        *domain.key_issued(account, fresh),
        *domain.titles_changed(account, titles, seal),
        *domain.recipient_changed(account, fact, changed, seal),
        *domain.status_changed(account),
    ]


async def registration_changed(
    fact: RegistrationChanged, db: Connection, now: datetime, *, new_key: NewKey, seal: Seal
) -> list[Message]:
    account, fresh = await store.next_version(db, fact.account_id, new_key(), None, fact.occurred_at, now)
    titles = await store.replace_active_title(db, account, domain.title_after(account, fact), now)
    return [*domain.key_issued(account, fresh), *domain.titles_changed(account, titles, seal)]


async def account_closed(fact: AccountClosed, db: Connection, now: datetime, *, new_key: NewKey) -> list[Message]:
    account, fresh = await store.next_version(db, fact.account_id, new_key(), "closed", None, now)
    return [*domain.key_issued(account, fresh), *domain.status_changed(account)]


async def relation_changed(fact: RelationChanged, db: Connection, _: datetime) -> list[Message]:
    return domain.member_changed(fact, await store.keep_relation(db, fact))
