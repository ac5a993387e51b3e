"""Every file that is made from the code, and the function that makes it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from deploy.reference import asyncapi, contracts, refusals, rules, settings, states

ROOT = Path(__file__).parents[2]

PAGES: dict[str, Callable[[], str]] = {
    **{f"docs/contracts/{name}.json": partial(contracts.page, message) for name, message in contracts.MESSAGES.items()},
    "docs/asyncapi.json": asyncapi.page,
    "docs/settings.md": settings.page,
    "docs/refusals.md": refusals.page,
    "docs/rules.md": rules.page,
    **{f"docs/states/{name}.md": partial(states.page, life) for name, life in states.LIVES.items()},
}


def write() -> None:
    for name, page in PAGES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")
