"""What billing facts become: items, refunds, usage. Independent of their order: refunds find their original whenever it comes."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.ledger.intake.matching import Document, Excess
from services.ledger.journal.rules import NEVER
from services.ledger.journal.sums import SumKey
from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import (
    BillAdjusted,
    BillingFact,
    BillSettled,
    Line,
    OrderPaid,
    RefundLine,
    RefundSettled,
    UsageRecorded,
)
from shared.contracts.message import Park
from shared.domain.calendar import cycle_of, earliest_opening, month_start
from shared.domain.catalogue import Catalogue, NoRow

CONFLICT = "this number arrived before with other content; correct it under a new number or by an adjustment"

RowKey = tuple[Any, ...]
"""What identifies a row, and the digest of the document it came from. The same but for the digest is a conflict."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """One line of an order or bill. `opens_at` is coarse, so that sums have few rows: what arrives later is simply not there yet."""

    account_id: int
    kind: str
    number: str
    line: int
    digest: bytes
    contract_number: str | None
    cycle: str
    subject: str
    content: str
    tax_percent: int
    product_code: str | None
    item_name: str
    spec: str | None
    order_type: str | None
    list_fen: int | None
    voucher_fen: int | None
    occurred_at: datetime
    opens_at: datetime
    settled_fen: int

    @property
    def place(self) -> tuple[int, str, int, str]:
        """Everybody inserts in this order, so that two who bring the same wait for each other and never in a ring."""
        return self.account_id, self.number, self.line, self.kind

    @property
    def key(self) -> RowKey:
        return *self.place, self.digest

    @property
    def sum_key(self) -> SumKey:
        return SumKey(self.account_id, self.subject, self.cycle, self.content, self.opens_at)


@dataclass(frozen=True, slots=True)
class NewRefund:
    account_id: int
    number: str
    line: int
    digest: bytes
    original_number: str
    original_line: int
    cash_fen: int
    occurred_at: datetime

    @property
    def key(self) -> RowKey:
        return self.account_id, self.number, self.line, self.digest


@dataclass(frozen=True, slots=True)
class NewUsage:
    account_id: int
    number: str
    line: int
    digest: bytes
    cycle: str
    subject: str
    cash_fen: int
    occurred_at: datetime
    earliest_at: datetime

    @property
    def key(self) -> RowKey:
        return self.account_id, self.number, self.line, self.digest


Row = NewItem | NewRefund | NewUsage


@dataclass(frozen=True)
class Intake:
    """A batch sorted out. `facts` maps a row's key to the fact it came from: a fact takes effect whole or is parked whole."""

    items: list[NewItem] = field(default_factory=list)
    refunds: list[NewRefund] = field(default_factory=list)
    usage: list[NewUsage] = field(default_factory=list)
    parks: list[Park] = field(default_factory=list)
    facts: dict[RowKey, BillingFact] = field(default_factory=dict)

    @property
    def accounts(self) -> list[int]:
        return sorted({item.account_id for item in self.items} | {refund.account_id for refund in self.refunds})

    @property
    def sum_keys(self) -> set[SumKey]:
        return {item.sum_key for item in self.items}

    def originals(self, waiting: Iterable[Document]) -> list[Document]:
        """What refunds bear on: those of the batch, and those that wait already."""
        return sorted({(one.account_id, one.original_number) for one in self.refunds} | {*waiting})

    def without(self, parks: Sequence[Park]) -> "Intake":
        """Less the documents that are parked."""
        bad = {id(park.message) for park in parks}

        def good(row: Row) -> bool:
            return id(self.facts[row.key]) not in bad

        return replace(
            self,
            items=list(filter(good, self.items)),
            refunds=list(filter(good, self.refunds)),
            usage=list(filter(good, self.usage)),
            parks=[*self.parks, *parks],
        )

    def to_park(self, conflicts: Sequence[RowKey], excesses: Sequence[Excess]) -> list[Park]:
        """What cannot be accepted. Refunds are judged once nothing conflicts any more."""
        return self._conflicting(conflicts) or self._excessive(excesses)

    def _conflicting(self, conflicts: Sequence[RowKey]) -> list[Park]:
        """Documents that exist with other content: somebody upstream must say which one is true."""
        facts = {id(fact): fact for fact in (self.facts[key] for key in conflicts)}
        return [Park(fact, "CONTENT_CONFLICT", CONFLICT) for fact in facts.values()]

    def _excessive(self, excesses: Sequence[Excess]) -> list[Park]:
        """Documents of this batch that refund more than their originals have left."""
        texts = {excess.document: excess.text for excess in excesses}
        excessive = [one for one in self.refunds if (one.account_id, one.number) in texts]
        facts = {id(fact): fact for fact in (self.facts[one.key] for one in excessive)}
        return [Park(fact, "REFUND_EXCEEDS_ORIGINAL", texts[fact.account_id, fact.number]) for fact in facts.values()]


