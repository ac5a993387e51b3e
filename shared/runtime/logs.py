"""Structured logs: one JSON object a line, ours and those of every library alike, with service, replica, trace and span.

Nobody logs a message, a key or an exception's text: they may be personal. Of what a library writes only its own words are kept, of a
traceback only the kinds of the errors and the places.
"""

import asyncio
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog

from shared.contracts.topics import TOPICS
from shared.runtime import tracing

HIDDEN = "…"
WORDS_MAX, FRAMES_MAX, CAUSES_MAX = 200, 12, 4
OUR_TEXTS = "shared.runtime."
"""Errors that are made here say what to do and never quote a record."""
_names = re.compile(r"(?:[a-z]+\.)?(?:" + "|".join(map(re.escape, TOPICS)) + r")")
_may_be_a_value = re.compile(r"""'[^']*'|"[^"]*"|<[^>]*>|\S*(?:@|[^\x00-\x7f]|\d{5})\S*|=\S+""")

Error = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class _Lines:
    """Looks `sys.stderr` up at each line, so that it can be led elsewhere."""

    def msg(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    log = debug = info = warning = error = critical = msg


def configure(service: str, replica: str, level: str) -> None:
    """For this process. May be repeated."""
    whose = {"service": service, "replica": replica}

    def with_origin(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401
        return whose | tracing.ids() | dict(event)

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            with_origin,
            structlog.processors.JSONRenderer(default=lambda one: type(one).__name__),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(LibraryLines(whose))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in [*logging.root.manager.loggerDict]:  # some libraries bring handlers of their own
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda found: _uncaught(found.exc_type, found.exc_value, found.exc_traceback)
    sys.unraisablehook = lambda found: _uncaught(found.exc_type, found.exc_value, found.exc_traceback)


class _Stderr:
    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class LibraryLines(logging.Formatter):
    """A line of a library in our shape. Values that it puts into its words are left out unless they are names or numbers of ours."""

    def __init__(self, whose: Mapping[str, str]) -> None:
        super().__init__()
        self._whose = whose

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            **self._whose,
            **tracing.ids(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
            "event": own_words(record),
        }
        return json.dumps(
            line | told(record.exc_info or (None, None, None)),
        )


def own_words(record: logging.LogRecord) -> str:
    """What the library wrote, without what it was given."""
    template = str(record.msg).strip().partition("\n")[0]
    if not record.args:
        return _may_be_a_value.sub(HIDDEN, template)[:WORDS_MAX]
    arguments = record.args
    try:
        if isinstance(arguments, Mapping):
            return (template % {name: _shown(one) for name, one in arguments.items()})[:WORDS_MAX]
        return (template % tuple(map(_shown, arguments)))[:WORDS_MAX]
    except (TypeError, ValueError, KeyError):
        return template[:WORDS_MAX]


def _shown(argument: object) -> object:
    if argument is None or isinstance(argument, bool | float):
        return argument
    if isinstance(argument, int):
        return argument if abs(argument) < 10_000 else HIDDEN
    if isinstance(argument, BaseException):
        return type(argument).__name__
    if isinstance(argument, type):
        return argument.__name__
    found = sorted(set(_names.findall(str(argument))))
    return ", ".join(found) or HIDDEN


def told(error: Error) -> dict[str, Any]:
    """Of an error: its kind and those of its causes, and where it happened; its text only if we wrote it."""
    kind, found, _ = error
    if kind is None or found is None:
        return {}
    causes: list[BaseException] = []
    cause: BaseException | None = found
    while cause is not None and len(causes) < CAUSES_MAX:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(causes[-1].__traceback__)
    ]
    line: dict[str, Any] = {"error": kind.__name__, "at": frames[-FRAMES_MAX:]}
    if len(causes) > 1:
        line["because"] = [type(one).__name__ for one in causes[1:]]
    if kind.__module__.startswith(OUR_TEXTS):
        line["text"] = str(found)
    return line


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("uncaught", **told((kind, error, trace)))


def loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """What nobody waited for; asyncio's own line would quote the task and its error."""

    def heard(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        words = _may_be_a_value.sub(HIDDEN, str(context.get("message", "")).partition("\n")[0])[:WORDS_MAX]
        known = told((type(error), error, error.__traceback__)) if isinstance(error, BaseException) else {}
        structlog.get_logger().error("nobody_waited", logger="asyncio", words=words, **known)

    loop.set_exception_handler(heard)
