"""Where tests pause. Whoever waits for something asks again until it is there (`eventually`, `until`); the pauses below are all others."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.source import name, tree

SLEEPS = {"time.sleep", "asyncio.sleep", "sleep"}
PAUSES = {
    # those who ask again
    "tests/contract/broker.py: until": "looks two hundred times a second, also at what is not awaited",
    "tests/live/stack.py: verified": "a whole check is one look",
    "tests/bench/team.py: drain": "weighs the process at each look",
    "tests/nemesis/stack.py: verified": "a whole check is one look",
    "tests/nemesis/stack.py: tend": "a supervisor looks now and then",
    # a pause is what is simulated
    "tests/integration/adapters/bad_servers.py: trickles": "a server that dawdles",
    "tests/integration/gateway/test_replicas.py: slow": "a server that dawdles",
    "tests/integration/http/test_connections.py: trickle": "a client that dawdles",
    "tests/live/actor.py: answer": "a patient client",
    "tests/live/actor.py: ask_and_cancel": "customers change their minds when they like",
    "tests/live/soak.py: _buy": "customers think",
    "tests/live/soak.py: _feed": "people buy when they like",
    "tests/live/soak.py: _kill": "a moment nobody chose",
    "tests/live/soak.py: _weigh": "a moment of the run",
    "tests/live/test_faults.py: ask_until_accepted": "a patient client",
    "tests/nemesis/proxy.py: _read": "a network that dawdles",
    "tests/nemesis/play.py: _step": "as the schedule says",
    "tests/nemesis/faults/database_faults.py: _tend": "the next day comes when it comes",
    "tests/nemesis/faults/database_faults.py: begin": "as much as is to be lost",
    "tests/live/__main__.py: _report": "a line a minute",
    "tests/bench/large.py: again_and_again": "as often as somebody asks",
    "tests/bench/large.py: round": "how long is measured",
}
"""Why nothing can be awaited there. The list only shrinks."""


def pauses(path: Path) -> Iterator[str]:
    """Each sleep of a file that is longer than nothing, by the function it stands in."""
    yield from (f"{name(path)}: {function}" for function in _pauses(tree(path), "(module)"))


def _pauses(node: ast.AST, function: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        named = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.Call) and ast.unparse(child.func) in SLEEPS and not _is_nothing(child):
            yield named
        yield from _pauses(child, named)


def _is_nothing(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
