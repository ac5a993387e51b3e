"""Log lines of a test, read back: every line is one JSON object, or the test fails."""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from shared.runtime import logs

Line = dict[str, Any]


@contextmanager
def logging_as(service: str, level: str = "INFO") -> Iterator[None]:
    """As a process of a service logs; put back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    logs.configure(service, "1", level)
    try:
        yield
    finally:
        root.handlers[:], level_before, sys.excepthook, threading.excepthook, sys.unraisablehook = before
        root.setLevel(level_before)
        logging.captureWarnings(False)
        structlog.reset_defaults()


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[Line]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def told(lines: list[Line], event: str) -> list[Line]:
    return [line for line in lines if line["event"] == event]
