"""What examples say of credit notes and red confirmation forms, done on the stage of their player."""

from typing import TYPE_CHECKING, Any

from services.invoicing.accounts.refusals import Refused
from services.invoicing.credit_notes.intents import CreditNoteIntent
from services.invoicing.requests.intents import InvoiceIntent
from shared.domain.words import amount_in_words
from tests.worked.language import Event, Happens

if TYPE_CHECKING:
    from tests.worked.player import Player

BUYER_TURN = "02"


class Crediting:
    def __init__(self, player: "Player") -> None:
        self.player = player
        self.world = player.world

    def events(self) -> dict[str, Happens]:
        return {
            "credit_note.requested": self.requested,
            "red_form.entered": self.entered,
            "red_form.confirmed": self.form_state,
            "tax.red_form_state": self.form_state,
            "tax.red_issued": self.red_issued,
        }

    def undeclared(self) -> list[dict[str, Any]]:
        """Issued invoices that are there before: the given one, and those that are named and never asked for."""
        asked = {event["request_id"] for event in self.player.events if event["type"] == "invoice.requested"}
        named: dict[str, dict[str, Any]] = {
            event["invoice_of"]: {} for event in self.player.events if "invoice_of" in event
        }
        given = self.player.example.get("given", {}).get("invoice")
        named |= {given["request_id"]: given} if given else {}
        return [{"request_id": name} | said for name, said in named.items() if name not in asked]

    async def invoiced(self, said: dict[str, Any], plain_fen: int) -> None:
        name, account_id = said["request_id"], self.player.played.accounts["A1"]
        order = {"account": "A1", "doc_id": f"OF-{name}", "cash_fen": said.get("gross_fen", plain_fen)}
        self.player.publishing.order(order, self.player.start)
        await self.player.settle()
        intent = InvoiceIntent(account_id, name, numbers=(order["doc_id"],), kind=said.get("type"))
        self.player.request_ids[name] = (account_id, await self.player.submitting.issued(intent))
        self.player.submitting.sent.add(name)

    async def requested(self, place: int, event: Event) -> None:
        form_number = event.get("red_form_no") or ""
        account_id, _ = self.player.request_ids[event["invoice_of"]]
        for row in await self._invoices(event["invoice_of"]):
            if form_number:  # one that was entered before is known, and stays as it was
                gross_fen = -abs(event.get("form_gross_fen") or row["gross_fen"])
                self.world.platform.enter_form(row["number"], form_number, gross_fen)
            intent = CreditNoteIntent(
                account_id,
                f"credit-{place}-{row['part_id']}",
                row["number"],
                event.get("reason") or "issued_in_error",
                bool(event.get("recorded")),
                form_number,
                event.get("remark") or "",
            )
            answer = await self.world.credit(intent)
            if isinstance(answer, Refused):
                self._refused(event["invoice_of"], answer.code)
                continue
            await self.player.let_platform_be_asked()
            query = "SELECT reason FROM credit_note WHERE credit_note_id = $1 AND status = 'failed'"
            for failed in await self.world.rows("invoicing", query, answer.credit_note_id):
                self._refused(event["invoice_of"], failed["reason"])

    def _refused(self, name: str, code: str) -> None:
        account_id, _ = self.player.request_ids[name]
        account = self.player.account_names()[account_id]
        self.player.played.errors.append({"code": code, "request_id": name, "account": account})

    async def entered(self, place: int, event: Event) -> None:
        """By the buyer, in the bureau; by the seller, because a credit note is asked for."""
        if event.get("by") == "seller":
            await self.requested(place, {"invoice_of": event["invoice_of"]})
            await self.form_state(place, event | {"state": event.get("state", BUYER_TURN)})
            return
        for row in await self._invoices(event["invoice_of"]):
            gross_fen = -abs(event.get("gross_fen") or row["gross_fen"])
            self.world.platform.enter_form(row["number"], event["red_form_no"], gross_fen, event.get("state", "03"))

    async def form_state(self, _: int, event: Event) -> None:
        """Of a form named by its number, or by the invoice that a credit note is over."""
        number = event.get("red_form_no")
        numbers = [number] if number else [row["form"] for row in await self._credits(event["invoice_of"])]
        for form_number in numbers:
            self.world.platform.set_form(form_number, event.get("state", "04"))
        await self.player.let_platform_be_asked()

    async def red_issued(self, _: int, event: Event) -> None:
        for row in await self._credits(event["invoice_of"]):
            self.world.platform.finish(row["serial"], "issued")
        await self.player.let_platform_be_asked()

    async def red_invoices(self) -> list[dict[str, Any]]:
        """As the platform's own log has them."""
        query = "SELECT number, request_id FROM part WHERE number IS NOT NULL"
        blue = {row["number"]: row["request_id"] for row in await self.world.rows("invoicing", query)}
        names = self.player.request_names()
        return [
            {name: row[name] for name in ("gross_fen", "net_fen", "tax_fen")}
            | {"of": names[blue[row["of"]]], "amount_in_words": amount_in_words(row["gross_fen"])}
            for row in self.world.platform_log
            if row["event"] == "issued" and "of" in row
        ]

    async def _invoices(self, name: str) -> list[dict[str, Any]]:
        return await self.player.parts(*self.player.request_ids[name])

    async def _credits(self, name: str) -> list[dict[str, Any]]:
        """The last credit note of each invoice, with the platform's number of its form."""
        query = """
            SELECT DISTINCT ON (c.part_id) c.serial FROM credit_note c JOIN part p USING (account_id, part_id)
            WHERE p.account_id = $1 AND p.request_id = $2 ORDER BY c.part_id, c.credit_note_id DESC
        """
        rows = await self.world.rows("invoicing", query, *self.player.request_ids[name])
        return [row | {"form": self.world.platform.form_of(row["serial"])} for row in rows]
