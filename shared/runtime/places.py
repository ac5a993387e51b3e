"""Where a consumer starts; and whether the database still has what this process committed. One that was promoted behind its primary
has not: records that took effect there are not here, and whoever read on from where it stands would pass them over for good, though the
topic still has them. Such a process ends, and the next one begins at the place that the database has.
"""

from collections.abc import Iterable, Mapping, Sequence

from shared.runtime.store import Tally
from shared.runtime.transport import Assigned, LogDiffers, NotDone, Partition


class WentBack(NotDone):
    """Nothing may be committed here until somebody has begun anew."""


class Places:
    """Of one consumer: in each partition the place up to which this process has committed, or found committed."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._known: dict[Partition, int] = {}
        self.went_back: str | None = None

    @property
    def known(self) -> Mapping[Partition, int]:
        return dict(self._known)

    def begin(self, stored: Mapping[Partition, int]) -> None:
        """Anew, from what the database has."""
        self._known = dict(stored)

    def committed(self, tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            self._known[tally.partition] = max(self._known.get(tally.partition, 0), tally.next_offset)

    def check(self, known: Mapping[Partition, int], stored: Mapping[Partition, int]) -> None:
        """`known` is from before `stored` was read; what is not stored is at its beginning."""
        for partition, at in known.items():
            if (found := stored.get(partition, 0)) < at:
                place = f"{partition.topic}/{partition.number}"
                self.went_back = f"the database of {self._consumer} went back: {place} is at {found}, and was at {at}"
                raise WentBack(self.went_back)


def starts(
    consumer: str, assigned: Sequence[Assigned], stored: Mapping[Partition, int], forgotten: Mapping[Partition, int]
) -> dict[Partition, int]:
    """The lower of our offset and Kafka's, none being zero: what was lost on either side heals by itself. Raises `LogDiffers`."""
    found = {}
    for part in assigned:
        if not part.start <= (at := stored.get(part.partition, part.start)) <= part.end:
            raise LogDiffers(
                f"{consumer} stands at {at} of {part.partition}, which goes from {part.start} to {part.end}: "
                "either records were deleted before they were read, or the topic was made anew"
            )
        start = found[part.partition] = min(stored.get(part.partition, 0), part.committed or 0)
        if max(start, part.start) <= (through := forgotten.get(part.partition, -1)):
            raise LogDiffers(
                f"{consumer} would read {part.partition} again from {start}, and what took effect up to {through} is forgotten: "
                "either Kafka keeps records for longer than INBOX_DAYS, or the topic was made anew"
            )
    return found
