"""What notification asks of a mail server and an SMS gateway, and the answers there are. That nobody answered is one of them: `Unknown`."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True)
class Attachment:
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Mail:
    """`message_id` is the same at every attempt."""

    message_id: str
    recipient: str
    subject: str
    text: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Sms:
    """`out_id` is the same at every attempt; the gateway sends it once."""

    out_id: str
    mobile: str
    text: str


@dataclass(frozen=True)
class Sent:
    """The other side has accepted it."""


@dataclass(frozen=True)
class Refused:
    """For good: a bad address, a text that may not be sent."""

    reason: str


@dataclass(frozen=True)
class Unknown:
    """No answer: it may or may not have been accepted."""

    reason: str


SendAnswer = Sent | Refused | Unknown


class _Opened(Protocol):
    """Opened and closed with the service."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class MailSender(_Opened, Protocol):
    async def send(self, mail: Mail) -> SendAnswer: ...


class SmsSender(_Opened, Protocol):
    async def send(self, sms: Sms) -> SendAnswer: ...
