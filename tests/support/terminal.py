"""A person at a terminal: `kaipiao` as a process of its own, beside a server that runs in the test's."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    exit_code: int
    stdout: str
    stderr: str


async def typed(*words: str) -> Said:
    """With the test's environment, which says where the endpoints are."""
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *words),
        cwd=CHECKOUT,
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asked.communicate()
    assert asked.returncode is not None
    return Said(asked.returncode, out.decode(), err.decode())
