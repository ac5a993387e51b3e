"""Calls to the outside world as an operator sees them: how long each took and how it ended; a line for each that failed, and an alarm when
it goes on. A call that raised, an answer called `Unknown` and files that are late say nothing of what happened; a refusal is an answer.
"""

import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from shared.runtime.facts import ids_in
from shared.runtime.metrics import CALL_FAILING_SINCE, CALL_SECONDS

A = TypeVar("A")
NO_ANSWER = frozenset({"Unknown", "FilesDelayed"})
REFUSALS = frozenset({"Refused", "Rejected", "Failed", "FormDied", "NoAddress"})
ALARM_AFTER_SECONDS, ALARM_AGAIN_SECONDS = 60.0, 300.0
"""Nothing but failures for so long is an alarm, which comes again as long as it lasts."""
REASON_MAX = 80

log = structlog.get_logger()


@dataclass
class _Failing:
    """A row of failures without an answer between them."""

    since: float
    alarm_at: float
    failures: int = 0


class Calls:
    """What one worker asks of the outside."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failing: _Failing | None = None

    async def observed(self, claimed: object, call: Awaitable[A]) -> A:
        """Called within the trace of the row, so that the line has it."""
        started = time.monotonic()
        try:
            answer = await call
        except Exception as error:
            self._failed("raised", started, claimed, type(error).__name__)
            raise
        if answer is None:
            return answer  # nobody outside was asked
        result = type(answer).__name__
        if result in NO_ANSWER:
            self._failed(result, started, claimed, _reason(answer))
            return answer
        self._failing = None
        CALL_FAILING_SINCE.labels(self._name).set(0)
        seconds = self._ended(result, started)
        if result in REFUSALS:
            words = {"call": self._name, "result": result, "reason": _reason(answer), "seconds": seconds}
            log.warning("outside_call_refused", **(ids_in(claimed) | words))
        return answer

    def _failed(self, result: str, started: float, claimed: object, reason: str) -> None:
        seconds, now = self._ended(result, started), time.monotonic()
        words: dict[str, object] = {"call": self._name, "result": result, "reason": reason, "seconds": seconds}
        log.warning("outside_call_failed", **(ids_in(claimed) | words))
        self._failing = self._failing or _Failing(started, started + ALARM_AFTER_SECONDS)
        self._failing.failures += 1
        CALL_FAILING_SINCE.labels(self._name).set(now - self._failing.since)
        if now >= self._failing.alarm_at:
            self._failing.alarm_at = now + ALARM_AGAIN_SECONDS
            row = {"failures": self._failing.failures, "failing_seconds": round(now - self._failing.since)}
            log.error("outside_call_keeps_failing", call=self._name, reason=reason, **row)

    def _ended(self, result: str, started: float) -> float:
        seconds = time.monotonic() - started
        CALL_SECONDS.labels(self._name, result).observe(seconds)
        return round(seconds, 3)


def _reason(answer: object) -> str:
    """A code, a status or a kind of error; never the text of the other side."""
    said = getattr(answer, "reason", None) or getattr(answer, "code", None) or ""
    words = str(said)
    return words if words.isascii() and "@" not in words and len(words) <= REASON_MAX else ""
