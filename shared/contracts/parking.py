"""What we tell upstream of its own records that could not take effect, on `parking.events`. Any of our services writes it."""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.contracts.message import AccountId, Message, Moment

Said = Annotated[str, Field(max_length=1024)]
"""As the record says it of itself, if it can be read; nobody has checked it."""


class RecordParked(Message):
    """A record of upstream's was parked by `consumer`: it has no effect there until somebody mends its cause and redrives it.

    Told once for each parked record, not for its repeats. `reason` is a stable code, `text` says what to do and never quotes the record.
    """

    topic: ClassVar[str] = "parking.events"

    account_id: AccountId | None = None  # type: ignore[assignment]  # a record that can't be read may be anybody's
    consumer: str
    record_topic: str
    record_partition: Annotated[int, Field(ge=0)]
    record_offset: Annotated[int, Field(ge=0)]
    event_source: Said | None = None
    event_id: Said | None = None
    event_type: Said | None = None
    number: Said | None = None
    reason: str
    text: str
    redrive_from: Moment | None = None
    """Before this moment a redrive cannot help."""
