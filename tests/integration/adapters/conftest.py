"""Sandbox processes on ports of their own, which end with the test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK, Ports
from services.notification.channels.adapters.mail import SmtpMailSender
from tests.integration.adapters.sandbox import Sandbox, Start


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as chosen:
        yield chosen


@pytest.fixture
async def start(ports: Ports, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a sandbox process; all of them end with the test."""
    started: list[Sandbox] = []

    async def start_one(name: str, **more: str) -> Sandbox:
        started.append(Sandbox(name, tmp_path / name, ports.any_free(1)[0], more))
        await started[-1].start()
        return started[-1]

    yield start_one
    for one in started:
        one.kill()


@pytest.fixture
async def sink(start: Start, ports: Ports) -> AsyncIterator[tuple[Sandbox, SmtpMailSender]]:
    (port,) = ports.any_free(1)
    sandbox = await start("smtp_sink", SMTP_HOST=LOOPBACK, SMTP_PORT=str(port))
    async with SmtpMailSender(LOOPBACK, port, "kaipiao@example.test") as sender:
        yield sandbox, sender
