"""What an operator decided shall never take effect has none either when Kafka brings it again: after a rewind, or to another process.

Only what says the same at the same place is meant. Another record there, after a topic was made anew, is another matter; and so is the
same event at another place, for its sender has sent it again.
"""

from collections.abc import Mapping, Sequence

from shared.runtime import store
from shared.runtime.about import about
from shared.runtime.database import Database
from shared.runtime.entries import Entry
from shared.runtime.transport import Partition


async def pass_over(
    database: Database, consumer: str, entries: Sequence[Entry], known: Mapping[Partition, int]
) -> None:
    """`known`: up to where each partition was settled once, which is where dismissed records can be."""
    again = [entry for entry in entries if entry.record.offset < known.get(entry.record.partition, 0)]
    if not again:
        return
    async with database.read() as db:
        dismissed = await store.dismissed(db, consumer, [entry.record for entry in again])
    for entry in again:
        fingerprint = dismissed.get((entry.record.partition, entry.record.offset))
        if fingerprint is not None and fingerprint == about(entry.record).fingerprint:
            entry.message = None
