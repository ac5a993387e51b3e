"""A stand-in for the outside as a process that a test may kill and start again on the same storage."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from deploy.local import folders, process
from deploy.local.ports import LOOPBACK
from deploy.local.process import Child, Command

READY_SECONDS = 30.0


@dataclass
class Sandbox:
    """One sandbox process on ports of its own; killed and started again on the same storage."""

    name: str
    folder: Path
    port: int
    more: dict[str, str]
    running: Child | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        settings = {"HTTP_HOST": LOOPBACK, "HTTP_PORT": str(self.port), "SANDBOX_DIR": str(self.folder)}
        argv = [sys.executable, "-m", f"deploy.sandbox.{self.name}"]
        self.running = process.start(
            Command(self.name, argv, os.environ | settings | self.more, None, folders.CHECKOUT)
        )
        await self._until_ready(time.monotonic() + READY_SECONDS)

    async def _until_ready(self, deadline: float) -> None:
        async with httpx2.AsyncClient() as client:
            while time.monotonic() < deadline:
                assert self.running is not None
                assert self.running.alive, f"{self.name} ended with {self.running.exit_status}"
                try:
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.05)
        raise TimeoutError(self.name)

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()

    def ask_to_stop(self) -> int:
        assert self.running is not None
        self.running.ask_to_stop()
        return self.running.popen.wait(timeout=10)

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        async with httpx2.AsyncClient(base_url=self.url) as client:
            return (await client.get(path)).json()

    async def post(self, path: str, body: object) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.url) as client:
            return await client.post(path, json=body)


Start = Callable[..., Awaitable[Sandbox]]
