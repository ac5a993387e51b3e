"""Rendering in a process of its own, so that the event loop never waits for it and one bad invoice can hurt nothing else.

The process (`worker.py`) is started by the first invoice and then stays. It imports what drawing needs and nothing more, is
given no secret, may use a bounded memory, and is killed when an invoice takes too long. It ends when the service ends, even a
killed one, because the pipe it reads from is closed then; the workers of a ProcessPoolExecutor outlive a killed parent and
can't be stopped singly.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Self

from services.invoicing.invoice_files.face import InvoiceFace
from services.invoicing.invoice_files.rendering.frames import (
    HEADER_BYTES,
    RenderedFile,
    files_of,
    frame_of_face,
    length_of,
)

ROOT = Path(__file__).resolve().parents[4]
"""Where `services` and `shared` lie."""
PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "PYTHONTZPATH")
END_SECONDS = 5.0


class RenderFailed(Exception):  # noqa: N818 - it names what happened
    """No files came: drawing took too long, or its process ended, with the error's name on standard error."""


class Renderer:
    """`async with Renderer() as renderer: await renderer.render(face)`. One a service; starting and closing it costs nothing."""

    def __init__(self, processes: int = 1, timeout_seconds: float = 30.0, fallback_font: Path | None = None) -> None:
        self._timeout_seconds = timeout_seconds
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        self._workers = [_Worker(fallback_font) for _ in range(processes)]
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def render(self, face: InvoiceFace) -> list[RenderedFile]:
        """PDF and XML, or RenderFailed; the next call starts a new process then."""
        worker = await self._idle.get()
        try:
            return await asyncio.wait_for(worker.render(face), self._timeout_seconds)
        except TimeoutError as late:
            raise RenderFailed(f"drawing {face.number} took more than {self._timeout_seconds} s") from late
        finally:
            self._idle.put_nowait(worker)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets finish what is being drawn, then ends the processes."""
        for worker in [await self._idle.get() for _ in self._workers]:
            await worker.end()
            self._idle.put_nowait(worker)


class _Worker:
    """One process and its two pipes, started when needed. Used by one caller at a time."""

    def __init__(self, fallback_font: Path | None) -> None:
        self._arguments = [] if fallback_font is None else [str(fallback_font.resolve())]
        self._process: Process | None = None

    async def render(self, face: InvoiceFace) -> list[RenderedFile]:
        self._process = process = self._process or await self._start()
        files: list[RenderedFile] | None = None
        try:
            files = await _ask(process, face)
        except (asyncio.IncompleteReadError, ConnectionError) as broken:
            raise RenderFailed(f"the drawing process ended while drawing {face.number}") from broken
        except ValueError as nonsense:
            raise RenderFailed(f"the drawing process answered nonsense for {face.number}") from nonsense
        finally:
            if files is None:  # half an answer may be in the pipe: it can't be used again
                self._process = None
                await _kill(process)
        return files

    async def end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            await _kill(process)

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.invoicing.invoice_files.rendering.worker", *self._arguments),
            stdin=PIPE,
            stdout=PIPE,
            env=environment(),
        )


def environment() -> dict[str, str]:
    """Of the service's, only what Python needs to find itself and us."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed_on | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), passed_on.get("PYTHONPATH")]))}


async def _ask(process: Process, face: InvoiceFace) -> list[RenderedFile]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(frame_of_face(face))
    await process.stdin.drain()
    length = length_of(await process.stdout.readexactly(HEADER_BYTES))
    return files_of(await process.stdout.readexactly(length))


async def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
