"""The table of topics: who writes each one and which messages travel on it. The key is the account id, or 0 where nobody knows it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.contracts import accounts, billing, invoicing, ledger, notices, parking, titles
from shared.contracts.message import Message


@dataclass(frozen=True)
class Topic:
    """A Kafka topic. `owner` is the service that writes it, "upstream" for any outside system, or "kaipiao" for any of our services.

    `formerly`: names under which a message was written once. They are read for ever.
    """

    name: str
    owner: str
    messages: tuple[type[Message], ...]
    formerly: Mapping[str, type[Message]] = field(default_factory=dict)

    def by_type(self, messages: Collection[type[Message]] | None = None) -> dict[str, type[Message]]:
        """Of all messages, or of these: each under its name and the names it had before."""
        names = {message.__name__: message for message in self.messages} | dict(self.formerly)
        return {name: message for name, message in names.items() if messages is None or message in messages}


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(
            "billing.events",
            "upstream",
            (
                billing.OrderPaid,
                billing.BillSettled,
                billing.RefundSettled,
                billing.BillAdjusted,
                billing.UsageRecorded,
            ),
        ),
        Topic(
            "account.events",
            "upstream",
            (
                accounts.AccountRegistered,
                accounts.RegistrationChanged,
                accounts.AccountClosed,
                accounts.RelationChanged,
                accounts.CashToppedUp,
            ),
        ),
        Topic(
            "title.events",
            "title",
            (
                titles.SealingKeyIssued,
                titles.TitleChanged,
                titles.RecipientChanged,
                titles.AccountStatusChanged,
                titles.MemberChanged,
                titles.AccountErasureStarted,
                titles.AccountErased,
            ),
        ),
        Topic("ledger.commands", "invoicing", (ledger.ReserveBalance, ledger.OffsetDeficit, ledger.ReleaseReservation)),
        Topic(
            "ledger.events",
            "ledger",
            (
                ledger.BalanceReserved,
                ledger.ReservationRefused,
                ledger.ReservationReleased,
                ledger.ReservationImpaired,
                ledger.AmountInvoiced,
                ledger.AmountCredited,
                ledger.DeficitOpened,
                ledger.DeficitClosed,
                ledger.RefundUnmatched,
                ledger.BalanceChanged,
            ),
        ),
        Topic(
            "invoicing.events",
            "invoicing",
            (
                invoicing.InvoiceRequested,
                invoicing.RequestRefused,
                invoicing.InvoiceIssued,
                invoicing.InvoiceFailed,
                invoicing.InvoiceVoided,
                invoicing.PartWaitsForQuota,
                invoicing.CreditNoteRequested,
                invoicing.RedFormWaits,
                invoicing.CreditNoteFailed,
                invoicing.InvoiceCredited,
                invoicing.InvoiceFilesStored,
                invoicing.RequestClosed,
                invoicing.AccountAtRest,
            ),
            formerly={"DocumentsStored": invoicing.InvoiceFilesStored},
        ),
        Topic(
            "notification.events",
            "notification",
            (notices.NoticeSent, notices.NoticeFailed),
            formerly={"NotificationSent": notices.NoticeSent, "NotificationFailed": notices.NoticeFailed},
        ),
        Topic("parking.events", "kaipiao", (parking.RecordParked,)),
    )
}
