"""Mail and SMS. The id of a message is made from that of its notice, so that a repeat after a crash is recognised."""

from services.notification.channels.port import Attachment, Mail, MailSender, Refused, SendAnswer, Sms, SmsSender
from services.notification.notices.rules import DueNotice, NoAddress
from services.notification.recipients.rules import Keys, Unseal
from shared.contracts.message import Erased
from shared.domain.refusals import Refusal
from shared.runtime.objects import ObjectStore


async def send_mail(due: DueNotice, *, sender: MailSender, objects: ObjectStore, keys: Keys) -> SendAnswer | NoAddress:
    address = await _address(due, "mailbox", keys)
    if not isinstance(address, str):
        return address
    attachments = tuple(
        [Attachment(file.name, file.media_type, await objects.get(file.object_key)) for file in due.files]
    )
    return await sender.send(Mail(_id_of(due), address, due.subject, due.text, attachments))


async def send_sms(due: DueNotice, *, sender: SmsSender, keys: Keys) -> SendAnswer | NoAddress:
    mobile = await _address(due, "mobile", keys)
    if not isinstance(mobile, str):
        return mobile
    return await sender.send(Sms(_id_of(due), mobile, due.text.splitlines()[0]))


async def _address(due: DueNotice, field: str, keys: Keys) -> str | Refused | NoAddress:
    """Readable; or why there is none."""
    if due.address is None:
        return NoAddress()
    sealed = due.address

    async def read(unseal: Unseal) -> str:
        return unseal(sealed, f"{due.account_id}/{field}")

    try:
        return await keys.using(due.account_id, read)
    except Erased:
        return Refused(Refusal.ACCOUNT_DATA_ERASED)


def _id_of(due: DueNotice) -> str:
    return f"kaipiao-{due.account_id}-{due.notice_id}"
