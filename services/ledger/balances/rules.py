"""The figures of a balance, and what cash may leave (R-3, R-10)."""

from dataclasses import dataclass

from shared.contracts.ledger import Balance


@dataclass(frozen=True, slots=True)
class Sums:
    """An account's open sums of one subject. `negative_fen` is zero or below. An offset has two sides: what paid, and what was paid for."""

    subject: str
    settled_fen: int
    refunded_fen: int
    positive_fen: int
    negative_fen: int
    reserved_fen: int
    invoiced_fen: int
    offset_cost_fen: int
    offset_accept_fen: int


def balance(sums: Sums) -> Balance:
    return Balance(
        subject=sums.subject,
        consumed_fen=sums.settled_fen,
        refunded_fen=sums.refunded_fen,
        invoiced_fen=sums.invoiced_fen,
        in_progress_fen=sums.reserved_fen,
        offset_cost_fen=sums.offset_cost_fen,
        offset_accept_fen=sums.offset_accept_fen,
        available_fen=sums.positive_fen,
        deficit_fen=-sums.negative_fen,
        invoiceable_net_fen=sums.positive_fen + sums.negative_fen,
    )


def withdrawable_fen(cash_fen: int, deficit_fen: int) -> int:
    """Cash that may leave: a deficit keeps back its own amount (D-12)."""
    return max(0, cash_fen - deficit_fen)
