"""`python -m deploy.sandbox.sms_gateway`: POST /messages, GET /messages. The same `out_id` gets the same answer and goes out once."""

import json
import os
import re
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.sandbox.process import folder, serve

MOBILE = re.compile(r"\+?[0-9]{5,15}")


def gateway(path: Path) -> Starlette:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    sent = _read(path)

    async def send(request: Request) -> JSONResponse:
        try:
            message = {name: (await request.json())[name] for name in ("out_id", "mobile", "text")}
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": "out_id, mobile and text are needed"}, 400)
        if not all(isinstance(value, str) and value for value in message.values()) or not MOBILE.fullmatch(
            message["mobile"]
        ):
            return JSONResponse({"error": "no number, or nothing to say"}, 422)
        if message["out_id"] not in sent:
            row = {"message_id": len(sent) + 1, **message}
            _append(path, row)
            sent[message["out_id"]] = row
        return JSONResponse({"message_id": sent[message["out_id"]]["message_id"]})

    async def messages(_: Request) -> JSONResponse:
        return JSONResponse(list(sent.values()))

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({"ready": True})

    routes = [Route("/messages", send, methods=["POST"]), Route("/messages", messages), Route("/readyz", ready)]
    return Starlette(routes=routes)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """What was acknowledged. A line without its end never was: it is cut off, so that the next one starts afresh."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    with path.open("r+b") as file:
        file.truncate(len(whole) + 1 if whole else 0)
    return {row["out_id"]: row for row in map(json.loads, whole.split(b"\n") if whole else [])}


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    serve(gateway(folder() / "messages.jsonl"))
