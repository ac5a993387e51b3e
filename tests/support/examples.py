"""The usual values. A test names only what it is about."""

from datetime import datetime

from shared.contracts.billing import BillSettled, Line, OrderPaid, RefundLine, RefundSettled
from shared.contracts.ledger import ReserveBalance
from shared.domain.calendar import SHANGHAI

MARCH_10 = datetime(2026, 3, 10, 10, tzinfo=SHANGHAI)


def an_order(
    number: str = "O1",
    cash_fen: int = 100_000,
    account_id: int = 1,
    subject: str = "ALIYUN_SERVICE",
    at: datetime = MARCH_10,
) -> OrderPaid:
    return OrderPaid(
        account_id=account_id, number=number, occurred_at=at, lines=(Line(subject=subject, cash_fen=cash_fen),)
    )


def a_bill(
    number: str = "B1", cash_fen: int = 100_000, cycle: str = "202603", account_id: int = 1, at: datetime = MARCH_10
) -> BillSettled:
    line = Line(subject="ALIYUN_SERVICE", cash_fen=cash_fen)
    return BillSettled(account_id=account_id, number=number, cycle=cycle, occurred_at=at, lines=(line,))


def a_refund(
    number: str = "F1", of: str = "O1", cash_fen: int = 20_000, account_id: int = 1, at: datetime = MARCH_10
) -> RefundSettled:
    lines = (RefundLine(cash_fen=cash_fen),)
    return RefundSettled(account_id=account_id, number=number, original_number=of, occurred_at=at, lines=lines)


def a_command(
    *numbers: str, request_id: int = 1, amount_fen: int | None = None, account_id: int = 1, subject: str | None = None
) -> ReserveBalance:
    return ReserveBalance(
        account_id=account_id,
        request_id=request_id,
        accounts=(account_id,),
        numbers=numbers,
        amount_fen=amount_fen,
        subject=subject,
    )
