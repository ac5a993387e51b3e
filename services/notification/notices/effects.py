"""Mail and SMS. The id of a message is made from that of its notice, so that a repeat after a crash is recognised."""

from collections.abc import Callable

from services.notification.channels.port import Attachment, Mail, MailSender, SendAnswer, Sms, SmsSender
from services.notification.notices.rules import DueNotice, NoAddress
from shared.runtime.objects import ObjectStore

Unseal = Callable[[str, str, str], str]


async def send_mail(
    due: DueNotice, *, sender: MailSender, objects: ObjectStore, unseal: Unseal
) -> SendAnswer | NoAddress:
    if due.address is None or due.wrapped_key is None:
        return NoAddress()
    attachments = tuple(
        [Attachment(file.name, file.media_type, await objects.get(file.object_key)) for file in due.files]
    )
    address = unseal(due.wrapped_key, due.address, f"{due.account_id}/mailbox")
    return await sender.send(Mail(_id_of(due), address, due.subject, due.text, attachments))


async def send_sms(due: DueNotice, *, sender: SmsSender, unseal: Unseal) -> SendAnswer | NoAddress:
    if due.address is None or due.wrapped_key is None:
        return NoAddress()
    mobile = unseal(due.wrapped_key, due.address, f"{due.account_id}/mobile")
    return await sender.send(Sms(_id_of(due), mobile, due.text.splitlines()[0]))


def _id_of(due: DueNotice) -> str:
    return f"kaipiao-{due.account_id}-{due.notice_id}"
