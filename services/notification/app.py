"""Notification: tells people, once, on the channels there are. The table of what it takes; the first page to read."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from services.notification.channels.adapters.mail import SmtpMailSender
from services.notification.channels.adapters.sms import HttpSmsSender
from services.notification.channels.port import MailSender, SmsSender
from services.notification.notices import api, effects, handlers, store
from services.notification.recipients.handlers import recipient_changed
from services.notification.recipients.rules import Keys
from shared.contracts.invoicing import (
    CreditNoteFailed,
    InvoiceCredited,
    InvoiceFailed,
    InvoiceFilesStored,
    InvoiceIssued,
    InvoiceVoided,
    RedFormWaits,
    RequestRefused,
)
from shared.contracts.titles import AccountErased, RecipientChanged
from shared.runtime import parked
from shared.runtime.account_keys import AccountKeys
from shared.runtime.objects import ObjectStore
from shared.runtime.retention import Kept
from shared.runtime.security import mail_security, sms_security
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from shared.runtime.workers import Worker

MIGRATIONS = Path(__file__).parent / "migrations"
NOTICES_WAIT = "SELECT count(*), min(created_at) FROM notice WHERE status = 'pending' AND channel ="
QUEUES = {"mails": f"{NOTICES_WAIT} 'mail'", "sms": f"{NOTICES_WAIT} 'sms'"}
"""What waits, and since when."""


def build(settings: Settings) -> Service:
    mail = SmtpMailSender(settings.smtp_host, settings.smtp_port, settings.mail_from, mail_security(settings))
    sms = HttpSmsSender(settings.sms_url, sms_security(settings))
    keys = AccountKeys(settings)
    made = notification(settings, mail, sms, ObjectStore(settings.documents_url), keys)
    return replace(made, resources=[*made.resources, keys])


def notification(settings: Settings, mail: MailSender, sms: SmsSender, objects: ObjectStore, keys: Keys) -> Service:
    return Service(
        "notification",
        MIGRATIONS,
        handlers={
            RecipientChanged: recipient_changed,
            AccountErased: partial(handlers.account_erased, forget=parked.forget),
            InvoiceIssued: handlers.invoice_issued,
            InvoiceFilesStored: handlers.invoice_files_stored,
            InvoiceFailed: handlers.invoice_failed,
            InvoiceVoided: handlers.invoice_voided,
            InvoiceCredited: handlers.invoice_credited,
            RedFormWaits: handlers.red_form_waits,
            CreditNoteFailed: handlers.credit_note_failed,
            RequestRefused: handlers.request_refused,
        },
        workers=[
            Worker(
                "mail",
                claim=partial(store.claim_due, channel="mail"),
                call=partial(effects.send_mail, sender=mail, objects=objects, keys=keys),
                outcome=handlers.attempted,
            ),
            Worker(
                "sms",
                claim=partial(store.claim_due, channel="sms"),
                call=partial(effects.send_sms, sender=sms, keys=keys),
                outcome=handlers.attempted,
            ),
        ],
        queues=QUEUES,
        kept=[Kept("notice", "created_at", settings.notice_days, "t.status <> 'pending'")],
        routes=api.routes,
        resources=[mail, sms],
    )
