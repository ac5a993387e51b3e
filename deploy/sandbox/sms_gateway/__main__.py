"""`python -m deploy.sandbox.sms_gateway`: POST /messages, GET /messages. The same `out_id` gets the same answer and goes out once."""

import json
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.sandbox.process import folder, serve


def gateway(path: Path) -> Starlette:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    sent = {row["out_id"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}

    async def send(request: Request) -> JSONResponse:
        message = await request.json()
        if not str(message.get("mobile", "")).lstrip("+").isdigit():
            return JSONResponse({"error": "no number"}, 422)
        if message["out_id"] not in sent:
            sent[message["out_id"]] = {"message_id": len(sent) + 1, **message}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(sent[message["out_id"]], ensure_ascii=False) + "\n")
        return JSONResponse({"message_id": sent[message["out_id"]]["message_id"]})

    async def messages(_: Request) -> JSONResponse:
        return JSONResponse(list(sent.values()))

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({"ready": True})

    routes = [Route("/messages", send, methods=["POST"]), Route("/messages", messages), Route("/readyz", ready)]
    return Starlette(routes=routes)


if __name__ == "__main__":
    serve(gateway(folder() / "messages.jsonl"))
