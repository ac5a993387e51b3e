"""The table of topics: who writes each one and which messages travel on it. The key is always the account id."""

from dataclasses import dataclass

from shared.contracts import accounts, billing, invoicing, ledger, notifications, titles
from shared.contracts.message import Message


@dataclass(frozen=True)
class Topic:
    """A Kafka topic. `owner` is the service that writes it, or "upstream" for any outside system."""

    name: str
    owner: str
    messages: tuple[type[Message], ...]

    @property
    def by_type(self) -> dict[str, type[Message]]:
        return {message.__name__: message for message in self.messages}


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
                invoicing.DocumentsStored,
                invoicing.RequestClosed,
            ),
        ),
        Topic(
            "notification.events", "notification", (notifications.NotificationSent, notifications.NotificationFailed)
        ),
    )
}
