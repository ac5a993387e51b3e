"""Secrets of this checkout's stack: made once, kept in a file only its owner can read."""

import base64
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Keys:
    """They live as long as the data they protect: losing the sealing key loses what it sealed."""

    service_token: str
    sealing_key: str
    database_password: str
    tax_platform_secret: str
    operator_token: str
    parking_key: str

    def password_of(self, login: str) -> str:
        """Of a login that the launcher makes, in PostgreSQL or Kafka; kept nowhere, and the same at each start."""
        return hmac.new(self.database_password.encode(), login.encode(), "sha256").hexdigest()


def load(folder: Path) -> Keys:
    """The kept secrets, or new ones."""
    path = folder / "keys.json"
    made = Keys(
        service_token=secrets.token_urlsafe(32),
        sealing_key=base64.b64encode(secrets.token_bytes(32)).decode(),
        database_password=secrets.token_urlsafe(24),
        tax_platform_secret=secrets.token_urlsafe(32),
        operator_token=secrets.token_urlsafe(32),
        parking_key=base64.b64encode(secrets.token_bytes(32)).decode(),
    )
    kept = json.loads(path.read_text()) if path.exists() else {}
    keys = Keys(**asdict(made) | kept)
    if asdict(keys) != kept:
        write_private(path, json.dumps(asdict(keys), indent=2))
    return keys


def write_private(path: Path, text: str) -> None:
    """Replaces a file as a whole, readable by its owner only from its first byte."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.rename(path)
