"""The object store over a folder: whole, repeatable, and nowhere else."""

import asyncio
from pathlib import Path

import pytest

from shared.runtime.objects import KEY_MAX, ObjectStore

KEY = "invoices/1001/26332000000123456789.pdf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made by the store" / "documents"


@pytest.fixture
def objects(folder: Path) -> ObjectStore:
    return ObjectStore(folder.as_uri())


async def test_what_was_put_is_got(objects: ObjectStore, folder: Path) -> None:
    await objects.put(KEY, b"\x00whole")
    assert await objects.get(KEY) == b"\x00whole"
    assert (folder / KEY).read_bytes() == b"\x00whole"


async def test_putting_again_changes_nothing_and_putting_other_bytes_replaces(
    objects: ObjectStore, folder: Path
) -> None:
    for content in (b"one", b"one", b"other"):
        await objects.put(KEY, content)
        assert await objects.get(KEY) == content
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [Path(KEY).name]


async def test_writers_of_one_key_leave_one_whole_object(objects: ObjectStore, folder: Path) -> None:
    contents = [bytes([letter]) * 300_000 for letter in b"abcdefgh"]
    await asyncio.gather(*(objects.put(KEY, content) for content in contents))
    assert await objects.get(KEY) in contents
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [Path(KEY).name]


async def test_what_is_not_there_is_said_to_be_missing(objects: ObjectStore) -> None:
    with pytest.raises(FileNotFoundError):
        await objects.get(KEY)


async def test_deleting_twice_is_fine(objects: ObjectStore) -> None:
    await objects.put(KEY, b"gone soon")
    await objects.delete(KEY)
    await objects.delete(KEY)
    with pytest.raises(FileNotFoundError):
        await objects.get(KEY)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "../outside.pdf",
        "invoices/../../outside.pdf",
        "invoices/./x.pdf",
        "invoices/..pdf",
        "/etc/passwd",
        "invoices//x.pdf",
        "invoices/x.pdf/",
        "invoices\\x.pdf",
        "invoices/x%2e%2e.pdf",
        "invoices/x.pdf\n",
        "invoices/x\x00.pdf",
        "invoices/王小明.pdf",
        "invoices/a b.pdf",
        "x" * (KEY_MAX + 1),
    ],
)
async def test_a_key_that_leads_elsewhere_or_says_too_much_is_refused(
    objects: ObjectStore, folder: Path, key: str
) -> None:
    for refused in (objects.put(key, b"x"), objects.get(key), objects.delete(key)):
        with pytest.raises(ValueError, match="a key is"):
            await refused
    assert list(folder.rglob("*")) == []
