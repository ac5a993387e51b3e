"""Facts of notification on `notification.events`: notices, each told once on one channel."""

from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field

from shared.contracts.message import Code, Id, Message

Channel = Literal["mail", "sms", "inbox"]


class NoticeFact(Message):
    topic: ClassVar[str] = "notification.events"

    notice_id: Annotated[Id, Field(validation_alias=AliasChoices("notice_id", "notification_id"))]
    """Written as `notification_id` until 2026-11."""

    channel: Channel
    kind: Code
    request_id: Id | None = None


class NoticeSent(NoticeFact):
    pass


class NoticeFailed(NoticeFact):
    """Given up for good: the address is missing or was refused."""

    reason: Code
