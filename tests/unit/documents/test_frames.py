"""What travels between the service and its drawing process is data: it comes out as it went in, and can do nothing on the way."""

import io
import os
import pickle
from datetime import timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoicing.invoice_files.face import FaceLine, InvoiceFace
from services.invoicing.invoice_files.rendering.frames import (
    FRAME_MAX,
    HEADER_BYTES,
    RenderedFile,
    face_of,
    files_of,
    frame_of_face,
    frame_of_files,
    length_of,
)
from services.invoicing.invoice_files.rendering.render import render
from tests.support.source import PYTHON, imports, name
from tests.unit.documents.faces import LINE, a_face, some_lines

UNPICKLERS = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib"}


def through(frame: bytes) -> bytes:
    """What the other end reads."""
    pipe = io.BytesIO(frame)
    body = pipe.read(length_of(pipe.read(HEADER_BYTES)))
    assert pipe.read() == b""
    return body


@pytest.mark.parametrize(
    "face",
    [
        a_face(),
        a_face(*some_lines(40)),
        a_face(FaceLine("*a*b", -1, 6, 0, "1", quantity=Decimal("-0.10"), unit_price=None), requested_at=None),
        a_face(issued_at=a_face().issued_at.astimezone(timezone(timedelta(hours=8)))),
        a_face(remark='"引号" \\ \n 𠮷 \ud800'),
    ],
)
def test_a_face_comes_out_as_it_went_in(face: InvoiceFace) -> None:
    assert face_of(through(frame_of_face(face))) == face


def test_the_same_files_are_drawn_of_it() -> None:
    face = a_face(*some_lines(3))
    assert render(face_of(through(frame_of_face(face)))) == render(face)
    files = render(face)
    assert files_of(through(frame_of_files(files))) == files


def test_bytes_stay_bytes() -> None:
    files = [RenderedFile(f"{n}.pdf", "application/pdf", bytes(range(256)) * n, "", "〓") for n in range(3)]
    found = files_of(through(frame_of_files(files)))
    assert [(one.name, one.content, one.missing) for one in found] == [(o.name, o.content, o.missing) for o in files]


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


@given(st.binary(max_size=200))
def test_whatever_else_comes_is_refused_with_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - one kind of error is what is meant
        files_of(body)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{}",
        b'{"files": {}}',
        b'{"files": [1]}',
        b'{"files": [{"name": "a", "media_type": "b", "size": true, "missing": ""}]}',
        b'{"files": [{"name": "a", "media_type": "b", "size": -1, "missing": ""}]}',
        b'{"files": [{"name": "a", "media_type": "b", "size": 9, "missing": ""}]}',
        b'{"files": [{"name": "a", "media_type": "b", "size": 0, "missing": "", "more": 1}]}',
        b"[" * 100_000,
        pickle.dumps(Evil()),
    ],
)
def test_a_text_that_is_no_list_of_files_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        files_of(len(text).to_bytes(HEADER_BYTES, "big") + text)


def test_a_frame_has_a_limit() -> None:
    with pytest.raises(ValueError, match="out of step"):
        length_of((FRAME_MAX + 1).to_bytes(HEADER_BYTES, "big"))


def test_a_line_keeps_its_exact_figures() -> None:
    face = face_of(through(frame_of_face(a_face(LINE))))
    assert str(face.lines[0].quantity) == "744.50"


def test_nobody_reads_a_format_that_can_run_code() -> None:
    """Pickle and its like: not on a pipe of our own either."""
    ours = [path for path in PYTHON if not name(path).startswith("tests/")]
    assert [f"{name(path)}: {m}" for path in ours for m in imports(path) if m.split(".")[0] in UNPICKLERS] == []
