"""What title does when an account's personal data shall be erased, and when nothing needs them any more: load, decide, save, answer."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from asyncpg import Connection

from services.title.accounts import store as accounts
from services.title.erasures import rules, store
from services.title.erasures.rules import Erasure, ErasureIntent
from shared.contracts.invoicing import AccountAtRest
from shared.contracts.message import Message

Forget = Callable[[Connection, int], Awaitable[None]]
"""Parked records of an account lose their content."""


async def erase_account(
    intent: ErasureIntent, db: Connection, now: datetime, *, forget: Forget
) -> tuple[Erasure | None, list[Message]]:
    account = await accounts.locked_account(db, intent.erased_account_id)
    decision = rules.decide(account, await store.last(db, intent.erased_account_id), now)
    await store.begin(db, decision.begun, intent)
    await forget(db, intent.erased_account_id)
    return decision.answer, list(decision.messages)


async def account_at_rest(fact: AccountAtRest, db: Connection, now: datetime, *, forget: Forget) -> list[Message]:
    await forget(db, fact.account_id)
    return rules.erased(await store.end(db, fact.account_id, fact.version, now))
