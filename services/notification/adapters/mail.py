"""Mail over SMTP. The message id is ours and the same at every attempt; nothing a customer wrote reaches a header unchecked."""

from email.message import EmailMessage
from email.policy import SMTP
from types import TracebackType
from typing import Self

import aiosmtplib

from services.notification.adapters.port import Mail, Outcome, Refused, Sent, Unknown
from shared.domain.remark import safe_in_header

SEND_SECONDS = 20.0


class SmtpMailSender:
    def __init__(self, host: str, port: int, sender: str) -> None:
        self._host = host
        self._port = port
        self._sender = sender

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def send(self, mail: Mail) -> Outcome:
        if not all(map(safe_in_header, (mail.recipient, mail.subject, *(one.name for one in mail.attachments)))):
            return Refused("BAD_HEADER")
        try:
            await aiosmtplib.send(
                _message(mail, self._sender),
                sender=self._sender,
                recipients=[mail.recipient],
                hostname=self._host,
                port=self._port,
                start_tls=False,
                timeout=SEND_SECONDS,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPSenderRefused):
            return Refused("ADDRESS_REFUSED")
        except aiosmtplib.SMTPResponseException as error:
            return Refused("MAIL_REFUSED") if error.code >= 500 else Unknown(f"SMTP {error.code}")
        except (aiosmtplib.SMTPException, OSError) as error:
            return Unknown(type(error).__name__)
        return Sent()


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
