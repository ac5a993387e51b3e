"""Plays the events of one example and looks at the world after each. It never sees what is expected."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from services.invoicing.accounts.refusals import Refused
from services.invoicing.issuing.splitting import split
from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from services.invoicing.requests.rules import CancelIntent, Started, cancel_outcome
from services.ledger.balances import store as pages
from services.ledger.balances.rules import balance, withdrawable_fen
from services.ledger.reservations.rules import Decision, reserve
from services.ledger.selections.search import select
from shared.contracts.accounts import AccountClosed, CashToppedUp, RegistrationChanged, RelationChanged
from shared.contracts.billing import BillSettled, Line, OrderPaid, RefundLine, RefundSettled, UsageRecorded
from shared.contracts.ledger import Balance, BalanceReserved, ReserveBalance
from shared.contracts.message import LARGEST_ID
from shared.domain.catalogue import Catalogue
from shared.domain.words import amount_in_words
from tests.support.databases import Databases
from tests.support.edge import asking_behind
from tests.support.world import FlowWorld, an_account
from tests.worked.crediting import Crediting
from tests.worked.language import NotOfferedError

MANAGING, MANAGES = "MA", "MANAGE_TARGET_INVOICE"
NEVER_BY_ITSELF = 10**9
PLAIN_FEN = 100_000
OLD = 10_000
"""Beside the accounts of a story about closing: one that was invoiced and is closed as well, to see what becomes of its files."""
LATER = "not offered yet: "
UNOFFERED = {
    "title.corporate_applied": "title applications",
    "auto_invoicing.due": "auto-invoicing",
}


@dataclass
class Look:
    """The world after an event."""

    at: str
    type: str
    balances: dict[tuple[str, str], Balance]
    waiting: list[str]
    request_status: dict[str, str]
    invoice_status: set[str]


@dataclass
class Played:
    """Everything that can be asked about a played example."""

    looks: list[Look] = field(default_factory=list)
    invoices: list[dict[str, Any]] = field(default_factory=list)
    red_invoices: list[dict[str, Any]] = field(default_factory=list)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    offsets: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    duplicates: list[dict[str, str]] = field(default_factory=list)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)
    cash: dict[str, tuple[int, int]] = field(default_factory=dict)
    platform: list[dict[str, Any]] = field(default_factory=list)
    quota_used_net_fen: int | None = None
    notifications: set[Any] = field(default_factory=set)
    accounts: dict[str, int] = field(default_factory=dict)
    member_gross: dict[str, int] = field(default_factory=dict)
    """What each account's own items were invoiced for."""
    downloads: str | None = None
    separate: list[dict[str, Any]] = field(default_factory=list)
    consolidated: list[dict[str, Any]] = field(default_factory=list)


