"""Looks every second whether this process still gets its work done; says what stands still, and ends the process if a new one would do
better: a supervisor starts it. A broken consumer of the client library looks healthy from outside for ever.

Two more look whether the looking goes on: a thread, which ends a process whose event loop is blocked, and a timer of the interpreter,
which ends one where even that thread cannot run, because something holds the lock that all threads of Python need.
"""

import faulthandler
import json
import os
import threading
import time
from datetime import UTC, datetime

import structlog

from shared.runtime.dependencies import Dependencies
from shared.runtime.metrics import LAG, LOOP_LAG, UNHEALTHY
from shared.runtime.service import Runtime

LOOK_SECONDS = 1.0
LOOP_BLOCKED_SECONDS = 20.0
THREADS_BLOCKED_SECONDS = 60
TOLD_AGAIN_SECONDS = 60.0
SUSPENDED_SECONDS = 5.0
"""If even the thread comes so late, the whole process was stopped, and the loop gets its time anew."""
EXIT_STATUS = 70

log = structlog.get_logger()


class Watchdog:
    """`reason` is why the process ends, `unhealthy` is all that stands still, whether or not a new process would mend it."""

    def __init__(self, runtime: Runtime, blocked_seconds: float = LOOP_BLOCKED_SECONDS) -> None:
        self.runtime = runtime
        self._blocked_seconds = blocked_seconds
        self._reason: str | None = None
        self._looked_at = time.monotonic()
        self._told_at: dict[str, float] = {}
        self._done = threading.Event()
        self.dependencies = Dependencies(runtime)
        self.told: dict[str, str] = {}
        """What else is not as it should be, as whoever tends it says."""

    def reason(self) -> str | None:
        return self._reason

    async def run(self) -> None:
        """Until the graceful end. `guard` sees to it that it goes on."""
        clock = self.runtime.clock
        while not self._done.is_set():
            self._looked_at, before = time.monotonic(), clock.monotonic()
            await clock.pause(LOOK_SECONDS)
            LOOP_LAG.set(clock.monotonic() - before - LOOK_SECONDS)
            self._tell()
            if not self._done.is_set() and (reason := self.look()) is not None:
                self._reason = reason
                log.error("watchdog_ends_process", reason=reason)
                os._exit(EXIT_STATUS)

    def look(self) -> str | None:
        """Why a new process would do better. It asks nobody: what it goes by is in this process."""
        if (failed := self.runtime.failed_task()) is not None:
            return f"a task has ended: {type(failed).__name__}"
        if (reason := self.runtime.went_back()) is not None:
            return reason
        since = self.dependencies.possible_since()
        runtime = self.runtime
        reasons = (one.broken(since) for one in (runtime.transport, runtime.relay, *runtime.runners))
        return next((reason for reason in reasons if reason is not None), None)

    def unhealthy(self) -> dict[str, str]:
        """By what it is about: what stands still although it has work that could be done."""
        since = self.dependencies.possible_since()
        runtime = self.runtime
        found: dict[str, str | None] = {
            "consumers": runtime.transport.unhealthy(since),
            "relay": runtime.relay.unhealthy(since),
        }
        found |= {f"worker {runner.worker.name}": runner.unhealthy(since) for runner in runtime.runners}
        found |= self.told
        found |= {f"records of {name}": _asked(consumer) for name, consumer in runtime.consumers.items()}
        return {what: text for what, text in found.items() if text is not None}

    def _tell(self) -> None:
        """Metrics at each look; a line in the log when it begins, and each minute while it lasts."""
        for (consumer, topic), count in self.runtime.transport.lag().items():
            LAG.labels(consumer, topic).set(count)
        found, now = self.unhealthy(), time.monotonic()
        for what in self._told_at.keys() - found.keys():
            UNHEALTHY.labels(what).set(0)
            log.info("healthy_again", what=what)
            del self._told_at[what]
        for what, text in found.items():
            UNHEALTHY.labels(what).set(1)
            if now - self._told_at.get(what, -TOLD_AGAIN_SECONDS) >= TOLD_AGAIN_SECONDS:
                log.error("unhealthy", what=what, text=text)
                self._told_at[what] = now

    # off the event loop

    def guard(self) -> None:
        """From here on a loop that is blocked ends the process."""
        self._looked_at = time.monotonic()
        threading.Thread(target=self._guard, name="watchdog", daemon=True).start()

    def release(self) -> None:
        """At a graceful end, which has a deadline of its own."""
        self._done.set()
        faulthandler.cancel_dump_traceback_later()

    def _guard(self) -> None:
        woke_at = time.monotonic()
        while not self._done.wait(LOOK_SECONDS):
            faulthandler.dump_traceback_later(THREADS_BLOCKED_SECONDS, exit=True)
            now = time.monotonic()
            if now - woke_at > SUSPENDED_SECONDS:
                self._looked_at = now
            woke_at = now
            if now - self._looked_at > self._blocked_seconds:
                end_process("the event loop is blocked")


def end_process(reason: str) -> None:
    """Without a lock that whoever is blocked may hold, such as the one of the log."""
    line = {"reason": reason, "level": "error", "timestamp": datetime.now(UTC).isoformat()}
    os.write(2, json.dumps({"event": "watchdog_ends_process"} | line).encode() + b"\n")
    os._exit(EXIT_STATUS)


def _asked(consumer: object) -> str | None:
    """What a consumer's pipeline says of itself."""
    ask = getattr(consumer, "unhealthy", None)
    return None if ask is None else ask()
