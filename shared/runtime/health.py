"""What a process says of itself: `/livez` (shall it be ended), `/readyz` (does what it needs answer), `/healthz` (does anything stand
still) and `/metrics`. None of them waits for a database or a broker: they tell what was found out beforehand.
"""

import asyncio

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from shared.runtime import migrations
from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.metrics import DAYS_AHEAD, PARKED, UNSENT, UNSENT_AGE, exposition
from shared.runtime.parking import seal_the_rest
from shared.runtime.service import Runtime
from shared.runtime.watchdog import Watchdog

GAUGES_SECONDS = 10.0
UNSENT_COUNTED_MAX = 100_000
TEND_SECONDS, TEND_AGAIN_SECONDS = 3600.0, 60.0
DAYS_AHEAD_MIN = 3

log = structlog.get_logger()


def health_routes(watchdog: Watchdog) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    runtime = watchdog.runtime

    @router.get("/livez")
    async def livez() -> JSONResponse:
        reason = watchdog.reason() or watchdog.look()
        content = {"live": reason is None, "reason": reason, "unhealthy": watchdog.unhealthy()}
        return JSONResponse(content, 200 if reason is None else 503)

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        answered = await watchdog.dependencies.answered()
        assigned = runtime.transport.assigned()
        checks = {
            "database": answered["database"],
            "kafka": answered["kafka"] and assigned,
            "migrations": True,
        }
        return JSONResponse(checks, 200 if all(checks.values()) else 503)

    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        found = watchdog.unhealthy()
        return JSONResponse({"healthy": not found, "unhealthy": found}, 503 if found else 200)

    @router.get("/metrics")
    async def show_metrics() -> PlainTextResponse:
        return PlainTextResponse(exposition(runtime.service.name, runtime.replica), media_type=CONTENT_TYPE_LATEST)

    return router


async def refresh_gauges(runtime: Runtime) -> None:
    """For ever: what only the database knows, once for a service: in the process whose relay sends. The others show 0."""
    while True:
        try:
            if runtime.relay.is_active():
                await look_at_tables(runtime)
            else:
                for gauge in (UNSENT, UNSENT_AGE, PARKED):
                    gauge.set(0)
        except TRANSIENT_ERRORS as error:
            log.warning("gauges_wait", error=type(error).__name__)
        await asyncio.sleep(GAUGES_SECONDS)


async def look_at_tables(runtime: Runtime) -> None:
    async with runtime.read() as db:
        unsent, age = await db.fetchrow(
            f"""
            SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float FROM (
                SELECT created_at FROM runtime.outbox WHERE sent_at IS NULL ORDER BY outbox_id LIMIT {UNSENT_COUNTED_MAX}
            ) unsent
            """
        ) or (0, 0.0)
        open_count = await db.fetchval("SELECT count(*) FROM runtime.parked WHERE status = 'open'")
    UNSENT.set(unsent)
    UNSENT_AGE.set(age)
    PARKED.set(open_count)


async def tend_partitions(dsn: str, watchdog: Watchdog, days: int) -> None:
    """For ever, each hour: partitions of the outbox ahead of time, none older than `days`. What goes wrong is told days before it hurts."""
    while True:
        seconds = await tend_once(dsn, watchdog, days)
        await asyncio.sleep(seconds)


async def tend_once(dsn: str, watchdog: Watchdog, days: int) -> float:
    """Returns when to do it again. Whatever the error is, the next time may be better, and nothing may end the tending."""
    try:
        ahead = await migrations.tend(dsn, days)
    except Exception as error:  # noqa: BLE001
        log.error("partitions_not_tended", error=type(error).__name__)
        watchdog.told["outbox partitions"] = f"could not be tended: {type(error).__name__}"
        return TEND_AGAIN_SECONDS
    DAYS_AHEAD.set(ahead)
    watchdog.told.pop("outbox partitions", None)
    if ahead < DAYS_AHEAD_MIN:
        watchdog.told["outbox partitions"] = f"there are some for {ahead} more days only"
        return TEND_AGAIN_SECONDS
    return TEND_SECONDS


async def tend_parked(runtime: Runtime) -> None:
    """For ever: at the start, and each hour. What a version before parked in clear, or a key has sealed that seals no more, is sealed."""
    while True:
        try:
            if count := await seal_the_rest(runtime.database, runtime.parking):
                log.info("parked_sealed", count=count)
            seconds = TEND_SECONDS
        except TRANSIENT_ERRORS as error:
            log.warning("parked_not_tended", error=type(error).__name__)
            seconds = TEND_AGAIN_SECONDS
        await asyncio.sleep(seconds)
