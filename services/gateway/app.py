"""The gateway: the edge. It knows who calls, and who owns what is asked for; it decides nothing and publishes nothing."""

from functools import partial
from pathlib import Path

from services.gateway.callers import api as callers
from services.gateway.callers.throttle import Throttle
from services.gateway.owners.forwarding import ANSWER_SECONDS, Owners
from services.gateway.v1 import api as v1
from shared.runtime.service import Service
from shared.runtime.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: Settings, answer_seconds: float = ANSWER_SECONDS) -> Service:
    owners = Owners(settings, answer_seconds)
    throttle = Throttle(settings.account_at_once, settings.account_per_second, settings.account_burst)
    return Service(
        "gateway",
        MIGRATIONS,
        public_routes=partial(v1.routes, owners=owners, wait_seconds=settings.answer_wait_seconds),
        admission=partial(callers.admission, throttle=throttle),
        operator_routes=callers.operator_routes,
        resources=[owners],
    )
