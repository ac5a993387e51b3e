"""What customers ask for: invoices, the payment of a deficit, and that a request is cancelled."""

import json
from typing import TYPE_CHECKING, Any

from services.invoicing.accounts.refusals import Refused
from services.invoicing.requests.intents import InvoiceIntent
from services.invoicing.requests.rules import CancelIntent
from tests.worked.given import MANAGING, is_member
from tests.worked.language import Event, Happens

if TYPE_CHECKING:
    from tests.worked.player import Player


class Asking:
    def __init__(self, player: "Player") -> None:
        self.player, self.world, self.played = player, player.world, player.played

    def events(self) -> dict[str, Happens]:
        return {
            "invoice.requested": self.invoice_requested,
            "deficit.offset_requested": self.deficit_offset_requested,
            "invoice.cancel_requested": self.invoice_cancel_requested,
        }

    async def invoice_requested(self, _: int, event: Event) -> None:
        name = event["request_id"]
        await self._ask(
            InvoiceIntent(
                self.player.id_of(event),
                event.get("idempotency_key") or name,
                numbers=tuple(event.get("doc_ids", ())),
                subject=event.get("subject"),
                amount_fen=event.get("amount_fen"),
                kind=event.get("invoice_type"),
                remark=event.get("remark", ""),
                members=self._members_of(event),
                consolidate=event.get("consolidate", False),
                one_invoice_per_month=event.get("one_invoice_per_month", False),
            ),
            name,
            event["account"],
        )

    def _members_of(self, event: Event) -> tuple[int, ...]:
        """Whose documents are named; of a managing account that names none, everybody's."""
        if event.get("doc_ids"):
            owners = {self.played.accounts[self.player.given.owner(doc_id)] for doc_id in event["doc_ids"]}
            return () if owners == {self.player.id_of(event)} else tuple(sorted(owners))
        members = [number for name, number in self.played.accounts.items() if is_member(name)]
        return (self.player.id_of(event), *members) if event["account"] == MANAGING else ()

    async def _ask(self, intent: InvoiceIntent, name: str, account: str) -> None:
        """An error is a refusal, at once or by the ledger."""
        answer = await self.world.request(intent)
        if isinstance(answer, Refused):
            about = self.player.account_names().get(answer.values.get("account_id", intent.account_id), account)
            self.played.errors.append({**answer.values, "code": answer.code, "request_id": name, "account": about})
            return
        known = self.player.request_names()
        if answer.request_id in known:
            self.played.duplicates.append({"request_id": name, "same_as": known[answer.request_id]})
            return
        self.player.request_ids[name] = (intent.account_id, answer.request_id)
        await self.player.settle()
        row = await self.row(name)
        if row["status"] == "refused":
            self.played.errors.append(
                {"code": row["reason"], "request_id": name, "account": account, **json.loads(row["detail"])}
            )
        else:
            self.played.accepted.append(name)

    async def deficit_offset_requested(self, place: int, event: Event) -> None:
        await self._ask(
            InvoiceIntent(
                self.player.id_of(event),
                f"offset-{place}",
                numbers=tuple(event["doc_ids"]),
                subject=event["subject"],
                amount_fen=event.get("amount_fen"),
                pays_deficit=True,
            ),
            f"offset-{place}",
            event["account"],
        )

    async def invoice_cancel_requested(self, _: int, event: Event) -> None:
        answer = await self.world.cancel(CancelIntent(*self.player.request_ids[event["request_id"]]))
        if isinstance(answer, Refused):
            self.played.errors.append({**answer.values, "code": answer.code, "request_id": event["request_id"]})

    async def row(self, name: str) -> dict[str, Any]:
        query = "SELECT status, reason, detail, cancel_wished FROM request WHERE account_id = $1 AND request_id = $2"
        (row,) = await self.world.rows("invoicing", query, *self.player.request_ids[name])
        return row

    async def status(self, name: str) -> str:
        """With the sub-state, if a part of it waits."""
        query = "SELECT status FROM part WHERE account_id = $1 AND request_id = $2 AND status = 'waiting_quota'"
        waiting = await self.world.rows("invoicing", query, *self.player.request_ids[name])
        return "invoicing(waiting_quota)" if waiting else (await self.row(name))["status"]
