"""`kaipiao`: what operators do. It talks to the services' operator routes with the service token, as `var/endpoints.json` names them."""

import json
import os
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy import ledger_cli
from shared.domain.calendar import SHANGHAI

SERVICES = ("title", "ledger", "invoicing", "notification")

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Kaipiao, for operators.")
parked = typer.Typer(no_args_is_help=True, help="Records that could not take effect: look, run again, or dismiss.")
api_keys = typer.Typer(no_args_is_help=True, help="Keys for customers' programs.")
clock = typer.Typer(no_args_is_help=True, help="The test clock, which moves all services together; not in production.")
app.add_typer(parked, name="parked")
app.add_typer(ledger_cli.app, name="ledger")
app.add_typer(clock, name="clock")
app.add_typer(api_keys, name="api-keys")

Service = Annotated[str, typer.Option(help=f"one of {', '.join(SERVICES)}")]
By = Annotated[str, typer.Option(help="who decides; it is kept", envvar="USER")]


def _endpoints() -> dict[str, Any]:
    path = Path(os.environ.get("KAIPIAO_VAR", "var")) / "endpoints.json"
    if not path.exists():
        raise _stop("nothing is running here: type make run")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _call(service: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    endpoints = _endpoints()
    if service not in endpoints:
        raise _stop(f"there is no service {service}; name one of {', '.join(SERVICES)}")
    headers = {"Authorization": f"Bearer {endpoints['settings']['SERVICE_TOKEN']}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{endpoints[service]}{path}", content, headers, method=method)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise _stop(json.load(error).get("detail", str(error))) from None
    except urllib.error.URLError as error:
        raise _stop(f"{service} does not answer at {endpoints[service]}: {error.reason}") from None


def _stop(text: str) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(1)


@parked.command("list")
def parked_list(status: Annotated[str, typer.Option(help="open, redriven or dismissed")] = "open") -> None:
    """What is parked, in every service."""
    for service in SERVICES:
        for one in _call(service, "GET", f"/ops/parked?status={status}"):
            place = f"{one['topic']} {one['partition']}/{one['offset']}"
            typer.echo(f"{service:<13}{one['parked_id']:>5}  {place:<26} {one['reason']:<18} {one['text']}")


@parked.command("show")
def parked_show(parked_id: int, service: Service = "ledger") -> None:
    """One record: where it lies, why it is parked, and what it says of itself. Never its content, which may be personal."""
    typer.echo(json.dumps(_call(service, "GET", f"/ops/parked/{parked_id}"), indent=2, ensure_ascii=False))


@parked.command("redrive")
def parked_redrive(parked_id: int, service: Service = "ledger", by: By = "operator") -> None:
    """Run it again, after its cause was mended. It takes effect once at most."""
    answer = _call(service, "POST", f"/ops/parked/{parked_id}/redrive", {"by": by})
    typer.echo({"redriven": "it took effect", "open": "it still cannot take effect; see parked list"}[answer["status"]])


@parked.command("dismiss")
def parked_dismiss(
    parked_id: int,
    comment: Annotated[str, typer.Option(help="why; it is kept")],
    service: Service = "ledger",
    by: By = "operator",
) -> None:
    """Decide that it shall never take effect. Nothing is deleted."""
    _call(service, "POST", f"/ops/parked/{parked_id}/dismiss", {"by": by, "comment": comment})
    typer.echo("dismissed")


@clock.command("show")
def clock_show() -> None:
    """Business time, how far it is ahead, and who follows it."""
    typer.echo(_clock_text(_call("gateway", "GET", "/ops/clock")))


@clock.command("set")
def clock_set(
    moment: Annotated[str, typer.Argument(help="2026-12-03T00:00+08:00; without an offset it is Shanghai's")],
) -> None:
    """Make it that moment everywhere. Time never goes back."""
    try:
        wanted = datetime.fromisoformat(moment)
    except ValueError:
        raise _stop(f"{moment} is no moment; write it as 2026-12-03T00:00+08:00") from None
    wanted = wanted if wanted.tzinfo is not None else wanted.replace(tzinfo=SHANGHAI)
    typer.echo(_clock_text(_call("gateway", "PUT", "/ops/clock", {"now": wanted.isoformat()})))


@clock.command("advance")
def clock_advance(days: Annotated[float, typer.Argument(help="how many days; 0.5 is twelve hours")]) -> None:
    """Let time pass everywhere."""
    now = datetime.fromisoformat(_call("gateway", "GET", "/ops/clock")["now"])
    clock_set((now + timedelta(days=days)).isoformat())


def _clock_text(view: dict[str, Any]) -> str:
    now = datetime.fromisoformat(view["now"]).astimezone(SHANGHAI)
    if view["clock"] == "system":
        return f"{now:%Y-%m-%d %H:%M:%S} in Shanghai, wall time; there is no test clock"
    ahead = timedelta(seconds=round(view["ahead_seconds"]))
    return (
        f"{now:%Y-%m-%d %H:%M:%S} in Shanghai, {ahead} ahead of wall time; followed by {', '.join(view['followers'])}"
    )


@api_keys.command("create")
def api_keys_create(account_id: int, name: str) -> None:
    """A new key for an account. It is shown once."""
    typer.echo(_call("gateway", "POST", "/ops/api-keys", {"account_id": account_id, "name": name})["api_key"])


@app.command()
def status() -> None:
    """Whether each service is ready, and on what it waits."""
    endpoints = _endpoints()
    for service in (*SERVICES, "gateway"):
        try:
            with urllib.request.urlopen(f"{endpoints[service]}/readyz", timeout=10) as answer:  # noqa: S310
                typer.echo(f"{service:<13} ready     {json.load(answer)}")
        except urllib.error.HTTPError as error:
            typer.echo(f"{service:<13} not ready {error.read().decode()}")
        except urllib.error.URLError as error:
            typer.echo(f"{service:<13} away      {error.reason}")


if __name__ == "__main__":
    app()
