"""What billing facts become: items, refunds, usage. Independent of their order: refunds find their original whenever it comes."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

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

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When items open that only their vendor, or nobody, invoices."""


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
    def key(self) -> tuple[int, str, int, str]:
        return self.account_id, self.number, self.line, self.kind


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
    def key(self) -> tuple[int, str, int]:
        return self.account_id, self.number, self.line


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
    def key(self) -> tuple[int, str, int]:
        return self.account_id, self.number, self.line


@dataclass(slots=True)
class Intake:
    """A batch sorted out. `facts` maps a row's key to the fact it came from, for the rows that turn out to conflict."""

    items: list[NewItem] = field(default_factory=list)
    refunds: list[NewRefund] = field(default_factory=list)
    usage: list[NewUsage] = field(default_factory=list)
    parks: list[Park] = field(default_factory=list)
    facts: dict[tuple[object, ...], BillingFact] = field(default_factory=dict)

    @property
    def accounts(self) -> list[int]:
        return sorted({item.account_id for item in self.items} | {refund.account_id for refund in self.refunds})

    def conflicts(self, keys: Iterable[tuple[object, ...]]) -> list[Park]:
        """The same document with other content: somebody upstream must say which one is true."""
        facts = {id(self.facts[key]): self.facts[key] for key in keys}
        text = (
            "this document number arrived before with other content; correct it under a new number or by an adjustment"
        )
        return [Park(fact, "CONTENT_CONFLICT", text) for fact in facts.values()]


def sort_out(facts: Sequence[BillingFact], catalogue: Catalogue) -> Intake:
    intake = Intake()
    for fact in facts:
        rows = list(_rows(fact, catalogue))
        missing = [row for row in rows if isinstance(row, NoRow)]
        if missing:
            intake.parks.append(Park(fact, "NO_CATALOGUE_ROW", "; ".join(row.text for row in missing)[:400]))
            continue
        for row in rows:
            _add(intake, fact, row)
    intake.items.sort(key=lambda item: item.key)
    return intake


def _add(intake: Intake, fact: BillingFact, row: "NewItem | NewRefund | NewUsage | NoRow") -> None:
    if isinstance(row, NewItem):
        intake.items.append(row)
    elif isinstance(row, NewRefund):
        intake.refunds.append(row)
    elif isinstance(row, NewUsage):
        intake.usage.append(row)
    if not isinstance(row, NoRow):
        intake.facts[row.key] = fact


def _rows(fact: BillingFact, catalogue: Catalogue) -> Iterator[NewItem | NewRefund | NewUsage | NoRow]:
    if isinstance(fact, OrderPaid):
        cycle = cycle_of(fact.occurred_at)
        yield from _items(fact, "order", fact.lines, cycle, month_start(cycle), catalogue)
    elif isinstance(fact, BillSettled):
        yield from _items(fact, "bill", fact.lines, fact.cycle, earliest_opening(fact.cycle), catalogue)
    elif isinstance(fact, BillAdjusted):
        yield from _items(fact, "adjustment", fact.lines, fact.cycle, earliest_opening(fact.cycle), catalogue)
        yield from _refunds(fact, fact.original_number, fact.refunds)
    elif isinstance(fact, RefundSettled):
        yield from _refunds(fact, fact.original_number, fact.lines)
    elif isinstance(fact, UsageRecorded):
        yield from _usage(fact, catalogue)


def _items(
    fact: BillingFact, kind: str, lines: Sequence[Line], cycle: str, opens_at: datetime, catalogue: Catalogue
) -> Iterator[NewItem | NoRow]:
    supplied_at = fact.occurred_at if kind == "order" else month_start(cycle)
    for number, line in enumerate(lines, 1):
        choice = catalogue.resolve(line.product_code, line.subject, supplied_at, line.legal_entity)
        if isinstance(choice, NoRow):
            yield choice
            continue
        ours = catalogue.invoiceable_by(line.order_type) == "platform"
        yield NewItem(
            fact.account_id,
            kind,
            fact.number,
            number,
            _digest(fact.occurred_at, fact.contract_number, cycle, *_said(line)),
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
            opens_at if ours else NEVER,
            line.cash_fen,
        )


def _said(line: Line) -> tuple[object, ...]:
    """All that counts of a line, for its digest: the same number with anything else in it is another document."""
    money = (line.cash_fen, line.list_fen, line.voucher_fen)
    return (*money, line.product_code, line.subject, line.item_name, line.spec, line.order_type)


def _refunds(fact: BillingFact, original: str, lines: Sequence[RefundLine]) -> Iterator[NewRefund]:
    for number, line in enumerate(lines, 1):
        digest = _digest(original, line.original_line, line.cash_fen)
        yield NewRefund(
            fact.account_id,
            fact.number,
            number,
            digest,
            original,
            line.original_line,
            line.cash_fen,
            fact.occurred_at,
        )


def _usage(fact: UsageRecorded, catalogue: Catalogue) -> Iterator[NewUsage | NoRow]:
    cycle = cycle_of(fact.occurred_at)
    for number, line in enumerate(fact.lines, 1):
        choice = catalogue.resolve(line.product_code, line.subject, fact.occurred_at, line.legal_entity)
        if isinstance(choice, NoRow):
            yield choice
            continue
        digest = _digest(fact.occurred_at, line.cash_fen, choice.subject)
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


def _digest(*values: object) -> bytes:
    return hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
