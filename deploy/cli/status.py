"""`kaipiao status`: whether each service is ready, and on what it waits."""

import json
import urllib.error
import urllib.request

import typer

from deploy.cli.routes import SERVICES, endpoints

ANSWER_SECONDS = 10.0


def status() -> None:
    """Whether each service is ready, and on what it waits."""
    known = endpoints()
    for service in (*SERVICES, "gateway"):
        try:
            with urllib.request.urlopen(f"{known['operations'][service]}/readyz", timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                typer.echo(f"{service:<13} ready     {json.load(answer)}")
        except urllib.error.HTTPError as error:
            typer.echo(f"{service:<13} not ready {error.read().decode()}")
        except urllib.error.URLError as error:
            typer.echo(f"{service:<13} away      {error.reason}")
