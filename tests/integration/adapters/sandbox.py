"""A stand-in for the outside as a process that a test may kill and start again on the same storage."""

import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from deploy.demo.client import eventually
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
        await eventually(f"answer of {self.name}", self._is_ready, READY_SECONDS)

    async def _is_ready(self) -> bool:
        assert self.running is not None
        assert self.running.alive, f"{self.name} ended with {self.running.exit_status}"
        async with httpx2.AsyncClient() as client:
            with suppress(httpx2.TransportError):
                return (await client.get(f"{self.url}/readyz")).status_code == 200
        return False

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
