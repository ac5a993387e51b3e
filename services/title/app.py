"""Title: who may be invoiced, and where word is sent. The table of what it takes; the first page to read."""

from functools import partial
from pathlib import Path

from fastapi import APIRouter

from services.title.accounts import api as accounts
from services.title.accounts import store as keys
from services.title.accounts.handlers import master_key_replaced
from services.title.accounts.rules import WrappedKey
from services.title.erasures.api import operator_routes
from services.title.erasures.handlers import account_at_rest
from services.title.recipients import api as recipients
from services.title.registrations import api as registrations
from services.title.registrations.handlers import account_closed, account_registered, registration_changed
from services.title.relations.handlers import relation_changed
from services.title.titles import api as titles
from shared.contracts.accounts import AccountClosed, AccountRegistered, RegistrationChanged, RelationChanged
from shared.contracts.invoicing import AccountAtRest
from shared.runtime import parked
from shared.runtime.sealing import Sealer
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.workers import Job

MIGRATIONS = Path(__file__).parent / "migrations"
QUEUES = {"erasures": "SELECT count(*), min(started_at) FROM erasure WHERE ended_at IS NULL"}
"""What waits, and since when: for whatever is under way and needs the keys."""


def build(settings: Settings) -> Service:
    sealer = Sealer.from_setting(settings.sealing_key.get_secret_value())
    seal = sealer.seal

    def new_key() -> WrappedKey:
        return WrappedKey(sealer.new_wrapped_key(), sealer.master_id)

    def rewrap(wrapped: str) -> WrappedKey:
        return WrappedKey(sealer.rewrapped(wrapped), sealer.master_id)

    return Service(
        "title",
        MIGRATIONS,
        handlers={
            AccountRegistered: partial(account_registered, new_key=new_key, seal=seal),
            RegistrationChanged: partial(registration_changed, new_key=new_key, seal=seal),
            RelationChanged: relation_changed,
            AccountClosed: account_closed,
            AccountAtRest: partial(account_at_rest, forget=parked.forget),
        },
        workers=[
            Job(
                "rewrap",
                claim=partial(keys.wrapped_by_another, master_id=sealer.master_id),
                work=partial(master_key_replaced, rewrap=rewrap),
                idle_seconds=60.0,
            )
        ],
        queues=QUEUES,
        routes=routes,
        operator_routes=operator_routes,
    )


def routes(runtime: Runtime) -> APIRouter:
    """What the gateway and other services may ask. Every route is about one account."""
    router = APIRouter()
    for room in (accounts, registrations, titles, recipients):
        router.include_router(room.routes(runtime))
    return router
