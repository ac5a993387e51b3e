"""The whole stack as a user meets it: how long until it is ready, how much memory, how long a request takes."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from deploy.demo.client import Customer, eventually
from tests.bench.report import Measured, median

ROUNDS = 20
NAMES = {
    "stack.cold_start",
    "stack.warm_start",
    "stack.ready",
    "stack.memory",
    "gateway.balance",
    "request.answer",
    "request.issued",
}


def start() -> tuple[float, float]:
    """Seconds until the demo was played, and until everything was ready."""
    began = time.perf_counter()
    environ = os.environ | {"DETACH": "1"}
    argv = [sys.executable, "-m", "deploy.local", "run"]
    said = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - began, ready_seconds(said)


def ready_seconds(said: str) -> float:
    found = re.search(r"everything is ready after ([0-9.]+) s", said)
    assert found is not None, said
    return float(found[1])


def cold_start() -> list[Measured]:
    """`make run RUN_EXIT=1` in a clean clone with empty caches, from nothing to issued invoices. Java and Maven are there."""
    with tempfile.TemporaryDirectory() as folder:
        clone, caches = Path(folder) / "clone", Path(folder) / "caches"
        subprocess.run(["git", "clone", "-q", ".", str(clone)], check=True)
        environ = os.environ | {
            "XDG_CACHE_HOME": str(caches),
            "UV_CACHE_DIR": str(caches / "uv"),
            "PIP_CACHE_DIR": str(caches / "pip"),
            "MAVEN_OPTS": f"-Dmaven.repo.local={caches / 'maven'}",
            "RUN_EXIT": "1",
        }
        began = time.perf_counter()
        try:
            ran = subprocess.run(["make", "run"], cwd=clone, env=environ, check=True, capture_output=True, text=True)
            seconds = time.perf_counter() - began
        finally:
            subprocess.run(["make", "clean-data"], cwd=clone, env=environ, check=True, stdout=subprocess.DEVNULL)
    return [
        Measured("stack.cold_start", seconds, "s", 1),
        Measured("stack.cold_ready", ready_seconds(ran.stdout), "s", 1),
    ]


def stop() -> None:
    subprocess.run([sys.executable, "-m", "deploy.local", "stop"], check=True, stdout=subprocess.DEVNULL)


def endpoints() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("var/endpoints.json").read_text(encoding="utf-8"))
    return found


def memory_megabytes() -> dict[str, float]:
    """Proportional set size of every process of the stack, children included."""
    found = {name: _tree(pid) for name, pid in endpoints()["pids"].items() if name != "supervisor"}
    found["supervisor"] = _pss(endpoints()["pids"]["supervisor"])
    return found


def _tree(pid: int) -> float:
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return _pss(pid) + sum(_tree(child) for child in children)


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def customers() -> list[Customer]:
    demo = json.loads(Path("var/demo.json").read_text(encoding="utf-8"))
    gateway = endpoints()["gateway"]
    return [Customer(one["account_id"], one["api_key"], gateway) for one in demo["accounts"]]


async def requests() -> list[Measured]:
    """From POST to the ledger's word, from there to the mail, and a balance read."""
    customer = customers()[1]
    answers, issued, reads = [], [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        await customer.get("/balances")
        reads.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        status, request, _ = await customer.ask(
            f"bench-{time.time_ns()}-{number}", amount_fen=100, subject="ALIYUN_SERVICE"
        )
        assert status == 201, request
        answers.append((time.perf_counter() - began) * 1000)
        (part,) = request["invoices"]
        await eventually("mail", partial(_mailed, customer, part["part_id"]))
        issued.append(time.perf_counter() - began - answers[-1] / 1000)
    await customer.close()
    return [
        Measured("gateway.balance", median(reads), "ms", ROUNDS),
        Measured("request.answer", median(answers), "ms", ROUNDS),
        Measured("request.issued", median(issued), "s", ROUNDS),
    ]


async def _mailed(customer: Customer, part_id: int) -> bool:
    rows = await customer.get("/notifications?limit=200")
    return any(row["part_id"] == part_id and row["channel"] == "mail" and row["status"] == "sent" for row in rows)


def measure(wanted: set[str]) -> list[Measured]:
    """Started on kept data, so that this is the warm start; the demo scenario is part of it."""
    if wanted == {"stack.cold_start"}:
        return cold_start()
    seconds, ready = start()
    try:
        starts = [Measured("stack.warm_start", seconds, "s", 1), Measured("stack.ready", ready, "s", 1)]
        found: list[Measured] = []
        for name, megabytes in sorted(memory_megabytes().items()):
            found.append(Measured(f"memory.{name}", megabytes, "MB", 1))
        found = [*starts, *found, Measured("stack.memory", sum(one.value for one in found), "MB", 1)]
        if wanted & {"gateway.balance", "request.answer", "request.issued"}:
            found += asyncio.run(requests())
    finally:
        stop()
    return found + (cold_start() if "stack.cold_start" in wanted else [])
