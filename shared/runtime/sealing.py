"""Personal data in messages: encrypted with a key of its account, which title alone keeps, wrapped with the master key.

AES-256-GCM with a random nonce (NIST SP 800-38D). Once title has dropped an account's keys nobody can read what was sealed with them.

A value says which key it was sealed with, and is bound to what it is about (an account and a field), so that it cannot stand in another's
place. Values from before that have a nonce only where others have key id and nonce; they are read for ever.

A setting with keys may name several, by commas: the first seals, all of them open.
"""

import base64
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES, KEY_ID_BYTES = 32, 12, 4
PREFIX = "sealed.v1"


class Unsealable(Exception):  # noqa: N818 - it names what the value is
    """The value was sealed with another key or for another place, or was changed."""


def keys_in(setting: str) -> list[bytes]:
    """The keys that a setting names."""
    keys = [base64.b64decode(one.strip(), validate=True) for one in setting.split(",")]
    for key in keys:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes in base64, not {len(key)}")
    return keys


class Keyring:
    """Seals bytes with the first of its keys, and opens what any of them has sealed."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def from_setting(cls, text: str) -> "Keyring":
        return cls(keys_in(text))

    @property
    def current_id(self) -> bytes:
        """What everything that is sealed now begins with."""
        return key_id(self._keys[0])

    def seal(self, plain: bytes, about: str) -> bytes:
        head, cipher = _encrypt(self._keys[0], plain, about)
        return head + cipher

    def open(self, sealed: bytes, about: str) -> bytes:
        ends = KEY_ID_BYTES + NONCE_BYTES
        return _decrypt(self._keys, sealed[:ends], sealed[ends:], about)


class Sealer:
    """Seals and unseals text with an account's wrapped key."""

    def __init__(self, *master_keys: bytes) -> None:
        if not master_keys or any(len(key) != KEY_BYTES for key in master_keys):
            raise ValueError(f"SEALING_KEY must name keys of {KEY_BYTES} bytes in base64")
        self._masters = master_keys

    @classmethod
    def from_setting(cls, text: str) -> "Sealer":
        return cls(*keys_in(text))

    @property
    def master_id(self) -> str:
        """Of the key that wraps now."""
        return key_id(self._masters[0]).hex()

    def new_wrapped_key(self) -> str:
        return sealed_text(self._masters[0], os.urandom(KEY_BYTES), "")

    def rewrapped(self, wrapped_key: str) -> str:
        """The same key, wrapped with the master key that wraps now."""
        return sealed_text(self._masters[0], self.unwrapped(wrapped_key), "")

    def unwrapped(self, wrapped_key: str) -> bytes:
        return opened_text(self._masters, wrapped_key, "")

    def seal(self, wrapped_key: str, text: str, about: str = "") -> str:
        """`about`: whose it is and what, such as `1001/bank_account`; it opens for the same words only."""
        return sealed_text(self.unwrapped(wrapped_key), text.encode(), about)

    def unseal(self, wrapped_key: str, sealed: str, about: str = "") -> str:
        return opened_text([self.unwrapped(wrapped_key)], sealed, about).decode()


def key_id(key: bytes) -> bytes:
    """Tells keys apart and nothing about them."""
    return hashlib.blake2b(key, digest_size=KEY_ID_BYTES, person=b"kaipiao key id").digest()


def key_id_in(sealed: str) -> bytes:
    """Which key a text was sealed with; nothing if it does not say so, as those of before do not."""
    return _parts(sealed)[0][:-NONCE_BYTES]


def sealed_text(key: bytes, plain: bytes, about: str) -> str:
    return ".".join((PREFIX, *map(_text, _encrypt(key, plain, about))))


def opened_text(keys: Sequence[bytes], sealed: str, about: str) -> bytes:
    return _decrypt(keys, *_parts(sealed), about)


def _parts(sealed: str) -> tuple[bytes, bytes]:
    """Key id and nonce, and what is encrypted."""
    try:
        head, cipher = (base64.urlsafe_b64decode(part + "==") for part in sealed.removeprefix(f"{PREFIX}.").split("."))
    except ValueError:  # whatever it is, it is no value of ours
        raise Unsealable from None
    return head, cipher


def _encrypt(key: bytes, plain: bytes, about: str) -> tuple[bytes, bytes]:
    nonce, mark = os.urandom(NONCE_BYTES), key_id(key)
    return mark + nonce, AESGCM(key).encrypt(nonce, plain, _bound(mark, about))


def _decrypt(keys: Sequence[bytes], head: bytes, cipher: bytes, about: str) -> bytes:
    """With the key that it names; what names none is tried with each."""
    mark, nonce = head[:-NONCE_BYTES], head[-NONCE_BYTES:]
    for key in keys:
        if mark in (b"", key_id(key)):
            try:
                return AESGCM(key).decrypt(nonce, cipher, _bound(mark, about) if mark else PREFIX.encode())
            except (InvalidTag, ValueError):
                continue
    raise Unsealable


def _bound(mark: bytes, about: str) -> bytes:
    return b"|".join((PREFIX.encode(), mark, about.encode()))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
