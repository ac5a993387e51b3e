"""The operator routes of the running services, called with the operators' token; both are read from var/endpoints.json."""

import json
import urllib.error
import urllib.request
from typing import Any

import typer

from deploy.verify.world import endpoints_file

SERVICES = ("title", "ledger", "invoicing", "notification")
ANSWER_SECONDS = 30.0


def endpoints() -> dict[str, Any]:
    path = endpoints_file()
    if not path.exists():
        raise stop("nothing is running here: type make run")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def call(service: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    known = endpoints()
    if service not in known["operations"]:
        raise stop(f"there is no service {service}; name one of {', '.join(SERVICES)}")
    headers = {"Authorization": f"Bearer {known['settings']['OPERATOR_TOKEN']}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{known['operations'][service]}{path}", content, headers, method=method)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise stop(json.load(error).get("detail", str(error))) from None
    except urllib.error.URLError as error:
        raise stop(f"{service} does not answer at {known['operations'][service]}: {error.reason}") from None


def stop(text: str) -> typer.Exit:
    """To be raised: says why on stderr and ends with status 1."""
    typer.echo(text, err=True)
    return typer.Exit(1)
