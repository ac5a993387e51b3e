"""`kaipiao parked`: records that could not take effect, in every service."""

import json
from typing import Annotated

import typer

from deploy.cli.routes import SERVICES, call

Service = Annotated[str, typer.Option(help=f"one of {', '.join(SERVICES)}")]
By = Annotated[str, typer.Option(help="who decides; it is kept", envvar="USER")]
REDRIVEN = {"redriven": "it took effect", "open": "it still cannot take effect; see parked list"}

app = typer.Typer(no_args_is_help=True, help="Records that could not take effect: look, run again, or dismiss.")


@app.command("list")
def show_all(status: Annotated[str, typer.Option(help="open, redriven or dismissed")] = "open") -> None:
    """What is parked, in every service."""
    for service in SERVICES:
        for one in call(service, "GET", f"/ops/parked?status={status}"):
            place = f"{one['topic']} {one['partition']}/{one['offset']}"
            typer.echo(f"{service:<13}{one['parked_id']:>5}  {place:<26} {one['reason']:<18} {one['text']}")


@app.command()
def show(parked_id: int, service: Service = "ledger") -> None:
    """One record: where it lies, why it is parked, and what it says of itself. Never its content, which may be personal."""
    typer.echo(json.dumps(call(service, "GET", f"/ops/parked/{parked_id}"), indent=2, ensure_ascii=False))


@app.command()
def redrive(parked_id: int, service: Service = "ledger", by: By = "operator") -> None:
    """Run it again, after its cause was mended. It takes effect once at most."""
    answer = call(service, "POST", f"/ops/parked/{parked_id}/redrive", {"by": by})
    typer.echo(REDRIVEN[answer["status"]])


@app.command()
def dismiss(
    parked_id: int,
    comment: Annotated[str, typer.Option(help="why; it is kept")],
    service: Service = "ledger",
    by: By = "operator",
) -> None:
    """Decide that it shall never take effect. Nothing is deleted."""
    call(service, "POST", f"/ops/parked/{parked_id}/dismiss", {"by": by, "comment": comment})
    typer.echo("dismissed")
