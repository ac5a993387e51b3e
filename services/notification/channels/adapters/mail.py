"""Mail over SMTP. The message id is ours and the same at every attempt; nothing a customer wrote reaches a header unchecked."""

import asyncio
import re
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from types import TracebackType
from typing import Any, Self

import aiosmtplib

from services.notification.channels.port import Mail, Refused, SendAnswer, Sent, Unknown
from shared.domain.refusals import Refusal
from shared.domain.remark import safe_in_header

SEND_SECONDS = 20.0
TOO_LARGE = 552
PLAIN: Mapping[str, Any] = {"start_tls": False}
MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
"""One plain address. Lists, display names and quoted or non-ASCII mailboxes are not what a customer registers."""


class SmtpMailSender:
    def __init__(self, host: str, port: int, sender: str, security: Mapping[str, Any] = PLAIN) -> None:
        """`security`: TLS and login, as aiosmtplib takes them."""
        self._host = host
        self._port = port
        self._sender = sender
        self._security = security

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def send(self, mail: Mail) -> SendAnswer:
        if not all(map(safe_in_header, (mail.recipient, mail.subject, *(one.name for one in mail.attachments)))):
            return Refused(Refusal.BAD_HEADER)
        if not MAILBOX.fullmatch(mail.recipient):
            return Refused(Refusal.BAD_ADDRESS)
        try:
            # The whole conversation within the lease, not each command of it.
            async with asyncio.timeout(SEND_SECONDS):
                await aiosmtplib.send(
                    _message(mail, self._sender),
                    sender=self._sender,
                    recipients=[mail.recipient],
                    hostname=self._host,
                    port=self._port,
                    timeout=SEND_SECONDS,
                    **self._security,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _refusal(Refusal.ADDRESS_REFUSED, error.recipients[0].code)
        except aiosmtplib.SMTPDataError as error:
            return _refusal(Refusal.MAIL_REFUSED, error.code)
        except aiosmtplib.SMTPResponseException as error:
            # Of what is said before the data only the size is about this mail; the rest is about us, and may pass.
            return Refused(Refusal.MAIL_REFUSED) if error.code == TOO_LARGE else Unknown(f"SMTP {error.code}")
        except (aiosmtplib.SMTPException, OSError) as error:
            return Unknown(type(error).__name__)
        return Sent()


def _refusal(reason: str, code: int) -> SendAnswer:
    """5xx is for good; 4xx, such as greylisting, is for now."""
    return Refused(reason) if code >= 500 else Unknown(f"SMTP {code}")


def _message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Message-ID"] = f"<{mail.message_id}@{sender.rpartition('@')[2]}>"
    message.set_content(mail.text)
    for one in mail.attachments:
        main, _, sub = one.media_type.partition("/")
        message.add_attachment(one.content, maintype=main, subtype=sub, filename=one.name)
    return message
