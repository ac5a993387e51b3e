"""Where invoice files lie: a folder by default, any S3-compatible store by configuration, behind three verbs.

A put is whole or not at all, and may be repeated. Keys are made of numbers and fixed words: nothing personal, nothing that leads
elsewhere.
"""

import asyncio
import os
import re
import stat
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore import store as stores

KEY = re.compile(r"[a-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9]+)*(/[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9]+)*)*")
KEY_MAX = 200
PRIVATE = 0o700


class ObjectStore:
    """`ObjectStore("file:///folder")` or `ObjectStore("s3://bucket/prefix")`; S3 credentials and endpoint: the AWS_* variables."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._folder = _private(Path(unquote(parts.path))) if parts.scheme == "file" else None
        self._store: stores.ObjectStore = (
            stores.LocalStore(self._folder)
            if self._folder is not None
            else stores.from_url(
                url,
                client_options={"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=10)},
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
            )
        )

    async def put(self, key: str, content: bytes) -> None:
        """Stored and durable on return; replaces what the key held."""
        if self._folder is not None:
            await asyncio.to_thread(_make_way, self._folder, _checked(key))
        await obstore.put_async(self._store, _checked(key), content)
        if self._folder is not None:
            # the store writes beside and renames, which is atomic, but leaves flushing to the system: no row may outlive its file
            await asyncio.to_thread(_flush, self._folder / key)

    async def get(self, key: str) -> bytes:
        """FileNotFoundError when there is nothing under the key."""
        found = await obstore.get_async(self._store, _checked(key))
        return bytes(await found.bytes_async())

    async def delete(self, key: str) -> None:
        """Deleting what is not there is fine."""
        try:
            await obstore.delete_async(self._store, _checked(key))
        except FileNotFoundError:
            return


def _private(folder: Path) -> Path:
    """Nobody else on this machine may read invoices: made, or made so, if it is ours; refused if others can look into somebody else's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.geteuid():
        folder.chmod(PRIVATE)
    elif found.st_mode & stat.S_IRWXO:
        raise PermissionError(
            f"DOCUMENTS_URL: {folder} is somebody else's and open to all; set it to a folder of this account"
        )
    return folder


def _make_way(folder: Path, key: str) -> None:
    """The folders of a key, as private as the first; the store would make them as the process is used to."""
    for parent in reversed(Path(key).parents):
        (folder / parent).mkdir(mode=PRIVATE, exist_ok=True)


def _checked(key: str) -> str:
    if len(key) > KEY_MAX or not KEY.fullmatch(key):
        raise ValueError("a key is words of ASCII letters, digits, _ and -, separated by single dots and slashes")
    return key


def _flush(path: Path) -> None:
    for each in (path, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
