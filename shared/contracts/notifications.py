"""Facts of notification on `notification.events`: what people were told, once for each fact and channel."""

from typing import ClassVar, Literal

from shared.contracts.message import Code, Id, Message

Channel = Literal["mail", "sms", "inbox"]


class NotificationFact(Message):
    topic: ClassVar[str] = "notification.events"

    notification_id: Id
    channel: Channel
    kind: Code
    request_id: Id | None = None


class NotificationSent(NotificationFact):
    pass


class NotificationFailed(NotificationFact):
    """Given up for good: the address is missing or was refused."""

    reason: Code
