"""What is given before the first event: accounts, relations, orders and invoices, said or only named; and a deficit, which is an event."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.invoicing.requests.intents import InvoiceIntent
from shared.contracts.accounts import AccountRegistered, RelationChanged
from shared.contracts.billing import Line, OrderPaid
from tests.support.world import an_account
from tests.worked.language import Event, Happens, NotOfferedError

if TYPE_CHECKING:
    from tests.worked.player import Player

MANAGING, MANAGES = "MA", "MANAGE_TARGET_INVOICE"
PLAIN_FEN = 100_000
GIVEN = "given-"
"""Begins the names of requests that an example did not name."""
OLD = 10_000
"""Beside the accounts of a story about closing: one that was invoiced and is closed as well, to see what becomes of its files."""


class Given:
    def __init__(self, player: "Player") -> None:
        self.player, self.world, self.played = player, player.world, player.played

    def events(self) -> dict[str, Happens]:
        return {"given.deficit": self.deficit}

    async def happened(self) -> None:
        """Whatever was there before the first event."""
        given = self.player.example.get("given", {})
        if "auto_invoicing" in given:
            raise NotOfferedError("not offered yet: auto-invoicing")
        for name in self._account_names():
            self.played.accounts[name] = len(self.played.accounts) + 1
            self.world.stage.publish(self._registered(name, given), source="/upstream/accounts")
        for relation in self._relations(given):
            self.world.stage.publish(relation, source="/upstream/accounts")
        for doc_id in self._undeclared_orders():
            order = {"account": self.owner(doc_id), "doc_id": doc_id, "cash_fen": PLAIN_FEN}
            self.player.publishing.order(order, self.player.start)
        await self.player.settle()
        for said in self.player.crediting.undeclared():
            await self.player.crediting.invoiced(said, PLAIN_FEN)
        if any(event["type"] == "account.closed" for event in self.player.events):
            await self._invoice_old_account()

    async def _invoice_old_account(self) -> None:
        self.world.stage.publish(an_account(OLD, at=self.player.start), source="/upstream/accounts")
        line = Line(subject="BJTECH_SERVICE", cash_fen=PLAIN_FEN)
        self.world.stage.publish(OrderPaid(account_id=OLD, number="OLD", occurred_at=self.player.start, lines=(line,)))
        await self.player.settle()
        await self.player.submitting.issued(InvoiceIntent(OLD, "old", numbers=("OLD",)))

    async def deficit(self, place: int, event: Event) -> None:
        """Paid, invoiced in full, refunded in full."""
        doc_id, account_id = f"DEFICIT-{place}", self.player.id_of(event)
        self.player.publishing.order(event | {"doc_id": doc_id}, datetime.fromisoformat(event["at"]))
        await self.player.settle()
        intent = InvoiceIntent(account_id, f"deficit-{place}", numbers=(doc_id,))
        request_id = await self.player.submitting.issued(intent)
        refund = event | {"doc_id": f"REFUND-{place}", "original_doc_id": doc_id}
        await self.player.publishing.refund_posted(place, refund)
        self.player.request_ids[f"{GIVEN}{place}"] = (account_id, request_id)

    def _account_names(self) -> list[str]:
        given = self.player.example.get("given", {})
        named = {event["account"] for event in self.player.events if "account" in event} | {"A1"}
        named |= {given["payer"]} if "payer" in given else set()
        named |= {*given.get("members", ()), *(self.owner(doc_id) for doc_id in self._undeclared_orders())}
        named |= {end for row in given.get("relations", ()) for end in (row["parent"], row["child"])}
        named |= {MANAGING} if any(map(is_member, named)) else set()
        return sorted(named)

    def _relations(self, given: dict[str, Any]) -> list[RelationChanged]:
        """`MA` manages the members unless the example says otherwise."""
        said = {(row["parent"], row["child"]): row["permissions"] for row in given.get("relations", ())}
        payer = given.get("payer", MANAGING)
        members = [*given.get("members", ()), *filter(is_member, self.played.accounts)]
        for name in members:
            if all(child != name for _, child in said):
                said[payer, name] = [MANAGES]
        accounts = self.played.accounts
        return [
            RelationChanged(
                account_id=accounts[parent],
                member_id=accounts[child],
                occurred_at=self.player.start,
                permissions=tuple(permissions),
            )
            for (parent, child), permissions in sorted(said.items())
        ]

    def _registered(self, name: str, given: dict[str, Any]) -> AccountRegistered:
        account = given.get("account", {})
        kind = account.get("registration", "enterprise") if name == account.get("id", "A1") else "enterprise"
        registered = an_account(self.played.accounts[name], kind, at=self.player.start)
        title = given.get("title")
        if title is None:
            return registered
        plain = {"name": title} if isinstance(title, str) else {"name": title["name"], "tax_id": title.get("tax_id")}
        bare = {} if isinstance(title, str) else dict.fromkeys(("address", "phone", "bank_name", "bank_account"))
        return registered.model_copy(update={"registration": registered.registration.model_copy(update=plain | bare)})

    def _undeclared_orders(self) -> list[str]:
        declared = {event.get("doc_id") for event in self.player.events}
        named = {
            doc
            for event in self.player.events
            for doc in (*event.get("doc_ids", ()), event.get("original_doc_id"))
            if doc
        }
        return sorted(named - declared)

    def owner(self, doc_id: str) -> str:
        """Who an event says; a document that only a request names belongs to the member in its name, or else to who asks."""
        said = [event["account"] for event in self.player.events if event.get("doc_id") == doc_id]
        prefix = doc_id.split("-", maxsplit=1)[0]
        if said or is_member(prefix):
            return said[0] if said else prefix
        return next(
            str(event["account"])
            for event in self.player.events
            if doc_id in (*event.get("doc_ids", ()), event.get("original_doc_id"))
        )


def is_member(name: str) -> bool:
    return re.fullmatch(r"M[0-9]+", name) is not None
