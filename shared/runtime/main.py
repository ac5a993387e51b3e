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
from shared.runtime.kafka import KafkaTransport, declare_topics
from shared.runtime.roles import roles_of
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import SharedClock
from shared.runtime.watchdog import Watchdog
from shared.runtime.web import web_app

STOP_SECONDS = 25

Build = Callable[[Settings], Service]
log = structlog.get_logger()


def run(build: Build) -> None:
    """The body of `python -m services.<name>`."""
    try:
        settings = Settings()
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False):
            sys.stderr.write(f"setting {'.'.join(map(str, wrong['loc'])).upper()}: {wrong['msg']}\n")
        raise SystemExit(78) from None
    signal.signal(
        signal.SIGTERM, lambda *_: None
    )  # uvicorn ends gracefully, then raises the signal again: it has been obeyed
    uvloop.run(_serve(build(settings), settings))


async def _serve(service: Service, settings: Settings) -> None:
    logs.configure(service.name, settings.replica, settings.log_level)
    logs.loop_errors(asyncio.get_running_loop())
    tracing.configure(service.name, settings.replica, settings.otlp_endpoint)
    clock = Clock()
    dsn = settings.dsn(service.name)
    await migrations.migrate(dsn, service.migrations, clock.real())
    await declare_topics(settings)
    database = await Database.open(dsn, roles_of(dsn.rpartition("/")[2]), settings.database_pool)
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
            tending = asyncio.create_task(_tend(dsn, clock))
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


async def _tend(dsn: str, clock: Clock) -> None:
    """Once an hour: day partitions of the outbox ahead of time, old ones dropped."""
    while True:
        await clock.pause(3600)
        with contextlib.suppress(*TRANSIENT_ERRORS):
            await migrations.tend(dsn, clock.real())
