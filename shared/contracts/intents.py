"""What the gateway hands to the owners of data over HTTP: intents, not messages. They are stored before they are acknowledged."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.invoicing import InvoiceKind, RedReason
from shared.contracts.message import AccountId, Code, Cycle, Number, PositiveFen

IdempotencyKey = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]

Members = Annotated[tuple[AccountId, ...], Field(max_length=1000)]


class DeficitOffset(BaseModel):
    """A deficit to pay with consumption that is then not invoiced: with documents by `numbers`, or the oldest of the subject.

    `amount_fen` of it, or all. An unknown field is refused.
    """

    model_config = ConfigDict(extra="forbid")

    subject: Code
    numbers: Annotated[tuple[Number, ...], Field(max_length=300)] = ()
    members: Members = ()
    amount_fen: PositiveFen | None = None
    wait_seconds: Annotated[float, Field(ge=0, le=10)] | None = None


class CreditNoteRequest(BaseModel):
    """A credit note over all of an invoice. `recorded`: the buyer has recorded it; a special invoice then needs `red_form_number`, the red
    confirmation form over the full amount that the buyer has entered in the e-tax bureau. An unknown field is refused.
    """

    model_config = ConfigDict(extra="forbid")

    reason: RedReason = "issued_in_error"
    recorded: bool = False
    red_form_number: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,40}$")] | None = None
    remark: Annotated[str, Field(max_length=1000)] = ""
    wait_seconds: Annotated[float, Field(ge=0, le=10)] | None = None


class InvoiceRequest(BaseModel):
    """What to invoice: documents by `numbers`; months by `cycles` and `products`, however many documents; or a sum in `amount_fen`
    (oldest first). Amounts in fen.

    `members`: accounts whose documents are meant, which the asking account manages (its own too, if it is named). Each member gets
    invoices of its own unless `consolidate`; several months are on one invoice unless `one_invoice_per_month`.

    An unknown field is refused: a misspelled wish must not become another one. `wait_seconds`: how long to wait for the answer.
    """

    model_config = ConfigDict(extra="forbid")

    numbers: Annotated[tuple[Number, ...], Field(max_length=300)] = ()
    cycles: Annotated[tuple[Cycle, ...], Field(max_length=36)] = ()
    products: Annotated[tuple[Code, ...], Field(max_length=50)] = ()
    subject: Code | None = None
    members: Members = ()
    consolidate: bool = False
    one_invoice_per_month: bool = False
    amount_fen: PositiveFen | None = None
    kind: InvoiceKind | None = None
    remark: Annotated[str, Field(max_length=1000)] = ""
    wait_seconds: Annotated[float, Field(ge=0, le=10)] | None = None
