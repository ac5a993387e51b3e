"""Title: who may be invoiced, and where word is sent. The table of what it takes; the first page to read."""

from functools import partial
from pathlib import Path

from fastapi import APIRouter

from services.title.recipients import api as recipients
from services.title.registrations import api as registrations
from services.title.registrations.handlers import account_closed, account_registered, registration_changed
from services.title.relations.handlers import relation_changed
from services.title.titles import api as titles
from shared.contracts.accounts import AccountClosed, AccountRegistered, RegistrationChanged, RelationChanged
from shared.runtime.sealing import Sealer
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: Settings) -> Service:
    sealer = Sealer.from_setting(settings.sealing_key.get_secret_value())
    new_key, seal = sealer.new_wrapped_key, sealer.seal
    return Service(
        "title",
        MIGRATIONS,
        handlers={
            AccountRegistered: partial(account_registered, new_key=new_key, seal=seal),
            RegistrationChanged: partial(registration_changed, new_key=new_key, seal=seal),
            RelationChanged: relation_changed,
            AccountClosed: partial(account_closed, new_key=new_key),
        },
        routes=routes,
    )


def routes(runtime: Runtime) -> APIRouter:
    """What the gateway may ask. Every route is about one account."""
    router = APIRouter()
    for room in (registrations, titles, recipients):
        router.include_router(room.routes(runtime))
    return router
