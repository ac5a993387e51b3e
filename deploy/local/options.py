"""What `make run` was asked for, read once from the environment and from `.env`; the environment wins."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import CannotStartError

YES = {"1", "true", "yes", "on"}
REPLICAS_MAX = 8


@dataclass(frozen=True)
class Options:
    """One run. A port that is None takes its usual place or the next free one; a given port is demanded."""

    environ: Mapping[str, str]
    kafka_nodes: int
    replicas: int
    run_exit: bool
    detach: bool
    http_port: int | None
    postgres_port: int | None
    kafka_port: int | None
    smtp_port: int | None
    secure: bool = False

    @property
    def database_url(self) -> str:
        return self.environ.get("DATABASE_URL", "")

    @property
    def kafka_bootstrap(self) -> str:
        return self.environ.get("KAFKA_BOOTSTRAP", "")


def read(checkout: Path, environ: Mapping[str, str] = os.environ) -> Options:
    merged = {**dotenv(checkout / ".env"), **environ}
    nodes = _number(merged, "KAFKA_NODES", 1, 3) or 1
    if nodes == 2:
        message = "KAFKA_NODES is 2, but two brokers survive no more than one does: type KAFKA_NODES=1 or KAFKA_NODES=3"
        raise CannotStartError(message)
    return Options(
        environ=merged,
        kafka_nodes=nodes,
        replicas=_number(merged, "REPLICAS", 1, REPLICAS_MAX) or 1,
        run_exit=merged.get("RUN_EXIT", "").lower() in YES,
        detach=merged.get("DETACH", "").lower() in YES,
        http_port=_number(merged, "HTTP_PORT", 1, 65535),
        postgres_port=_number(merged, "POSTGRES_PORT", 1, 65535),
        kafka_port=_number(merged, "KAFKA_PORT", 1, 65535),
        smtp_port=_number(merged, "SMTP_PORT", 1, 65535),
        secure=_secure(merged),
    )


def _secure(environ: Mapping[str, str]) -> bool:
    asked = environ.get("SECURE", "").lower() in YES
    if asked and (environ.get("DATABASE_URL") or environ.get("KAFKA_BOOTSTRAP")):
        message = "SECURE=1 is for servers that are started here: leave out DATABASE_URL and KAFKA_BOOTSTRAP, or SECURE"
        raise CannotStartError(message)
    return asked


def dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines; the settings of the services read the same file."""
    if not path.exists():
        return {}
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    return {name.strip().upper(): setting.strip().strip("'\"") for name, setting in pairs}


def _number(environ: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or not least <= int(text) <= most:
        message = f"{name}={text} is not a number from {least} to {most}: type it again with one, or leave {name} out"
        raise CannotStartError(message)
    return int(text)
