"""A measurement, its line in the table and its line in the file."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FILE = Path("var/bench.jsonl")


@dataclass(frozen=True)
class Measured:
    """`ratio` is value over yardstick; without a yardstick it is None."""

    bench: str
    value: float
    unit: str
    rounds: int
    yardstick: str | None = None
    yardstick_value: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if not self.yardstick_value else self.value / self.yardstick_value


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def show(measured: Measured) -> None:
    beside = (
        f"{measured.yardstick}: {_short(measured.yardstick_value or 0)}   ratio {measured.ratio:.2f}"
        if measured.ratio is not None
        else ""
    )
    sys.stdout.write(
        f"{measured.bench:<32} {_short(measured.value):>10} {measured.unit:<10} {measured.rounds} rounds   {beside}\n"
    )
    sys.stdout.flush()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    row = asdict(measured) | {"ratio": measured.ratio, "at": datetime.now(UTC).isoformat(), "commit": commit}
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _short(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"
