"""The world after each event: balances, waiting refunds, and where requests and invoices stand."""

from typing import TYPE_CHECKING, Any

from services.ledger.balances import store as pages
from services.ledger.balances.rules import balance
from shared.contracts.ledger import Balance
from shared.domain.words import amount_in_words
from tests.worked.given import OLD
from tests.worked.language import Event, Happens
from tests.worked.played import Look

if TYPE_CHECKING:
    from tests.worked.player import Player


class Looking:
    def __init__(self, player: "Player") -> None:
        self.player, self.world = player, player.world

    def events(self) -> dict[str, Happens]:
        return dict.fromkeys(("query.balance", "query.withdrawable", "query.red_form", "clock.tick"), self.only_looked)

    async def only_looked(self, _: int, event: Event) -> None:
        """A look at the world; every event is followed by one."""

    async def look(self, event: Event) -> Look:
        waiting = await self.world.rows("ledger", "SELECT number FROM refund WHERE item_id IS NULL ORDER BY number")
        statuses = {name: await self.player.asking.status(name) for name in self.player.request_ids}
        invoices = {invoice_of(row, "")["status"] for row in await self.parts() if row["number"]}
        numbers = [row["number"] for row in waiting]
        return Look(event["at"], event["type"], await self._balances(), numbers, statuses, invoices)

    async def _balances(self) -> dict[tuple[str, str], Balance]:
        found = {}
        ledger = self.world.stage.processes["ledger"]
        for name, account_id in self.player.played.accounts.items():
            async with ledger.database.read() as db:
                for sums in await pages.sums(db, account_id, self.world.stage.clock.now()):
                    found[name, sums.subject] = balance(sums)
        return found

    async def parts(self) -> list[dict[str, Any]]:
        """With the status of the credit note that lives, if there is one."""
        query = """
            SELECT p.*, r.remark, c.status AS credit FROM part p JOIN request r USING (account_id, request_id)
                LEFT JOIN credit_note c ON c.account_id = p.account_id AND c.part_id = p.part_id AND c.status <> 'failed'
            WHERE p.account_id <> $1 ORDER BY p.part_id
        """
        return await self.world.rows("invoicing", query, OLD)


def invoice_of(part: dict[str, Any], request: str) -> dict[str, Any]:
    status = {"issued": "invoiced", "queued": "invoicing", "waiting_quota": "invoicing", "submitting": "invoicing"}.get(
        part["status"], part["status"]
    )
    if part["credit"] is not None:
        status = "credited" if part["credit"] == "issued" else "crediting"
    return {
        "subject": part["subject"],
        "tax_rate": f"{part['tax_percent'] / 100:.2f}",
        "gross_fen": part["gross_fen"],
        "net_fen": part["net_fen"],
        "tax_fen": part["tax_fen"],
        "amount_in_words": amount_in_words(part["gross_fen"]),
        "status": status,
        "number": part["number"],
        "request_id": request,
        "type": part["kind"],
        "remark": part["remark"],
        "origin": "manual",
        "cycle": part["cycles"][0] if len(part["cycles"]) == 1 else part["cycles"],
    }
