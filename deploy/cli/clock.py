"""`kaipiao clock`: business time, where the stack runs on the test clock."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from deploy.cli.routes import call, stop
from shared.domain.calendar import SHANGHAI

app = typer.Typer(no_args_is_help=True, help="The test clock, which moves all services together; not in production.")


@app.command()
def show() -> None:
    """Business time, how far it is ahead, and who follows it."""
    typer.echo(_text(call("gateway", "GET", "/ops/clock")))


@app.command("set")
def set_to(
    moment: Annotated[str, typer.Argument(help="2026-12-03T00:00+08:00; without an offset it is Shanghai's")],
) -> None:
    """Make it that moment everywhere. Time never goes back."""
    try:
        wanted = datetime.fromisoformat(moment)
    except ValueError:
        stop(f"{moment} is no moment; write it as 2026-12-03T00:00+08:00")
    wanted = wanted if wanted.tzinfo is not None else wanted.replace(tzinfo=SHANGHAI)
    typer.echo(_text(call("gateway", "PUT", "/ops/clock", {"now": wanted.isoformat()})))


@app.command()
def advance(days: Annotated[float, typer.Argument(help="how many days; 0.5 is twelve hours")]) -> None:
    """Let time pass everywhere."""
    now = datetime.fromisoformat(call("gateway", "GET", "/ops/clock")["now"])
    set_to((now + timedelta(days=days)).isoformat())


def _text(view: dict[str, Any]) -> str:
    now = datetime.fromisoformat(view["now"]).astimezone(SHANGHAI)
    if view["clock"] == "system":
        return f"{now:%Y-%m-%d %H:%M:%S} in Shanghai, wall time; there is no test clock"
    ahead = timedelta(seconds=round(view["ahead_seconds"]))
    return (
        f"{now:%Y-%m-%d %H:%M:%S} in Shanghai, {ahead} ahead of wall time; followed by {', '.join(view['followers'])}"
    )
