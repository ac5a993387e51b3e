"""Both files of an invoice, and the process that makes them: started once, never in the way, never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

import pytest

from deploy.demo.client import eventually
from services.invoicing.invoice_files.face import FaceParty
from services.invoicing.invoice_files.rendering.frames import frame_of_face
from services.invoicing.invoice_files.rendering.render import render
from services.invoicing.invoice_files.rendering.renderer import PASSED_ON, ROOT, Renderer, RenderFailed, environment
from tests.unit.documents.faces import LINE, NUMBER, a_face, some_lines

WORKER = "services.invoicing.invoice_files.rendering.worker"
ORPHAN = """
import asyncio, os, signal
from services.invoicing.invoice_files.rendering.renderer import Renderer
from tests.unit.documents.faces import a_face
async def main():
    renderer = Renderer()
    await renderer.render(a_face())
    print(renderer._workers[0]._process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    async with Renderer() as renderer:
        yield renderer


async def is_gone(pid: int) -> bool:
    """Within ten seconds."""

    async def look() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    return await eventually(f"end of process {pid}", look, 10)


def pid_of(renderer: Renderer) -> int:
    process = renderer._workers[0]._process
    assert process is not None
    return process.pid


def test_an_invoice_is_a_pdf_and_an_xml_named_after_its_number() -> None:
    documents = render(a_face())
    assert [(document.name, document.media_type) for document in documents] == [
        (f"{NUMBER}.pdf", "application/pdf"),
        (f"{NUMBER}.xml", "application/xml"),
    ]
    assert [document.content[:5] for document in documents] == [b"%PDF-", b"<?xml"]
    assert all(document.sha256 == sha256(document.content).hexdigest() for document in documents)


def test_a_document_says_which_characters_it_could_not_show() -> None:
    pdf, xml = render(a_face(buyer=FaceParty("张𱁬公司"), remark="😀𱁬"))
    assert (pdf.missing, xml.missing) == ("😀𱁬", "")


async def test_the_process_makes_the_very_bytes_and_is_started_once_by_the_first_document(renderer: Renderer) -> None:
    assert renderer._workers[0]._process is None
    face = a_face(*some_lines(40))
    assert await renderer.render(face) == render(face)
    first = pid_of(renderer)
    await asyncio.gather(*(renderer.render(face) for _ in range(3)))
    assert pid_of(renderer) == first


async def test_the_event_loop_goes_on_while_a_long_document_is_drawn(renderer: Renderer) -> None:
    await renderer.render(a_face())
    drawing = asyncio.create_task(renderer.render(a_face(*some_lines(500))))
    turns = 0
    while not drawing.done():
        await asyncio.wait([drawing], timeout=0.01)
        turns += 1
    assert turns > 10
    assert len((await drawing)[0].content) > 100_000


async def test_what_takes_too_long_is_killed_and_the_next_document_is_drawn(renderer: Renderer) -> None:
    await renderer.render(a_face())
    slow = pid_of(renderer)
    renderer._timeout_seconds = 0.01
    with pytest.raises(RenderFailed, match="took more than"):
        await renderer.render(a_face(*some_lines(500)))
    assert await is_gone(slow)
    renderer._timeout_seconds = 30
    assert await renderer.render(a_face()) == render(a_face())


async def test_a_process_that_died_is_replaced(renderer: Renderer) -> None:
    await renderer.render(a_face())
    os.kill(pid_of(renderer), signal.SIGKILL)
    with pytest.raises(RenderFailed, match="ended while drawing"):
        await renderer.render(a_face())
    assert await renderer.render(a_face()) == render(a_face())


async def test_a_cancelled_document_does_not_get_in_the_way_of_the_next(renderer: Renderer) -> None:
    drawing = asyncio.create_task(renderer.render(a_face(*some_lines(500))))
    await asyncio.wait([drawing], timeout=0.01)
    drawing.cancel()
    await asyncio.wait([drawing])
    assert await renderer.render(a_face()) == render(a_face())


async def test_the_process_ignores_the_signals_of_its_group_and_ends_when_closed(renderer: Renderer) -> None:
    await renderer.render(a_face())
    pid = pid_of(renderer)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    await renderer.render(a_face())
    assert pid_of(renderer) == pid
    await renderer.close()
    assert await is_gone(pid)


def test_the_process_is_given_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALING_KEY", "not for drawing")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert set(environment()) <= set(PASSED_ON)
    assert environment()["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "elsewhere"]


async def test_the_process_ends_when_the_service_is_killed() -> None:
    service = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", ORPHAN], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert service.returncode == -signal.SIGKILL
    assert await is_gone(int(service.stdout))


def test_last_words_tell_the_error_and_the_place_but_not_the_text() -> None:
    face = a_face(replace(LINE, tax_percent="张三"))  # type: ignore[arg-type]
    worker = subprocess.run(
        [sys.executable, "-m", WORKER], cwd=ROOT, input=frame_of_face(face), capture_output=True, check=False
    )
    assert worker.returncode == 1
    assert worker.stdout == b""
    words = worker.stderr.decode()
    assert words.startswith("drawing an invoice ended in InvalidOperation at xml.py:")
    assert words.count("\n") == 1


def test_the_service_itself_does_not_load_the_drawing_library() -> None:
    look = "import sys, services.invoicing.invoice_files.rendering.renderer"
    check = f"{look}; sys.exit('reportlab' in sys.modules or 'segno' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0
