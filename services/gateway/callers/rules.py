"""API keys: 256 random bits in text, known by their hash. A fast hash is enough for a key nobody can guess."""

import hashlib
from dataclasses import dataclass

PREFIX = "kp_"


@dataclass(frozen=True)
class NewKey:
    """What is stored of a key."""

    key_hash: bytes
    account_id: int
    name: str
    last_four: str


def new_key(secret: str, account_id: int, name: str) -> NewKey:
    return NewKey(hash_of(secret), account_id, name, secret[-4:])


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def bearer(authorization: str) -> str | None:
    """The key in an `Authorization` header, if there is one."""
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip().startswith(PREFIX) else None
