"""Records as aiokafka unpacks them, with one difference: a header name that is not UTF-8 does not end the fetch.

aiokafka decodes names strictly while it iterates, and what it raises there reaches the loop that fetches: the partition stands still,
and records of other partitions that were unpacked before are dropped. Here such a batch, and only such a one, is unpacked once more;
bytes that are no UTF-8 become surrogates (`surrogateescape`), so that `name.encode(errors="surrogateescape")` gives the bytes back.

`install` puts it in the one place where aiokafka's fetcher makes records of bytes; `tests/contract/test_header_names.py` pins the place.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords as Strict
from aiokafka.record.util import decode_varint_py

LENGTH_AT, OVERHEAD = 8, 12
"""Where a batch says how long it is, and what comes before that which it counts."""


class LosslessRecords:
    """In place of aiokafka's `MemoryRecords`: the same batches, which can be unpacked a second time."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._strict: Any = Strict(data)
        self._at = 0

    def has_next(self) -> bool:
        return bool(self._strict.has_next())

    def size_in_bytes(self) -> int:
        return int(self._strict.size_in_bytes())

    def next_batch(self) -> Any:  # noqa: ANN401 - aiokafka's, or ours around it
        start = self._at
        self._at += OVERHEAD + int.from_bytes(self._data[start + LENGTH_AT : start + OVERHEAD])
        batch = self._strict.next_batch()
        if batch is None or getattr(batch, "is_control_batch", True):
            return batch
        return _Batch(batch, self._data[start : self._at])


class _Batch:
    """A batch of the current format that holds records. All of it is unpacked before the first record is given out."""

    def __init__(self, batch: Any, data: bytes) -> None:  # noqa: ANN401
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            return iter(_Lenient(bytearray(self._data)))


class _Bytes(bytearray):
    """A slice of it decodes whatever it holds."""

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401
        found = super().__getitem__(index)
        return _Name(found) if isinstance(index, slice) else found


class _Name(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


class _Lenient(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka calls it final; it is what aiokafka itself falls back on
    def __iter__(self) -> Iterator[Any]:
        self._maybe_uncompress()
        self._buffer: bytearray = _Bytes(self._buffer)
        return self

    def _read_msg(self) -> Any:  # noqa: ANN401
        return super()._read_msg(decode_varint_py)  # the compiled one takes no bytearray but a plain one


def install() -> None:
    fetcher.MemoryRecords = LosslessRecords
