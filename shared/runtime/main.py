"""A service as a process: migrate, declare topics, serve HTTP, consume; stop within 25 seconds of SIGTERM."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import ValidationError

from shared.runtime import heap, logs, migrations, tracing
from shared.runtime.clock import Clock, uuid7
from shared.runtime.database import TRANSIENT_ERRORS, Database
from shared.runtime.dsn import name_of
from shared.runtime.kafka import KafkaTransport, declare_topics
from shared.runtime.roles import powers, roles_of
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import SharedClock
from shared.runtime.watchdog import Watchdog
from shared.runtime.web import web_app

STOP_SECONDS = 25
WRONG_SETTING = 78

Build = Callable[[Settings], Service]
log = structlog.get_logger()


def run(build: Build) -> None:
    """The body of `python -m services.<name>`."""
    try:
        settings = Settings(kaipiao_service=build.__module__.split(".")[-2])
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False):
            name, text = ".".join(map(str, wrong["loc"])).upper(), wrong["msg"].removeprefix("Value error, ")
            for line in text.splitlines() if not name else [f"{name}: {text}"]:
                sys.stderr.write(f"setting {line}\n")
        raise SystemExit(WRONG_SETTING) from None
    signal.signal(
        signal.SIGTERM, lambda *_: None
    )  # uvicorn ends gracefully, then raises the signal again: it has been obeyed
    uvloop.run(_serve(build(settings), settings))


async def _serve(service: Service, settings: Settings) -> None:
    logs.configure(service.name, settings.replica, settings.log_level)
    tracing.configure(service.name, settings.replica, settings.otlp_endpoint)
    clock = Clock()
    dsn, owner_dsn = settings.dsn(service.name), settings.migration_dsn(service.name)
    await migrations.migrate(owner_dsn, service.migrations, clock.real())
    await declare_topics(settings)
    database = await Database.open(dsn, roles_of(name_of(dsn)), settings.pools)
    await _refuse_powers(database, settings)
    runtime = Runtime(service, database, KafkaTransport(settings, service.name, clock), clock, uuid7, settings.replica)
    watchdog = Watchdog(runtime)
    shared = SharedClock(settings, f"{service.name}-{settings.replica}", clock) if settings.clock == "test" else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if shared is not None:
                await stack.enter_async_context(shared.following())
                runtime.spawn(shared.follow())
            for resource in service.resources:
                await stack.enter_async_context(resource)
            await runtime.start()
            stack.push_async_callback(runtime.stop)
            looking = asyncio.create_task(watchdog.run())
            tending = asyncio.create_task(_tend(owner_dsn, clock))
            heap.freeze()
            log.info("started")
            yield
            for task in (looking, tending):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        log.info("stopped")

    app = web_app(runtime, settings.service_token.get_secret_value(), watchdog, f"Kaipiao {service.name}", shared)
    app.router.lifespan_context = lifespan
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    await server.serve()
    if not server.started:
        raise SystemExit(1)


async def _refuse_powers(database: Database, settings: Settings) -> None:
    """In production a service may not run as somebody to whom roles and row-level security mean nothing."""
    if settings.environment == "production":
        async with database.read() as db:
            found = await powers(db)
        if found:
            said = f"its login has {', '.join(found)}; set it to the login that `python -m deploy.logins` makes"
            sys.stderr.write(f"setting DATABASE_URL: {said}\n")
            raise SystemExit(WRONG_SETTING)


async def _tend(dsn: str, clock: Clock) -> None:
    """Once an hour: day partitions of the outbox ahead of time, old ones dropped."""
    while True:
        await clock.pause(3600)
        with contextlib.suppress(*TRANSIENT_ERRORS):
            await migrations.tend(dsn, clock.real())
