"""Commands to the ledger (`ledger.commands`, from invoicing alone) and its facts (`ledger.events`)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.contracts.message import AccountId, Code, Cycle, Fen, Frozen, Id, Message, Moment, Number, PositiveFen


class LedgerCommand(Message):
    topic: ClassVar[str] = "ledger.commands"

    request_id: Id


class Selection(LedgerCommand):
    """Documents by `numbers`, or by filters: `cycles`, `products`, `subject`; everything if none is given. No limit on their count.

    With `amount_fen` the oldest of the selection are taken up to that sum (R-4); without it the whole selection. `accounts` are the
    accounts whose documents may be taken; a number of any other account is refused. `pooled` are those of them whose relation lets
    them pay each other's deficits (D-20); all others pay only their own.
    """

    accounts: tuple[AccountId, ...] = Field(min_length=1, max_length=1000)
    pooled: tuple[AccountId, ...] = ()
    numbers: tuple[Number, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    products: tuple[Code, ...] = ()
    subject: Code | None = None
    amount_fen: PositiveFen | None = None


class ReserveBalance(Selection):
    """Hold what the request selects, exactly, or refuse it whole."""


class OffsetDeficit(Selection):
    """Pay the deficit of a subject with consumption that is then not invoiced (R-3): exactly `amount_fen`, or all of it.

    Answered like `ReserveBalance`, with offsets and no groups.
    """

    subject: Code


class ReleaseReservation(LedgerCommand):
    """Give back whatever the request still holds; offsets too, unless something of it was invoiced."""


class LedgerFact(Message):
    topic: ClassVar[str] = "ledger.events"


class Group(Frozen):
    """Reserved items that print alike: same owner, subject, content row, rate, cycle and spec.

    `spec` as the item has it: those that were taken in long ago may hold what `Text` refuses today, and their money is no less due.
    """

    group_no: Annotated[int, Field(ge=1)]
    account_id: AccountId
    subject: Code
    content: Code
    tax_percent: Annotated[int, Field(ge=0, le=100)]
    cycle: Cycle
    spec: Annotated[str, Field(max_length=200)] | None = None
    count: Annotated[int, Field(ge=1)]
    amount_fen: PositiveFen
    oldest_at: Moment


class OffsetPair(Frozen):
    """What one document pays of a deficit; `to_number` is the refund that made it. `to_account_id`: whose deficit, if another's."""

    account_id: AccountId
    to_account_id: AccountId | None = None
    subject: Code
    from_number: Number
    to_number: Number
    amount_fen: PositiveFen


class BalanceReserved(LedgerFact):
    """What is held for the request. Without groups there is nothing to invoice: all of the selection paid deficits (D-11)."""

    request_id: Id
    reservation_id: Id
    groups: tuple[Group, ...] = ()
    total_fen: Annotated[int, Field(ge=0, le=2**62)]
    offsets: tuple[OffsetPair, ...] = ()


class ReservationRefused(LedgerFact):
    """Nothing is held. `reason`: a code of the register; `detail`: its figures shortfall_fen, need_fen, have_fen, deficit_fen, number."""

    request_id: Id
    reason: Code
    detail: dict[str, int | str] = {}


class ReservationImpaired(LedgerFact):
    """A refund affects what is held for the request: it should not be invoiced as it is (R-8)."""

    request_id: Id
    reservation_id: Id
    refund_number: Number


class ReservationReleased(LedgerFact):
    request_id: Id
    reservation_id: Id
    released_fen: Fen


class PartBooked(LedgerFact):
    """What became of one part, in the items: `amount_fen` of `subject`, over all accounts the request takes from."""

    request_id: Id
    reservation_id: Id
    part_id: Id
    subject: Code
    amount_fen: PositiveFen


class AmountInvoiced(PartBooked):
    """The part's amount went from reserved to invoiced."""


class AmountCredited(PartBooked):
    """The part's invoice was credited in full: its amount may be invoiced again (R-14)."""


class Deficit(LedgerFact):
    """The deficit of one account and subject, as of `version` of the balance. Deficits that come and go within a second are not told."""

    version: int
    subject: Code
    deficit_fen: Fen


class DeficitOpened(Deficit):
    """More was refunded than is left to be invoiced: the account owes a part of an invoice (R-3). Also when it grows or shrinks."""


class DeficitClosed(Deficit):
    """Nothing is owed any more."""


class RefundUnmatched(LedgerFact):
    """A refund has waited a day and does not count: its original never came, or had less left. Somebody upstream must look."""

    number: Number
    original_number: Number
    waiting_since: Moment
    reason: Literal["ORIGINAL_MISSING", "REFUND_EXCEEDS_ORIGINAL"]


class Balance(Frozen):
    """One row of a balance: figures of one account and subject, all in fen (R-3)."""

    subject: Code
    consumed_fen: Fen
    refunded_fen: Fen
    invoiced_fen: Fen
    in_progress_fen: Fen
    offset_cost_fen: Fen = 0
    offset_accept_fen: Fen = 0
    available_fen: Fen
    deficit_fen: Fen
    invoiceable_net_fen: Fen


class BalanceChanged(LedgerFact):
    """The account's balances as of `version`; published at most once a second for an account."""

    version: int
    balances: tuple[Balance, ...]