class Player:
    """One example on one stage. Business time is the example's; real time moves on its own, for leases and pauses."""

    def __init__(self, example: dict[str, Any]) -> None:
        self.example = example
        self.events: list[dict[str, Any]] = example["events"]
        self.start = datetime.fromisoformat(self.events[0]["at"]) - timedelta(days=1)
        self.world = FlowWorld(self.start, issue_delay_seconds=NEVER_BY_ITSELF, fault=self._fault)
        self.played = Played()
        self.faults: list[str] = []
        self.request_ids: dict[str, tuple[int, int]] = {}
        self.submitted: set[str] = set()
        self.crediting = Crediting(self)

    def _fault(self) -> str:
        return self.faults.pop(0) if self.faults else ""

    async def play(self, databases: Databases, folder: Path) -> Played:
        await self.world.open(databases, folder)
        try:
            await self._given()
            for place, event in enumerate(self.events):
                self._set_time(event.get("delivered_at", event["at"]))
                await self._event(place, event)
                await self.settle()
                self.played.looks.append(await self._look(event))
            await self._look_at_the_end()
        finally:
            await self.world.close()
        return self.played

    # time

    def _set_time(self, at: str) -> None:
        clock = self.world.stage.clock
        clock.offset = datetime.fromisoformat(at) - clock.real()

    async def settle(self, without: tuple[str, ...] = ("issue", "waiting")) -> None:
        await self.world.stage.settle(without)

    async def let_platform_be_asked(self) -> None:
        """Real time passes, business time does not: pauses between queries end."""
        for _ in range(6):
            clock = self.world.stage.clock
            clock.advance(3600)
            clock.offset -= timedelta(hours=1)
            await self.settle(without=())

    # what is given

    async def _given(self) -> None:
        given = self.example.get("given", {})
        later = {"auto_invoicing": "auto-invoicing"}
        if wanted := set(given) & set(later):
            raise NotOfferedError(LATER + ", ".join(sorted({later[name] for name in wanted})))
        for name in self._account_names():
            self.played.accounts[name] = len(self.played.accounts) + 1
            self.world.stage.publish(self._registered(name, given), source="/upstream/accounts")
        for relation in self._relations(given):
            self.world.stage.publish(relation, source="/upstream/accounts")
        for doc_id in self._undeclared_orders():
            self.publish_order({"account": self._owner(doc_id), "doc_id": doc_id, "cash_fen": PLAIN_FEN}, self.start)
        await self.settle()
        for said in self.crediting.undeclared():
            await self.crediting.invoiced(said, PLAIN_FEN)
        if any(event["type"] == "account.closed" for event in self.events):
            await self._invoice_old_account()

    async def _invoice_old_account(self) -> None:
        self.world.stage.publish(an_account(OLD, at=self.start), source="/upstream/accounts")
        line = Line(subject="BJTECH_SERVICE", cash_fen=PLAIN_FEN)
        self.world.stage.publish(OrderPaid(account_id=OLD, number="OLD", occurred_at=self.start, lines=(line,)))
        await self.settle()
        taken = await self.world.request(InvoiceIntent(OLD, "old", numbers=("OLD",)))
        assert isinstance(taken, AcceptedRequest)
        await self.settle(without=())
        self._finish({row["serial"] for row in await self._parts(OLD, taken.request_id)}, "issued")
        await self.let_platform_be_asked()

    async def _look_at_downloads(self) -> None:
        """Asked for as the gateway asks, now that the account is closed."""
        invoicing = self.world.stage.processes["invoicing"]
        query = "SELECT name FROM invoice_file WHERE account_id = $1 AND name LIKE '%.pdf'"
        for row in await self.world.rows("invoicing", query, OLD):
            async with asking_behind(invoicing.service, invoicing.database) as http:
                answer = await http.get(f"/accounts/{OLD}/invoices/{row['name'].removesuffix('.pdf')}/files/pdf")
            self.played.downloads = "allowed" if answer.status_code == 200 and answer.content else "refused"

    def _account_names(self) -> list[str]:
        given = self.example.get("given", {})
        named = {event["account"] for event in self.events if "account" in event} | {"A1"}
        named |= {given["payer"]} if "payer" in given else set()
        named |= {*given.get("members", ()), *(self._owner(doc_id) for doc_id in self._undeclared_orders())}
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
                occurred_at=self.start,
                permissions=tuple(permissions),
            )
            for (parent, child), permissions in sorted(said.items())
        ]

    def _registered(self, name: str, given: dict[str, Any]) -> Any:  # noqa: ANN401 - a message
        account = given.get("account", {})
        kind = account.get("registration", "enterprise") if name == account.get("id", "A1") else "enterprise"
        registered = an_account(self.played.accounts[name], kind, at=self.start)
        title = given.get("title")
        if title is None:
            return registered
        plain = {"name": title} if isinstance(title, str) else {"name": title["name"], "tax_id": title.get("tax_id")}
        bare = {} if isinstance(title, str) else dict.fromkeys(("address", "phone", "bank_name", "bank_account"))
        return registered.model_copy(update={"registration": registered.registration.model_copy(update=plain | bare)})

    def _undeclared_orders(self) -> list[str]:
        declared = {event.get("doc_id") for event in self.events}
        named = {
            doc for event in self.events for doc in (*event.get("doc_ids", ()), event.get("original_doc_id")) if doc
        }
        return sorted(named - declared)

    def _owner(self, doc_id: str) -> str:
        """Whoever it was said of; a document named only in a request belongs to the member in its name, or to who asks."""
        said = [event["account"] for event in self.events if event.get("doc_id") == doc_id]
        prefix = doc_id.split("-", maxsplit=1)[0]
        if said or is_member(prefix):
            return said[0] if said else prefix
        return next(
            str(event["account"])
            for event in self.events
            if doc_id in (*event.get("doc_ids", ()), event.get("original_doc_id"))
        )

    # events

    async def _event(self, place: int, event: dict[str, Any]) -> None:
        if event["type"] in UNOFFERED:
            raise NotOfferedError(LATER + UNOFFERED[event["type"]])
        handler = getattr(self, "_on_" + event["type"].replace(".", "_"))
        await handler(place, event)

    async def _on_account_topped_up(self, place: int, event: dict[str, Any]) -> None:
        fact = CashToppedUp(
            account_id=self._id(event), occurred_at=event["at"], number=f"T{place}", cash_fen=event["cash_fen"]
        )
        self.world.stage.publish(fact, source="/upstream/accounts")

    async def _on_order_paid(self, _: int, event: dict[str, Any]) -> None:
        self.publish_order(event, datetime.fromisoformat(event["at"]))

    def publish_order(self, event: dict[str, Any], at: datetime) -> None:
        line = self._line(event, {"list_fen": event.get("list_fen"), "voucher_fen": event.get("voucher_fen")})
        account_id = self.played.accounts[event["account"]]
        self.world.stage.publish(
            OrderPaid(account_id=account_id, number=event["doc_id"], occurred_at=at, lines=(line,))
        )

    async def _on_usage_recorded(self, _: int, event: dict[str, Any]) -> None:
        line = self._line(event)
        self.world.stage.publish(
            UsageRecorded(account_id=self._id(event), number=event["usage_id"], occurred_at=event["at"], lines=(line,))
        )

    async def _on_bill_generated(self, _: int, event: dict[str, Any]) -> None:
        line = self._line(event)
        bill = {"account_id": self._id(event), "number": event["doc_id"], "cycle": event["cycle"]}
        self.world.stage.publish(BillSettled.model_validate(bill | {"occurred_at": event["at"], "lines": (line,)}))

    async def _on_refund_posted(self, _: int, event: dict[str, Any]) -> None:
        refund = {"account_id": self._id(event), "number": event["doc_id"], "original_number": event["original_doc_id"]}
        lines = (RefundLine(cash_fen=event["cash_fen"]),)
        fact = RefundSettled.model_validate(refund | {"occurred_at": event["at"], "lines": lines})
        self.world.stage.publish(fact, event.get("event_id"))

    async def _on_given_deficit(self, place: int, event: dict[str, Any]) -> None:
        """Paid, invoiced in full, refunded in full."""
        doc_id = f"DEFICIT-{place}"
        self.publish_order(event | {"doc_id": doc_id}, datetime.fromisoformat(event["at"]))
        await self.settle()
        taken = await self.world.request(InvoiceIntent(self._id(event), f"deficit-{place}", numbers=(doc_id,)))
        assert isinstance(taken, AcceptedRequest)
        await self.settle(without=())
        self._finish({row["serial"] for row in await self._parts(self._id(event), taken.request_id)}, "issued")
        await self.let_platform_be_asked()
        await self._on_refund_posted(place, event | {"doc_id": f"REFUND-{place}", "original_doc_id": doc_id})
        self.request_ids[f"given-{place}"] = (self._id(event), taken.request_id)

    async def _on_account_closed(self, _: int, event: dict[str, Any]) -> None:
        for account_id in (self._id(event), OLD):
            closed = AccountClosed(account_id=account_id, occurred_at=event["at"])
            self.world.stage.publish(closed, source="/upstream/accounts")

    async def _on_title_changed(self, _: int, event: dict[str, Any]) -> None:
        registration = an_account(self._id(event), at=self.start).registration.model_copy(
            update={"name": event["title"]}
        )
        fact = RegistrationChanged(account_id=self._id(event), occurred_at=event["at"], registration=registration)
        self.world.stage.publish(fact, source="/upstream/accounts")

    async def _on_invoice_requested(self, _: int, event: dict[str, Any]) -> None:
        name = event["request_id"]
        await self._asked(
            InvoiceIntent(
                self._id(event),
                event.get("idempotency_key", name),
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

    def _members_of(self, event: dict[str, Any]) -> tuple[int, ...]:
        """Whose documents are named; of a managing account that names none, everybody's."""
        if event.get("doc_ids"):
            owners = {self.played.accounts[self._owner(doc_id)] for doc_id in event["doc_ids"]}
            return () if owners == {self._id(event)} else tuple(sorted(owners))
        members = [number for name, number in self.played.accounts.items() if is_member(name)]
        return (self._id(event), *members) if event["account"] == MANAGING else ()

    async def _asked(self, ask: InvoiceIntent, name: str, account: str) -> None:
        """By whatever way, the answer is the ledger's or our own refusal."""
        answer = await self.world.request(ask)
        if isinstance(answer, Refused):
            whose = {number: other for other, number in self.played.accounts.items()}
            about = whose.get(answer.values.get("account_id", ask.account_id), account)
            self.played.errors.append({**answer.values, "code": answer.code, "request_id": name, "account": about})
            return
        known = {number: other for other, (_, number) in self.request_ids.items()}
        if answer.request_id in known:
            self.played.duplicates.append({"request_id": name, "same_as": known[answer.request_id]})
            return
        self.request_ids[name] = (ask.account_id, answer.request_id)
        await self.settle()
        (row,) = await self._request_rows(name)
        if row["status"] == "refused":
            self.played.errors.append({"code": row["reason"], "request_id": name, "account": account, **_figures(row)})
        else:
            self.played.accepted.append(name)

    async def _on_deficit_offset_requested(self, place: int, event: dict[str, Any]) -> None:
        await self._asked(
            InvoiceIntent(
                self._id(event),
                f"offset-{place}",
                numbers=tuple(event["doc_ids"]),
                subject=event["subject"],
                amount_fen=event.get("amount_fen"),
                pays_deficit=True,
            ),
            f"offset-{place}",
            event["account"],
        )

    async def _on_invoice_cancel_requested(self, _: int, event: dict[str, Any]) -> None:
        answer = await self.world.cancel(CancelIntent(*self.request_ids[event["request_id"]]))
        if isinstance(answer, Refused):
            self.played.errors.append({**answer.values, "code": answer.code, "request_id": event["request_id"]})

    async def _on_tax_submitted(self, _: int, event: dict[str, Any]) -> None:
        await self._submit(event["request_id"])

    async def _on_tax_submit_timeout(self, _: int, event: dict[str, Any]) -> None:
        self.faults = ["lose_answer"]
        await self._submit(event["request_id"])

    async def _on_tax_resubmitted(self, place: int, event: dict[str, Any]) -> None:
        await self._answer(place, event)

    async def _on_tax_invoice_issued(self, place: int, event: dict[str, Any]) -> None:
        await self._answer(place, event)

    async def _on_tax_result(self, place: int, event: dict[str, Any]) -> None:
        await self._answer(place, event)

    async def _on_tax_cancel_accepted(self, _: int, event: dict[str, Any]) -> None:
        """Only an acknowledgement."""

    async def _on_tax_cancel_rejected(self, _: int, event: dict[str, Any]) -> None:
        """The answer to the wish; the result decides."""

    async def _on_credit_note_requested(self, place: int, event: dict[str, Any]) -> None:
        await self.crediting.requested(place, event)

    async def _on_red_form_entered(self, place: int, event: dict[str, Any]) -> None:
        await self.crediting.entered(place, event)

    async def _on_red_form_confirmed(self, _: int, event: dict[str, Any]) -> None:
        await self.crediting.form_state(event)

    async def _on_tax_red_form_state(self, _: int, event: dict[str, Any]) -> None:
        await self.crediting.form_state(event)

    async def _on_tax_red_issued(self, _: int, event: dict[str, Any]) -> None:
        await self.crediting.red_issued(event)

    async def _on_query_balance(self, _: int, event: dict[str, Any]) -> None:
        """A look at the world; every event is followed by one."""

    _on_query_withdrawable = _on_query_red_form = _on_clock_tick = _on_query_balance

    async def _on_tax_quota_set(self, _: int, event: dict[str, Any]) -> None:
        seller = Catalogue.load().legal_entities[event["legal_entity"]]
        self.world.platform.set_quota(seller.tax_id, event["month"], event["total_net_fen"], event["used_net_fen"])

    async def _on_tax_quota_exceeded(self, _: int, event: dict[str, Any]) -> None:
        """The submission that is refused; what is said of it must be what the event says."""
        await self._submit(event["request_id"])
        await self.let_platform_be_asked()
        _, request_id = self.request_ids[event["request_id"]]
        said = [
            (body["needed_net_fen"], body["left_net_fen"])
            for seen in self.world.records("invoicing.events")
            if seen.headers["ce_type"] == b"PartWaitsForQuota"
            and (body := json.loads(seen.value or b"{}"))["request_id"] == request_id
        ]
        figures = (event["needed_net_fen"], event["left_net_fen"])
        if not said or said[-1] != figures:
            raise ValueError(f"quota: needed and left are {said}, not {figures}")

    # the platform

    async def _submit(self, name: str) -> None:
        if name not in self.submitted:
            self.submitted.add(name)
            await self.settle(without=())
        elif await self._status(name) != "invoicing":
            await self.let_platform_be_asked()

    async def _answer(self, place: int, event: dict[str, Any]) -> None:
        """A query is answered with the latest, or else the next, result of the part."""
        await self._submit(event["request_id"])
        for row in await self._parts(*self.request_ids[event["request_id"]]):
            result = self._result_of(place, event["request_id"], row["subject"])
            if result is not None:
                state = result.get("state", "issued")
                self._finish({row["serial"]}, state, result.get("reason", ""), result.get("invoice_number", ""))
        await self.let_platform_be_asked()

    def _result_of(self, place: int, name: str, subject: str) -> dict[str, Any] | None:
        results = [
            (number, event)
            for number, event in enumerate(self.events)
            if event["type"] in ("tax.result", "tax.invoice_issued")
            and event["request_id"] == name
            and event.get("subject", subject) == subject
        ]
        before = [event for number, event in results if number <= place]
        return before[-1] if before else next((event for _, event in results), None)

    def _finish(self, serials: set[str], state: str, reason: str = "", number: str = "") -> None:
        for serial in sorted(serials):
            self.world.platform.finish(serial, state, code=reason or "FAILED", text=reason, number=number)

    # looking

    def _id(self, event: dict[str, Any]) -> int:
        return self.played.accounts[event["account"]]

    def _line(self, event: dict[str, Any], more: dict[str, Any] | None = None) -> Line:
        subject = event.get("subject") or (None if "product" in event else "ALIYUN_SERVICE")
        names = {"product_code": event.get("product"), "legal_entity": event.get("legal_entity"), "subject": subject}
        return Line.model_validate(names | {"cash_fen": event["cash_fen"]} | (more or {}))

    async def _parts(self, account_id: int, request_id: int) -> list[dict[str, Any]]:
        query = "SELECT serial, subject FROM part WHERE account_id = $1 AND request_id = $2 ORDER BY part_no"
        return await self.world.rows("invoicing", query, account_id, request_id)

    async def _request_rows(self, name: str) -> list[dict[str, Any]]:
        query = "SELECT status, reason, detail, cancel_wished FROM request WHERE account_id = $1 AND request_id = $2"
        return await self.world.rows("invoicing", query, *self.request_ids[name])

    async def _status(self, name: str) -> str:
        """With the sub-state, if a part of it waits."""
        query = "SELECT status FROM part WHERE account_id = $1 AND request_id = $2 AND status = 'waiting_quota'"
        waiting = await self.world.rows("invoicing", query, *self.request_ids[name])
        return "invoicing(waiting_quota)" if waiting else (await self._request_rows(name))[0]["status"]

    async def _balances(self) -> dict[tuple[str, str], Balance]:
        found = {}
        ledger = self.world.stage.processes["ledger"]
        for name, account_id in self.played.accounts.items():
            async with ledger.database.read() as db:
                for sums in await pages.sums(db, account_id, self.world.stage.clock.now()):
                    found[name, sums.subject] = balance(sums)
        return found

    async def _look(self, event: dict[str, Any]) -> Look:
        waiting = await self.world.rows("ledger", "SELECT number FROM refund WHERE item_id IS NULL ORDER BY number")
        statuses = {name: await self._status(name) for name in self.request_ids}
        invoices = {_invoice(row, "")["status"] for row in await self._part_rows() if row["number"]}
        parked = [row["number"] for row in waiting]
        return Look(event["at"], event["type"], await self._balances(), parked, statuses, invoices)

    async def _part_rows(self) -> list[dict[str, Any]]:
        """With the status of the credit note that lives, if there is one."""
        query = """
            SELECT p.*, r.remark, c.status AS credit FROM part p JOIN request r USING (account_id, request_id)
                LEFT JOIN credit_note c ON c.account_id = p.account_id AND c.part_id = p.part_id AND c.status <> 'failed'
            WHERE p.account_id <> $1 ORDER BY p.part_id
        """
        return await self.world.rows("invoicing", query, OLD)

    async def _look_at_the_end(self) -> None:
        played = self.played
        await self._look_at_splits()
        await self._look_at_downloads()
        for name in self.request_ids:
            (row,) = await self._request_rows(name)
            shown = [_shown(look.request_status[name]) for look in played.looks if name in look.request_status]
            states = [state for place, state in enumerate(shown) if place == 0 or shown[place - 1] != state]
            played.requests[name] = {
                "status": _shown(row["status"]),
                "statuses": states,
                "reason": row["reason"],
                "cancel": cancel_outcome(row["cancel_wished"], row["status"]),
            }
        names = {number: name for name, (_, number) in self.request_ids.items() if not name.startswith("given-")}
        whose = {number: name for name, number in played.accounts.items()}
        played.red_invoices = await self.crediting.red_invoices()
        for part in await self._part_rows():
            if part["request_id"] in names:
                members = [whose[number] for number in part["members"]]
                played.invoices.append(_invoice(part, names[part["request_id"]]) | {"members": members})
        query = """
            SELECT account_id, number, offset_fen, invoiced_fen, invoiceable_fen, cycle FROM item WHERE account_id <> $1 ORDER BY item_id
        """
        for item in await self.world.rows("ledger", query, OLD):
            owner = whose[item["account_id"]]
            played.member_gross[owner] = played.member_gross.get(owner, 0) + item["invoiced_fen"]
            played.items[item["number"]] = {
                "invoiced_fen": item["invoiced_fen"],
                "can_invoice_fen": item["invoiceable_fen"],
                "offset_cost_fen": max(item["offset_fen"], 0),
                "offset_accept_fen": max(-item["offset_fen"], 0),
            }
        await self._look_at_offsets(names)
        for usage in await self.world.rows(
            "ledger", "SELECT number, cycle, earliest_at FROM usage_record ORDER BY number"
        ):
            played.usage[usage["number"]] = usage
        ledger = self.world.stage.processes["ledger"]
        for name, account_id in played.accounts.items():
            async with ledger.database.read() as db:
                cash_fen = await pages.cash_fen(db, account_id)
                deficit = -sum(
                    one.negative_fen for one in await pages.sums(db, account_id, self.world.stage.clock.now())
                )
            played.cash[name] = (cash_fen, withdrawable_fen(cash_fen, deficit))
        query = "SELECT sum(other_net_fen + issued_net_fen + held_net_fen)::bigint AS fen FROM quota WHERE legal_entity = ANY ($1)"
        sellers = [event["legal_entity"] for event in self.events if event["type"] == "tax.quota_set"]
        for quota in await self.world.rows("invoicing", query, sellers):
            played.quota_used_net_fen = quota["fen"]
        old = {
            row["serial"]
            for row in await self.world.rows("invoicing", "SELECT serial FROM part WHERE account_id = $1", OLD)
        }
        played.platform = [
            row for row in self.world.platform_log if row["event"] == "issued" and row["serial"] not in old
        ]
        query = "SELECT kind, channel FROM notice WHERE account_id <> $1"
        kinds = await self.world.rows("notification", query, OLD)
        channels = {"mail": "email", "inbox": "internal_message"}
        played.notifications = {row["kind"] for row in kinds} | {
            channels.get(row["channel"], row["channel"]) for row in kinds
        }

    async def _look_at_splits(self) -> None:
        """How a request over everything the members have would be split, asked for and taken back."""
        members = tuple(number for name, number in self.played.accounts.items() if is_member(name))
        if not members:
            return
        ask = ReserveBalance(
            account_id=self.played.accounts.get(MANAGING, members[0]), request_id=LARGEST_ID, accounts=members
        )
        async with self.world.stage.processes["ledger"].database.transaction() as db:
            selected = await select(db, ask, self.world.stage.clock.now())
        decision = reserve(ask, None, selected, LARGEST_ID, self.world.stage.clock.now())
        if isinstance(decision, Decision) and isinstance(answer := decision.answer, BalanceReserved):
            whose = {number: name for name, number in self.played.accounts.items()}
            for consolidate, rows in ((False, self.played.separate), (True, self.played.consolidated)):
                wanted = Started("general", "invoicing", consolidate=consolidate, one_invoice_per_month=False)
                for part in split(answer, wanted, Catalogue.load()):
                    names = [whose[number] for number in part.members]
                    tax = {"gross_fen": part.gross_fen, "net_fen": part.net_fen, "tax_fen": part.tax_fen}
                    rows.append(tax | {"accounts": names, "account": names[0], "subject": part.subject})

    async def _look_at_offsets(self, names: dict[int, str]) -> None:
        """A refund's line shows what it accepted of the deficit it made, and what of it is still open."""
        query = """
            SELECT r.request_id, o.account_id, i.number AS from_doc, o.to_number AS to_doc, o.amount_fen AS fen
            FROM reservation_offset o JOIN reservation r USING (account_id, reservation_id)
                JOIN item i ON i.account_id = o.owner_id AND i.item_id = o.from_item_id
            WHERE NOT o.undone ORDER BY o.reservation_id, o.place
        """
        accounts = {number: name for name, number in self.played.accounts.items()}
        for row in await self.world.rows("ledger", query):
            request = {"request_id": names.get(row["request_id"]), "account": accounts[row["account_id"]]}
            self.played.offsets.append(row | request)
        query = """
            SELECT f.number, least(i.invoiceable_fen, 0) AS can_invoice_fen,
                (SELECT coalesce(sum(o.amount_fen), 0)::bigint FROM reservation_offset o
                 WHERE o.owner_id = f.account_id AND o.to_number = f.number AND NOT o.undone) AS offset_accept_fen
            FROM refund f JOIN item i USING (account_id, item_id)
        """
        for row in await self.world.rows("ledger", query):
            self.played.items[row["number"]] = row | {"offset_cost_fen": 0, "invoiced_fen": 0}


def is_member(name: str) -> bool:
    return re.fullmatch(r"M[0-9]+", name) is not None


def _shown(status: str) -> str:
    return "invoicing" if status == "reserving" else status


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(row["detail"]))


def _invoice(part: dict[str, Any], request: str) -> dict[str, Any]:
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
