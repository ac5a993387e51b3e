"""How one searches: filters of items, usage and refunds."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from services.ledger.items.store import REFUND_STATES, STATES
from services.ledger.queries.asking import EARLIEST, LATEST, At, OfSums, Paged
from shared.contracts.message import Code, Number

State = Literal[
    "open",
    "not_open_yet",
    "not_invoiceable",
    "reserved",
    "partly_invoiced",
    "invoiced",
    "refunded",
    "in_deficit",
    "offset",
    "deficit_paid",
]
STATES_TEXT = (
    "open: something of it may be invoiced now; not_open_yet: its month opens later; not_invoiceable: the vendor invoices it, or "
    "nobody; reserved: a request holds some of it; partly_invoiced: some is on invoices, and some is left or reserved; invoiced: what "
    "was left of it is on invoices; refunded: some of it was; in_deficit: more was refunded than was left; offset: some of it paid "
    "a deficit; deficit_paid: others paid its deficit, or part of it. A document may be in several."
)
RefundState = Literal["waiting", "attached"]
assert {*STATES} == {*State.__args__}, "each word has its predicate"  # type: ignore[attr-defined]
assert {*REFUND_STATES} == {*RefundState.__args__}  # type: ignore[attr-defined]


Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Amount = Annotated[int, Field(ge=0, le=2**62)]


class OfItems(OfSums):
    """`number`: of an order, bill or contract. Amounts are what was settled, times the business time; `until` is not in it."""

    number: Number | None = None
    product: Code | None = None
    item_name: Words | None = None
    state: Annotated[State, Field(description=STATES_TEXT)] | None = None
    min_fen: Amount | None = None
    max_fen: Amount | None = None
    since: Annotated[At, Field(ge=EARLIEST, le=LATEST)] | None = None
    until: Annotated[At, Field(ge=EARLIEST, le=LATEST)] | None = None

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        if self.min_fen is not None and self.max_fen is not None and self.min_fen > self.max_fen:
            raise ValueError("min_fen is above max_fen")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since is not before until")
        return self


class ItemSearch(OfItems, Paged):
    pass


class UsageSearch(OfSums, Paged):
    number: Number | None = None


class RefundSearch(Paged):
    number: Number | None = None
    state: RefundState | None = None
