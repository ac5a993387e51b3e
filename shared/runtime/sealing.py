"""Personal data in messages: encrypted with a key of its account, which itself travels wrapped with the master key.

AES-256-GCM with a random nonce (NIST SP 800-38D). Whoever drops an account's wrapped key can read nothing of it any more.

A value says which key it was sealed with, and is bound to what it is about (an account and a field), so that it cannot stand in another's
place. Values from before that have a nonce only where others have key id and nonce; they are read for ever.
"""

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES, KEY_ID_BYTES = 32, 12, 4
PREFIX = "sealed.v1"


class Unsealable(Exception):  # noqa: N818 - callers treat the value as erased
    """The value was sealed with another key or for another place, or was changed."""


class Sealer:
    """Seals and unseals text with an account's wrapped key."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"SEALING_KEY must be {KEY_BYTES} bytes in base64, not {len(master_key)}")
        self._master = master_key

    @classmethod
    def from_setting(cls, text: str) -> "Sealer":
        return cls(base64.b64decode(text))

    def new_wrapped_key(self) -> str:
        return _encrypt(self._master, os.urandom(KEY_BYTES), "")

    def seal(self, wrapped_key: str, text: str, about: str = "") -> str:
        """`about`: whose it is and what, such as `1001/bank_account`; it opens for the same words only."""
        return _encrypt(self._key(wrapped_key), text.encode(), about)

    def unseal(self, wrapped_key: str, sealed: str, about: str = "") -> str:
        return _decrypt(self._key(wrapped_key), sealed, about).decode()

    def _key(self, wrapped_key: str) -> bytes:
        return _decrypt(self._master, wrapped_key, "")


def key_id(key: bytes) -> bytes:
    """Tells keys apart and nothing about them."""
    return hashlib.blake2b(key, digest_size=KEY_ID_BYTES, person=b"kaipiao key id").digest()


def _encrypt(key: bytes, plain: bytes, about: str) -> str:
    nonce, mark = os.urandom(NONCE_BYTES), key_id(key)
    cipher = AESGCM(key).encrypt(nonce, plain, _bound(mark, about))
    return ".".join((PREFIX, _text(mark + nonce), _text(cipher)))


def _decrypt(key: bytes, sealed: str, about: str) -> bytes:
    try:
        head, cipher = (base64.urlsafe_b64decode(part + "==") for part in sealed.removeprefix(f"{PREFIX}.").split("."))
        mark, nonce = head[:-NONCE_BYTES], head[-NONCE_BYTES:]
        if mark and mark != key_id(key):
            raise Unsealable
        return AESGCM(key).decrypt(nonce, cipher, _bound(mark, about) if mark else PREFIX.encode())
    except (InvalidTag, ValueError):  # whatever it is, it is no value of ours
        raise Unsealable from None


def _bound(mark: bytes, about: str) -> bytes:
    return b"|".join((PREFIX.encode(), mark, about.encode()))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
