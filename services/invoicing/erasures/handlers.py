"""What invoicing does when an account's personal data are to be erased, step by step, and when they are: load, decide, save, answer."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from asyncpg import Connection

from services.invoicing.erasures import store
from services.invoicing.erasures.rules import OpenRequest, Resolved
from services.invoicing.issuing.handlers import cancel_request
from shared.contracts.message import Message
from shared.contracts.titles import AccountErased, AccountErasureStarted

Forget = Callable[[Connection, int], Awaitable[None]]
"""Parked records of an account lose their content."""


async def account_erasure_started(fact: AccountErasureStarted, db: Connection, _: datetime) -> list[Message]:
    await store.begin(db, fact)
    return []


async def erasure_looked_at(step: OpenRequest | Resolved, db: Connection, now: datetime) -> list[Message]:
    return await STEPS[type(step)](step, db, now)


async def request_cancelled(step: OpenRequest, db: Connection, now: datetime) -> list[Message]:
    _, messages = await cancel_request(step.cancel, db, now)
    return messages


async def account_rests(step: Resolved, db: Connection, now: datetime) -> list[Message]:
    await store.rest(db, step, now)
    return [step.message]


STEPS: dict[type, Callable[..., Awaitable[list[Message]]]] = {OpenRequest: request_cancelled, Resolved: account_rests}


async def account_erased(fact: AccountErased, db: Connection, _: datetime, *, forget: Forget) -> list[Message]:
    await store.erase(db, fact)
    await forget(db, fact.account_id)
    return []
