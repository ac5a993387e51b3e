"""What upstream systems publish: billing documents, usage, top-ups, and what changes of an account."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.contracts.accounts import AccountClosed, CashToppedUp, RegistrationChanged
from shared.contracts.billing import BillSettled, Line, OrderPaid, RefundLine, RefundSettled, UsageRecorded
from tests.support.world import an_account
from tests.worked.given import OLD
from tests.worked.language import Event, Happens

if TYPE_CHECKING:
    from tests.worked.player import Player


class Publishing:
    def __init__(self, player: "Player") -> None:
        self.player, self.world, self.played = player, player.world, player.played

    def events(self) -> dict[str, Happens]:
        return {
            "account.topped_up": self.account_topped_up,
            "account.closed": self.account_closed,
            "title.changed": self.title_changed,
            "order.paid": self.order_paid,
            "bill.generated": self.bill_generated,
            "refund.posted": self.refund_posted,
            "usage.recorded": self.usage_recorded,
        }

    async def account_topped_up(self, place: int, event: Event) -> None:
        fact = CashToppedUp(
            account_id=self.player.id_of(event), occurred_at=event["at"], number=f"T{place}", cash_fen=event["cash_fen"]
        )
        self.world.stage.publish(fact, source="/upstream/accounts")

    async def order_paid(self, _: int, event: Event) -> None:
        self.order(event, datetime.fromisoformat(event["at"]))

    def order(self, event: Event, at: datetime) -> None:
        line = self._line(event, {"list_fen": event.get("list_fen"), "voucher_fen": event.get("voucher_fen")})
        account_id = self.played.accounts[event["account"]]
        self.world.stage.publish(
            OrderPaid(account_id=account_id, number=event["doc_id"], occurred_at=at, lines=(line,))
        )

    async def usage_recorded(self, _: int, event: Event) -> None:
        line = self._line(event)
        self.world.stage.publish(
            UsageRecorded(
                account_id=self.player.id_of(event), number=event["usage_id"], occurred_at=event["at"], lines=(line,)
            )
        )

    async def bill_generated(self, _: int, event: Event) -> None:
        line = self._line(event)
        bill = {"account_id": self.player.id_of(event), "number": event["doc_id"], "cycle": event["cycle"]}
        self.world.stage.publish(BillSettled.model_validate(bill | {"occurred_at": event["at"], "lines": (line,)}))

    async def refund_posted(self, _: int, event: Event) -> None:
        refund = {
            "account_id": self.player.id_of(event),
            "number": event["doc_id"],
            "original_number": event["original_doc_id"],
        }
        lines = (RefundLine(cash_fen=event["cash_fen"]),)
        fact = RefundSettled.model_validate(refund | {"occurred_at": event["at"], "lines": lines})
        self.world.stage.publish(fact, event.get("event_id"))

    async def account_closed(self, _: int, event: Event) -> None:
        for account_id in (self.player.id_of(event), OLD):
            closed = AccountClosed(account_id=account_id, occurred_at=event["at"])
            self.world.stage.publish(closed, source="/upstream/accounts")

    async def title_changed(self, _: int, event: Event) -> None:
        registration = an_account(self.player.id_of(event), at=self.player.start).registration.model_copy(
            update={"name": event["title"]}
        )
        fact = RegistrationChanged(
            account_id=self.player.id_of(event), occurred_at=event["at"], registration=registration
        )
        self.world.stage.publish(fact, source="/upstream/accounts")

    def _line(self, event: Event, more: dict[str, Any] | None = None) -> Line:
        subject = event.get("subject") or (None if "product" in event else "ALIYUN_SERVICE")
        names = {"product_code": event.get("product"), "legal_entity": event.get("legal_entity"), "subject": subject}
        return Line.model_validate(names | {"cash_fen": event["cash_fen"]} | (more or {}))
