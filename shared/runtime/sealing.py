"""Personal data in messages: encrypted with a key of its account, which itself travels wrapped with the master key.

AES-256-GCM with a random nonce (NIST SP 800-38D). Whoever drops an account's wrapped key can read nothing of it any more.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES = 32, 12
PREFIX = "sealed.v1"


class Unsealable(Exception):  # noqa: N818 - callers treat the value as erased
    """The value was sealed with another key, or was changed."""


class Sealer:
    """Seals and unseals text with an account's wrapped key."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"SEALING_KEY must be {KEY_BYTES} bytes in base64, not {len(master_key)}")
        self._master = AESGCM(master_key)

    @classmethod
    def from_setting(cls, text: str) -> "Sealer":
        return cls(base64.b64decode(text))

    def new_wrapped_key(self) -> str:
        return _encrypt(self._master, os.urandom(KEY_BYTES))

    def seal(self, wrapped_key: str, text: str) -> str:
        return _encrypt(self._key(wrapped_key), text.encode())

    def unseal(self, wrapped_key: str, sealed: str) -> str:
        return _decrypt(self._key(wrapped_key), sealed).decode()

    def _key(self, wrapped_key: str) -> AESGCM:
        return AESGCM(_decrypt(self._master, wrapped_key))


def _encrypt(key: AESGCM, plain: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return ".".join((PREFIX, _text(nonce), _text(key.encrypt(nonce, plain, PREFIX.encode()))))


def _decrypt(key: AESGCM, sealed: str) -> bytes:
    nonce, cipher = (base64.urlsafe_b64decode(part + "==") for part in sealed.removeprefix(f"{PREFIX}.").split("."))
    try:
        return key.decrypt(nonce, cipher, PREFIX.encode())
    except InvalidTag:
        raise Unsealable from None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
