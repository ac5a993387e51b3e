"""Plays seeds, each processor its share, on a PostgreSQL of its own."""

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path

import structlog
import uvloop

from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Simulation
from tests.simulation.scene import Result
from tests.support.databases import Databases
from tests.support.servers import start_postgres


def play(seeds: list[int], mutant: str | None = None) -> list[Result]:
    """On a server of its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    server = start_postgres()
    try:
        with MUTANTS[mutant].applied() if mutant else nullcontext():
            return uvloop.run(_simulated(seeds, Databases(server.dsn)))
    finally:
        server.stop()


async def _simulated(seeds: list[int], databases: Databases) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        return [await Simulation(seed).run(databases, Path(folder)) for seed in seeds]


def play_all(count: int, mutant: str | None) -> list[Result]:
    """Each processor has every n-th seed."""
    hands = max(1, min(os.cpu_count() or 1, count))
    with ProcessPoolExecutor(hands, get_context("spawn")) as pool:
        shares = pool.map(play, [list(range(hand, count, hands)) for hand in range(hands)], [mutant] * hands)
        return sorted((result for share in shares for result in share), key=lambda one: one.seed)
