"""The operator routes of the running services, called with the operators' token; both are read from var/endpoints.json.

Whoever does not answer, or answers nonsense, is named in one line: that is what `Silent` is for. A command that asks many goes on with
the others and ends with status 1; one that asks a single service ends there.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

import typer

from deploy.verify.world import endpoints_file

SERVICES = ("title", "ledger", "invoicing", "notification")
ANSWER_SECONDS = 30.0
READ_BYTES = 65_536


class Silent(Exception):  # noqa: N818 - it names who it is about
    """Somebody did not answer; the text says who and how."""


class SaidNo(Exception):  # noqa: N818
    """A service answered that it will not, and why."""


@dataclass(frozen=True)
class Told:
    """An answer: its JSON and its headers, by lower-case name."""

    content: Any
    headers: Mapping[str, str]


def endpoints() -> dict[str, Any]:
    path = endpoints_file()
    if not path.exists():
        stop("nothing is running here: type make run")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stop(f"{path} cannot be read: type make status, or make stop and make run")
    return found


def chosen(service: str) -> str:
    if service not in SERVICES:
        stop(f"there is no service {service}; name one of {', '.join(SERVICES)}")
    return service


def ask(service: str, method: str, path: str, body: object = None) -> Told:
    """Raises `Silent` or `SaidNo`, and nothing else."""
    known = endpoints()
    where = known.get("operations", {}).get(service)
    if where is None:
        raise Silent(f"{service} is not in var/endpoints.json: type make status")
    token = known.get("settings", {}).get("OPERATOR_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{where}{path}", content, headers, method=method)  # noqa: S310 - our own address
    return fetch(service, where, request)


def fetch(name: str, where: str, request: urllib.request.Request | str) -> Told:
    try:
        status, headers, text = exchange(request, ANSWER_SECONDS)
    except (OSError, http.client.HTTPException) as error:
        raise Silent(f"{name} does not answer at {where}: {kind_of(error, ANSWER_SECONDS)}") from None
    try:
        content = json.loads(text)
    except ValueError:
        raise Silent(f"{name} at {where} answers {status} with what is no JSON") from None
    if status >= 400:
        raise SaidNo(f"{name}: {content.get('detail', status) if isinstance(content, dict) else status}")
    return Told(content, {header.lower(): value for header, value in headers.items()})


def exchange(request: urllib.request.Request | str, seconds: float) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body, whatever the status is. All of it within twice this time, also from a server that dawdles."""
    deadline = time.monotonic() + seconds
    try:
        answer = urllib.request.urlopen(request, timeout=seconds)  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        parts: list[bytes] = []
        while part := answer.read1(READ_BYTES):
            parts.append(part)
            if time.monotonic() > deadline:
                raise TimeoutError
        body = b"".join(parts)
        if len(body) < int(answer.headers.get("Content-Length") or 0):
            raise http.client.IncompleteRead(body)
        return answer.status, dict(answer.headers.items()), body


def call(service: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """For commands that need this one answer: ends with a line where there is none."""
    try:
        return ask(service, method, path, body).content
    except (Silent, SaidNo) as why:
        stop(str(why))


def kind_of(error: Exception, seconds: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"silent for {seconds:.0f} s"
    return (isinstance(cause, OSError) and cause.strerror) or type(cause).__name__


def warn(text: str) -> None:
    typer.echo(text, err=True)


def stop(text: str) -> Never:
    """Says why on stderr and ends with status 1."""
    warn(text)
    raise typer.Exit(1)
