"""`make run`: one supervisor per checkout. It holds the lock, brings the stack up, plays the scenario, and takes
everything down again however it is ended."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from deploy.local import folders, notes, plan
from deploy.local.kafka import cluster
from deploy.local.options import Options
from deploy.local.process import LIBC, PR_SET_PDEATHSIG, CannotStartError, reap_leftovers
from deploy.local.stack import Stack, keep_previous_logs, say

DAEMON_FLAG = "--daemon"
NO = {"0", "false", "no", "off"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(options: Options) -> int:
    """In the foreground, until Ctrl-C; or in the background when DETACH asks for it."""
    if options.detach and not options.run_exit:
        return _in_background()
    # Whoever started us may be killed without a word; then we end politely.
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    return _supervise(options, lambda _status: None)


def run_as_daemon(options: Options, report_to: int) -> int:
    """The background half: tells the foreground how the scenario ended, then lets go of its terminal."""

    def report(status: int) -> None:
        log = os.open(folders.LOGS / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.write(report_to, f"{status}\n".encode())
        os.close(report_to)

    return _supervise(options, report)


def _in_background() -> int:
    reads, writes = os.pipe()
    argv = [sys.executable, "-m", "deploy.local", "run", DAEMON_FLAG, str(writes)]
    daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=(writes,))
    os.close(writes)
    with os.fdopen(reads) as answer:
        try:
            reported = answer.readline()
        except KeyboardInterrupt:
            daemon.terminate()
            return daemon.wait() or 130
    if not reported:
        return daemon.wait() or 1
    status = int(reported)
    return status if status == 0 else daemon.wait() or status


def _supervise(options: Options, report: Callable[[int], None]) -> int:
    held = notes.take_lock()
    if held is None:
        raise CannotStartError(_first_is_up())
    with held:
        try:
            return asyncio.run(_main(_prepared(options), report))
        finally:
            notes.clear()


def _prepared(options: Options) -> Stack:
    """Everything that may take long or fail before the first program starts."""
    state = state_of(options)
    notes.clear()
    notes.write_supervisor()
    left = reap_leftovers(folders.make(folders.make(state) / "running", 0o700))
    if left:
        notes.tell(f"ended what an earlier run left behind: {', '.join(left)}")
    keep_previous_logs()
    return Stack(options, state, None if options.kafka_bootstrap else cluster.programs(options.environ))


def state_of(options: Options) -> Path:
    """A cluster of three keeps other data than a single node: its offsets mean something else. One with logins has users in its data."""
    state = folders.state_folder(options.environ)
    name = state.name + ("-secure" if options.secure else "")
    return state.with_name(name if options.kafka_nodes == 1 else f"{name}-{options.kafka_nodes}-nodes")


async def _main(stack: Stack, report: Callable[[int], None]) -> int:
    asked, at_once = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (at_once if asked.is_set() else asked).set()

    for each in SIGNALS:
        # Whoever started us with nohup wants SIGHUP ignored.
        if signal.getsignal(each) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(each, on_signal)
    working = asyncio.create_task(_work(stack, report))
    tasks = {working, asyncio.create_task(stack.watch()), asyncio.create_task(asked.wait())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return working.result() if working in done else 0
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, CannotStartError):
                await task
        # From here on the first signal ends everything at once.
        asked.set()
        await stack.down(at_once)


async def _work(stack: Stack, report: Callable[[int], None]) -> int:
    began = monotonic()
    await stack.up()
    stack.on_change = lambda: _write_endpoints(stack)
    _write_endpoints(stack)
    notes.tell(
        f"everything is ready after {monotonic() - began:.1f} s, with the data in {stack.state}{_other_data(stack)}"
    )
    status = await _demo(stack)
    if status != 0:
        notes.tell(f"the demo scenario failed with status {status}: look at var/log")
    if not stack.options.run_exit and (status == 0 or not stack.options.detach):
        say(_where_to_look(stack))
        report(status)
        await asyncio.Event().wait()
    return status


def _write_endpoints(stack: Stack) -> None:
    assert stack.planned is not None, "endpoints are known once the stack is up"
    programs = (*stack.planned.sandbox, *stack.planned.services)
    notes.write_endpoints(
        {
            **plan.endpoints(stack.planned),
            "state": str(stack.state),
            "settings": dict(stack.planned.shared),
            "ready": {each.name: each.ready_url for each in programs},
            "pids": {"supervisor": os.getpid(), **stack.pids()},
        }
    )


async def _demo(stack: Stack) -> int:
    if stack.options.environ.get("DEMO", "").lower() in NO:
        notes.tell("without the demo, as DEMO says")
        return 0
    return await stack.scenario()


def _other_data(stack: Stack) -> str:
    """Three nodes keep data of their own; who has made invoices with one node looks for them in vain."""
    if stack.options.kafka_nodes == 1 or stack.options.kafka_bootstrap:
        return ""
    return f"; KAFKA_NODES={stack.options.kafka_nodes} has its own, those of a single node are untouched and not shown"


def _where_to_look(stack: Stack) -> str:
    """Only what answers."""
    assert stack.planned is not None, "endpoints are known once the stack is up"
    ending = "make stop" if stack.options.detach else "Ctrl-C"
    gateway = stack.planned.shared["GATEWAY_URL"]
    return (
        f"API {gateway}/v1, described at {gateway}/openapi.json   logs var/log   addresses make status   end {ending}"
    )


def _first_is_up() -> str:
    known = notes.read_endpoints()
    where = f"gateway {known['gateway']}, kafka {known['kafka']}" if known else "it is still starting"
    return f"this checkout's stack is already running ({where}): type make status or make stop"
