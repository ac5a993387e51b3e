"""`python -m tests.worked FILE`: a line for each example, what differs, and a count. Exit status 0 only when all pass."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.support.databases import Databases
from tests.support.servers import start_postgres
from tests.worked.runner import read, run


async def play(path: Path, databases: Databases) -> int:
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for example in read(path):
            verdict = await run(example, databases, Path(folder))
            passed, failed = passed + verdict.passed, failed + (not verdict.passed)
            sys.stdout.write(
                f"{'ok    ' if verdict.passed else 'FAILED'} {example['id']}  {example.get('title', '')}\n"
            )
            for text in verdict.differences:
                sys.stdout.write(f"         {text[:400]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return 0 if not failed else 1


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.stderr.write("say which examples to play: make examples FILE=tests/worked/worked_examples.json\n")
        return 2
    server = start_postgres()
    try:
        return asyncio.run(play(Path(sys.argv[1]), Databases(server.dsn)))
    finally:
        server.stop()


if __name__ == "__main__":
    raise SystemExit(main())
