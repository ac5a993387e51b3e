"""The world after the last event, as everything that an example can expect."""

from typing import TYPE_CHECKING

from services.invoicing.issuing.splitting import split
from services.invoicing.requests.rules import Started, cancel_outcome
from services.ledger.balances import store as pages
from services.ledger.balances.rules import withdrawable_fen
from services.ledger.reservations.rules import Decision, reserve
from services.ledger.selections.search import select
from shared.contracts.ledger import BalanceReserved, ReserveBalance
from shared.contracts.message import LARGEST_ID
from shared.domain.catalogue import Catalogue
from tests.support.edge import asking_behind
from tests.worked.given import GIVEN, MANAGING, OLD, is_member
from tests.worked.looking import invoice_of

if TYPE_CHECKING:
    from tests.worked.player import Player

CHANNELS = {"mail": "email", "inbox": "internal_message"}
"""What an example calls them."""


class Ending:
    def __init__(self, player: "Player") -> None:
        self.player, self.world, self.played = player, player.world, player.played
        self.whose: dict[int, str] = {}
        """The name of each account."""

    async def look(self) -> None:
        names = {number: name for number, name in self.player.request_names().items() if not name.startswith(GIVEN)}
        self.whose = self.player.account_names()
        await self._splits()
        await self._downloads()
        await self._requests()
        self.played.red_invoices = await self.player.crediting.red_invoices()
        await self._invoices(names)
        await self._items()
        await self._offsets(names)
        await self._usage()
        await self._cash()
        await self._quota()
        await self._platform()
        await self._notices()

    async def _splits(self) -> None:
        """How a request over everything that the members have would be split. It is only computed."""
        members = tuple(number for name, number in self.played.accounts.items() if is_member(name))
        if not members:
            return
        command = ReserveBalance(
            account_id=self.played.accounts.get(MANAGING, members[0]), request_id=LARGEST_ID, accounts=members
        )
        async with self.world.stage.processes["ledger"].database.transaction() as db:
            selected = await select(db, command, self.world.stage.clock.now())
        decision = reserve(command, None, selected, LARGEST_ID, self.world.stage.clock.now())
        if isinstance(decision, Decision) and isinstance(answer := decision.answer, BalanceReserved):
            for consolidate, rows in ((False, self.played.separate), (True, self.played.consolidated)):
                wanted = Started("general", "invoicing", consolidate=consolidate, one_invoice_per_month=False)
                for part in split(answer, wanted, Catalogue.load()):
                    names = [self.whose[number] for number in part.members]
                    tax = {"gross_fen": part.gross_fen, "net_fen": part.net_fen, "tax_fen": part.tax_fen}
                    rows.append(tax | {"accounts": names, "account": names[0], "subject": part.subject})

    async def _downloads(self) -> None:
        """Asked for as the gateway asks, now that the account is closed."""
        invoicing = self.world.stage.processes["invoicing"]
        query = "SELECT name FROM invoice_file WHERE account_id = $1 AND name LIKE '%.pdf'"
        for row in await self.world.rows("invoicing", query, OLD):
            async with asking_behind(invoicing.service, invoicing.database) as http:
                answer = await http.get(f"/accounts/{OLD}/invoices/{row['name'].removesuffix('.pdf')}/files/pdf")
            self.played.downloads = "allowed" if answer.status_code == 200 and answer.content else "refused"

    async def _requests(self) -> None:
        for name in self.player.request_ids:
            row = await self.player.asking.row(name)
            shown = [_shown(look.request_status[name]) for look in self.played.looks if name in look.request_status]
            states = [state for place, state in enumerate(shown) if place == 0 or shown[place - 1] != state]
            self.played.requests[name] = {
                "status": _shown(row["status"]),
                "statuses": states,
                "reason": row["reason"],
                "cancel": cancel_outcome(row["cancel_wished"], row["status"]),
            }

    async def _invoices(self, names: dict[int, str]) -> None:
        for part in await self.player.looking.parts():
            if part["request_id"] in names:
                members = [self.whose[number] for number in part["members"]]
                self.played.invoices.append(invoice_of(part, names[part["request_id"]]) | {"members": members})

    async def _items(self) -> None:
        query = """
            SELECT account_id, number, offset_fen, invoiced_fen, invoiceable_fen, cycle FROM item WHERE account_id <> $1 ORDER BY item_id
        """
        for item in await self.world.rows("ledger", query, OLD):
            owner = self.whose[item["account_id"]]
            self.played.member_gross[owner] = self.played.member_gross.get(owner, 0) + item["invoiced_fen"]
            self.played.items[item["number"]] = {
                "invoiced_fen": item["invoiced_fen"],
                "can_invoice_fen": item["invoiceable_fen"],
                "offset_cost_fen": max(item["offset_fen"], 0),
                "offset_accept_fen": max(-item["offset_fen"], 0),
            }

    async def _offsets(self, names: dict[int, str]) -> None:
        """A refund's line shows what it accepted of the deficit it made, and what of it is still open."""
        query = """
            SELECT r.request_id, o.account_id, i.number AS from_doc, o.to_number AS to_doc, o.amount_fen AS fen
            FROM reservation_offset o JOIN reservation r USING (account_id, reservation_id)
                JOIN item i ON i.account_id = o.owner_id AND i.item_id = o.from_item_id
            WHERE NOT o.undone ORDER BY o.reservation_id, o.place
        """
        for row in await self.world.rows("ledger", query):
            request = {"request_id": names.get(row["request_id"]), "account": self.whose[row["account_id"]]}
            self.played.offsets.append(row | request)
        query = """
            SELECT f.number, least(i.invoiceable_fen, 0) AS can_invoice_fen,
                (SELECT coalesce(sum(o.amount_fen), 0)::bigint FROM reservation_offset o
                 WHERE o.owner_id = f.account_id AND o.to_number = f.number AND NOT o.undone) AS offset_accept_fen
            FROM refund f JOIN item i USING (account_id, item_id)
        """
        for row in await self.world.rows("ledger", query):
            self.played.items[row["number"]] = row | {"offset_cost_fen": 0, "invoiced_fen": 0}

    async def _usage(self) -> None:
        query = "SELECT number, cycle, earliest_at FROM usage_record ORDER BY number"
        for usage in await self.world.rows("ledger", query):
            self.played.usage[usage["number"]] = usage

    async def _cash(self) -> None:
        ledger, now = self.world.stage.processes["ledger"], self.world.stage.clock.now()
        for name, account_id in self.played.accounts.items():
            async with ledger.database.read() as db:
                cash_fen = await pages.cash_fen(db, account_id)
                deficit_fen = -sum(one.negative_fen for one in await pages.sums(db, account_id, now))
            self.played.cash[name] = (cash_fen, withdrawable_fen(cash_fen, deficit_fen))

    async def _quota(self) -> None:
        query = "SELECT sum(other_net_fen + issued_net_fen + held_net_fen)::bigint AS fen FROM quota WHERE legal_entity = ANY ($1)"
        sellers = [event["legal_entity"] for event in self.player.events if event["type"] == "tax.quota_set"]
        for quota in await self.world.rows("invoicing", query, sellers):
            self.played.quota_used_net_fen = quota["fen"]

    async def _platform(self) -> None:
        rows = await self.world.rows("invoicing", "SELECT serial FROM part WHERE account_id = $1", OLD)
        old = {row["serial"] for row in rows}
        self.played.platform = [
            row for row in self.world.platform_log if row["event"] == "issued" and row["serial"] not in old
        ]

    async def _notices(self) -> None:
        query = "SELECT kind, channel FROM notice WHERE account_id <> $1"
        rows = await self.world.rows("notification", query, OLD)
        channels = {CHANNELS.get(row["channel"], row["channel"]) for row in rows}
        self.played.notifications = {row["kind"] for row in rows} | channels


def _shown(status: str) -> str:
    return "invoicing" if status == "reserving" else status