def sort_out(facts: Sequence[BillingFact], catalogue: Catalogue) -> Intake:
    intake = Intake()
    rows_of: dict[type, list[Any]] = {NewItem: intake.items, NewRefund: intake.refunds, NewUsage: intake.usage}
    for fact in facts:
        rows = list(_rows(fact, _digest(fact), catalogue))
        missing = [row.text for row in rows if isinstance(row, NoRow)]
        if missing:
            intake.parks.append(Park(fact, "NO_CATALOGUE_ROW", "; ".join(missing)[:400]))
            continue
        for row in rows:
            assert not isinstance(row, NoRow)
            rows_of[type(row)].append(row)
            intake.facts[row.key] = fact
    intake.items.sort(key=lambda item: item.place)
    return intake


def _digest(fact: BillingFact) -> bytes:
    """Of the whole document: the same number with anything else in it is another document.

    Of what it says, not of what it leaves out: the contract may grow, and a document that comes again is the same still.
    """
    return hashlib.blake2b(fact.model_dump_json(exclude_defaults=True).encode(), digest_size=16).digest()


def _rows(fact: BillingFact, digest: bytes, catalogue: Catalogue) -> Iterator[Row | NoRow]:
    if isinstance(fact, OrderPaid):
        cycle = cycle_of(fact.occurred_at)
        yield from _items(fact, digest, "order", fact.lines, cycle, month_start(cycle), catalogue)
    elif isinstance(fact, BillSettled):
        yield from _items(fact, digest, "bill", fact.lines, fact.cycle, earliest_opening(fact.cycle), catalogue)
    elif isinstance(fact, BillAdjusted):
        yield from _items(fact, digest, "adjustment", fact.lines, fact.cycle, earliest_opening(fact.cycle), catalogue)
        yield from _refunds(fact, digest, fact.original_number, fact.refunds)
    elif isinstance(fact, RefundSettled):
        yield from _refunds(fact, digest, fact.original_number, fact.lines)
    elif isinstance(fact, UsageRecorded):
        yield from _usage(fact, digest, catalogue)


def _items(
    fact: BillingFact,
    digest: bytes,
    kind: str,
    lines: Sequence[Line],
    cycle: str,
    opens_at: datetime,
    catalogue: Catalogue,
) -> Iterator[NewItem | NoRow]:
    supplied_at = fact.occurred_at if kind == "order" else month_start(cycle)
    for number, line in enumerate(lines, 1):
        choice = catalogue.resolve(line.product_code, line.subject, supplied_at, line.legal_entity)
        by = catalogue.invoiceable_by(line.order_type)
        if isinstance(choice, NoRow):
            yield choice
        elif isinstance(by, NoRow):
            yield by
        else:
            yield NewItem(
                fact.account_id,
                kind,
                fact.number,
                number,
                digest,
                fact.contract_number,
                cycle,
                choice.subject,
                choice.content,
                choice.tax_percent,
                line.product_code,
                line.item_name,
                line.spec,
                line.order_type,
                line.list_fen,
                line.voucher_fen,
                fact.occurred_at,
                opens_at if by == "platform" else NEVER,
                line.cash_fen,
            )


def _refunds(fact: BillingFact, digest: bytes, original: str, lines: Sequence[RefundLine]) -> Iterator[NewRefund]:
    for number, line in enumerate(lines, 1):
        original_line, cash_fen = line.original_line, line.cash_fen
        yield NewRefund(
            fact.account_id, fact.number, number, digest, original, original_line, cash_fen, fact.occurred_at
        )


def _usage(fact: UsageRecorded, digest: bytes, catalogue: Catalogue) -> Iterator[NewUsage | NoRow]:
    cycle = cycle_of(fact.occurred_at)
    for number, line in enumerate(fact.lines, 1):
        choice = catalogue.resolve(line.product_code, line.subject, fact.occurred_at, line.legal_entity)
        if isinstance(choice, NoRow):
            yield choice
            continue
        yield NewUsage(
            fact.account_id,
            fact.number,
            number,
            digest,
            cycle,
            choice.subject,
            line.cash_fen,
            fact.occurred_at,
            earliest_opening(cycle),
        )


def top_up_parks(fact: CashToppedUp, same: bool) -> list[Park]:
    return [] if same else [Park(fact, "CONTENT_CONFLICT", CONFLICT)]
