"""`make simulate SEEDS=n` runs seeds 0 to n-1; `make simulate SEED=k` replays one and prints its log's hash."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import structlog

from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Simulation
from tests.simulation.scene import Result
from tests.support.databases import Databases
from tests.support.servers import start_postgres


async def simulate(seeds: list[int], databases: Databases) -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            result = await Simulation(seed).run(databases, Path(folder))
            results.append(result)
            for name, texts in result.violations.items():
                sys.stdout.write(f"seed {seed}: {name}: {'; '.join(texts[:3])}\n")
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    said = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    server = start_postgres()
    try:
        seeds = [said.seed] if said.seed is not None else list(range(said.seeds))
        work = simulate(seeds, Databases(server.dsn))
        if said.mutant:
            with MUTANTS[said.mutant].applied():
                results = asyncio.run(work)
        else:
            results = asyncio.run(work)
    finally:
        server.stop()
    if said.seed is not None:
        sys.stdout.write(f"step log {results[0].log_hash}\n")
    broken = sum(bool(result.violations) for result in results)
    steps, faults, invoices = (sum(getattr(one, name) for one in results) for name in ("steps", "faults", "invoices"))
    sys.stdout.write(
        f"{len(results)} seeds, {steps} steps, {faults} faults, {invoices} invoices, {broken} violations\n"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
