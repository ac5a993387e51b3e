"""How each sandbox server runs: HTTP on HTTP_HOST:HTTP_PORT, storage in SANDBOX_DIR, until SIGTERM."""

import os
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


def folder() -> Path:
    return Path(os.environ.get("SANDBOX_DIR", "var/sandbox"))


def serve(app: ASGIApp) -> None:
    host, port = os.environ.get("HTTP_HOST", "127.0.0.1"), int(os.environ.get("HTTP_PORT", "0"))
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5)
