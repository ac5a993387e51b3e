"""`make simulate SEEDS=n` runs seeds 0 to n-1 on all processors; `make simulate SEED=k` replays one and prints its log's hash."""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.mutants import MUTANTS
from tests.simulation.play import play, play_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    said = parser.parse_args()
    began = time.monotonic()
    results = play([said.seed], said.mutant) if said.seed is not None else play_all(said.seeds, said.mutant)
    seconds = time.monotonic() - began
    for result in results:
        for name, texts in result.violations.items():
            sys.stdout.write(f"seed {result.seed}: {name}: {'; '.join(texts[:3])}\n")
    if said.seed is not None:
        sys.stdout.write(f"step log {results[0].log_hash}\n")
    happened = sum((one.happened for one in results), Counter[str]())
    sys.stdout.write("".join(f"{count:8} {fault}\n" for fault, count in sorted(happened.items())))
    broken = sum(bool(result.violations) for result in results)
    steps, faults, invoices = (sum(getattr(one, name) for one in results) for name in ("steps", "faults", "invoices"))
    sys.stdout.write(f"{steps / seconds:.0f} steps/s\n")
    sys.stdout.write(
        f"{len(results)} seeds, {steps} steps, {faults} faults, {invoices} invoices, {broken} violations\n"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
