"""The whole stack as a user meets it: how long until it is ready, how much memory, how long a request takes."""

import asyncio
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from deploy.demo.client import Customer, eventually
from tests.bench.report import Measured, median

ROUNDS = 20


def start() -> float:
    began = time.perf_counter()
    environ = os.environ | {"DETACH": "1"}
    subprocess.run([sys.executable, "-m", "deploy.local", "run"], env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


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
    seconds = start()
    try:
        found = [Measured("stack.warm_start", seconds, "s", 1)]
        for name, megabytes in sorted(memory_megabytes().items()):
            found.append(Measured(f"memory.{name}", megabytes, "MB", 1))
        found.append(Measured("stack.memory", sum(one.value for one in found[1:]), "MB", 1))
        if wanted & {"gateway.balance", "request.answer", "request.issued"}:
            found += asyncio.run(requests())
    finally:
        stop()
    return found
