"""A service as a process: migrate, declare topics, serve HTTP, consume; at SIGTERM stop, within STOP_SECONDS whatever happens."""

import asyncio
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import ValidationError

from shared.runtime import health, heap, logs, migrations, retention, tracing
from shared.runtime.clock import Clock, SteppedClock, uuid7
from shared.runtime.database import Database
from shared.runtime.dsn import name_of
from shared.runtime.kafka import KafkaTransport, declare_topics
from shared.runtime.listening import server_of
from shared.runtime.parking import Parking
from shared.runtime.retention import Retention
from shared.runtime.roles import powers, roles_of
from shared.runtime.service import Runtime, Service
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import SharedClock
from shared.runtime.watchdog import Watchdog, end_process
from shared.runtime.web import limits_of, listeners_of

SPANS_SECONDS = 2.0
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
    stopping = Deadline(settings.stop_seconds)
    for each in (signal.SIGTERM, signal.SIGINT):  # uvicorn ends gracefully, then raises it again: it has been obeyed
        signal.signal(each, lambda *_: stopping.begin())
    uvloop.run(_serve(build(settings), settings, stopping))
    _leave()


class Deadline:
    """Of a graceful stop, counted from its beginning. A thread, so that it holds whatever the event loop waits for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, end_process, ["the graceful stop took too long"])
            self._timer.daemon = True
            self._timer.start()


class Server(uvicorn.Server):
    """Tells the deadline when it is told to stop: uvicorn's handler of signals is in place of ours while it serves."""

    def __init__(self, config: uvicorn.Config, stopping: Deadline) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.begin()
        super().handle_exit(sig, frame)


def _leave() -> None:
    """The exporter of traces would wait for an endpoint that hangs, and so would the interpreter's own end."""
    flushing = threading.Thread(target=tracing.flush, daemon=True)
    flushing.start()
    flushing.join(SPANS_SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _serve(service: Service, settings: Settings, stopping: Deadline) -> None:
    replica = settings.replica or f"{socket.gethostname()}-{secrets.token_hex(3)}"
    logs.configure(service.name, replica, settings.log_level)
    logs.loop_errors(asyncio.get_running_loop())
    tracing.configure(service.name, replica, settings.otlp_endpoint)
    clock = SteppedClock(Path(settings.wall_clock_file)) if settings.wall_clock_file else Clock()
    dsn, owner_dsn = settings.dsn(service.name), settings.migration_dsn(service.name)
    await migrations.migrate(owner_dsn, service.migrations)
    await declare_topics(settings)
    database = await Database.open(dsn, roles_of(name_of(dsn)), settings.pools)
    await _refuse_powers(database, settings)
    transport, others = KafkaTransport(settings, service.name, clock), settings.types_not_ours()
    parking = Parking.from_setting(settings.parking_key.get_secret_value())
    runtime = Runtime(service, database, transport, clock, uuid7, replica, others, parking)
    watchdog = Watchdog(runtime)
    kept = Retention(settings.outbox_days, settings.inbox_days, settings.parked_days, service.kept)
    shared = SharedClock(settings, f"{service.name}-{replica}", clock) if settings.clock == "test" else None

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
            stack.callback(watchdog.dependencies.close)
            for work in (
                watchdog.run(),
                watchdog.dependencies.run(),
                health.refresh_gauges(runtime),
                health.tend_partitions(owner_dsn, watchdog, kept.outbox_days),
                retention.sweep_for_ever(owner_dsn, watchdog, kept),
                health.tend_parked(runtime),
            ):
                runtime.spawn(work)
            heap.freeze()
            watchdog.guard()
            stack.callback(watchdog.release)
            log.info("started")
            yield
        log.info("stopped")

    app, listeners = listeners_of(runtime, settings, watchdog, shared)
    app.router.lifespan_context = lifespan
    server, sockets = server_of(listeners, app, limits_of(settings), partial(Server, stopping=stopping))
    await server.serve(sockets=sockets)
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
