"""What order and billing systems publish to `billing.events`. Only settled cash is invoiceable (R-1)."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.message import (
    DOCUMENT_FEN_MAX,
    BusinessMoment,
    Code,
    Cycle,
    DocumentFen,
    Frozen,
    Message,
    Number,
    Text,
)

Lines = Field(min_length=1, max_length=1000)


def _of_this_century(cycle: str) -> str:
    if not cycle.startswith("20"):
        raise ValueError("a cycle lies in the years 2000 to 2099")
    return cycle


SettledCycle = Annotated[Cycle, AfterValidator(_of_this_century)]


class Line(Frozen):
    """One product of an order or bill. `cash_fen` is what the customer paid in cash, tax included; vouchers are not in it.

    The catalogue turns `product_code` and the supply date into subject, content row and rate; a line without a product
    names its `subject` and gets that subject's default content row.
    """

    product_code: Code | None = None
    item_name: Text = ""
    subject: Code | None = None
    legal_entity: Code | None = None
    cash_fen: DocumentFen
    list_fen: DocumentFen | None = None
    voucher_fen: DocumentFen | None = None
    order_type: Code | None = None
    spec: Text | None = None
    quantity: Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,13})?$")] | None = None
    unit: Text | None = None


class BillingFact(Message):
    """What all billing facts say. `occurred_at` is the business time: payment of an order, end of a bill's month."""

    topic: ClassVar[str] = "billing.events"

    number: Number
    contract_number: Number | None = None
    currency: Literal["CNY"] = "CNY"
    occurred_at: BusinessMoment

    @model_validator(mode="after")
    def _is_no_larger_than_its_lines_may_be(self) -> Self:
        if sum(line.cash_fen for line in getattr(self, "lines", ())) > DOCUMENT_FEN_MAX:
            raise ValueError(f"all lines together are more than {DOCUMENT_FEN_MAX} fen")
        return self


class OrderPaid(BillingFact):
    """A prepaid order was paid: invoiceable at once."""

    lines: tuple[Line, ...] = Lines


class BillSettled(BillingFact):
    """A monthly pay-as-you-go bill was settled: invoiceable from the later of the 3rd, 00:00, and its arrival (R-7)."""

    cycle: SettledCycle
    lines: tuple[Line, ...] = Lines


class RefundLine(Frozen):
    """What one line of the original gets back, a positive figure."""

    original_line: Annotated[int, Field(ge=1, le=1000)] = 1
    cash_fen: Annotated[DocumentFen, Field(ge=1)]


class RefundSettled(BillingFact):
    """A refund was paid. It is attached to its original document and lowers it (R-3)."""

    original_number: Number
    lines: tuple[RefundLine, ...] = Lines


class BillAdjusted(BillingFact):
    """A settled bill was corrected: downwards it works like a refund, upwards like a new item of the same cycle (D-07)."""

    original_number: Number
    cycle: SettledCycle
    refunds: Annotated[tuple[RefundLine, ...], Field(max_length=1000)] = ()
    lines: Annotated[tuple[Line, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _adjusts_something(self) -> Self:
        if not (self.refunds or self.lines):
            raise ValueError("an adjustment has refunds (downwards) or lines (upwards)")
        return self


class UsageRecorded(BillingFact):
    """Pay-as-you-go usage: gives the cycle; nothing is invoiceable before the bill."""

    lines: tuple[Line, ...] = Lines
