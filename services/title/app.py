"""Title: who may be invoiced, and where word is sent. The table of what it takes; the first page to read."""

from functools import partial
from pathlib import Path

from services.title import api, handlers
from shared.contracts.accounts import AccountClosed, AccountRegistered, RegistrationChanged, RelationChanged
from shared.runtime.sealing import Sealer
from shared.runtime.service import Service
from shared.runtime.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: Settings) -> Service:
    sealer = Sealer.from_setting(settings.sealing_key.get_secret_value())
    new_key, seal = sealer.new_wrapped_key, sealer.seal
    return Service(
        "title",
        MIGRATIONS,
        handlers={
            AccountRegistered: partial(handlers.account_registered, new_key=new_key, seal=seal),
            RegistrationChanged: partial(handlers.registration_changed, new_key=new_key, seal=seal),
            RelationChanged: handlers.relation_changed,
            AccountClosed: partial(handlers.account_closed, new_key=new_key),
        },
        routes=api.routes,
    )
