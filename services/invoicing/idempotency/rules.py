"""The same key with the same content gets the first answer again; with other content it is refused (R-9)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class IdempotencyKey:
    """Under what an account asks for something. `digest` is that of all it asks for."""

    account_id: int
    operation: str
    key: str
    digest: bytes


@dataclass(frozen=True)
class FirstUse:
    """What was made when a key was first used: a request, or a credit note."""

    made_id: int
    digest: bytes


@dataclass(frozen=True)
class UsedKey:
    """A key, and what was made under it now."""

    key: IdempotencyKey
    made_id: int


def digest_of(said: Mapping[str, object]) -> bytes:
    """The names count too: a field that is renamed makes every key that was used before a conflict."""
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).digest()
