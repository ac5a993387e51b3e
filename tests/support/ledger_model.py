"""What the ledger should do, written as shortly as possible (R-3, R-4, D-11, D-13, D-24).

`Model` is an account with one figure for each bucket of an order. `ledger_happenings` says what can happen to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS")
ORDERS = 8
PARTS_OF_A_GROUP = 2

COUNTS = {(None, "issued"), (None, "released"), ("released", "issued"), ("issued", "credited")}
"""What was said of a part before, and what counts after that."""

Figures = tuple[int, int, int, int, int]
"""Refunded, invoiceable, reserved, invoiced, offset fen."""
Answer = tuple[str, dict[str, int | str]]
"""The reason of a refusal and its figures; or "reserved" and what is held of each subject and paid by each order."""


@dataclass
class Order:
    subject: str
    settled: int
    refunded: int = 0
    reserved: int = 0
    invoiced: int = 0
    offset: int = 0

    @property
    def can(self) -> int:
        return self.settled - self.refunded - self.reserved - self.invoiced - self.offset

    @property
    def figures(self) -> Figures:
        return self.refunded, self.can, self.reserved, self.invoiced, self.offset


@dataclass
class Request:
    """What it took of each order and paid of deficits: positive for who paid, negative for who was paid."""

    held: dict[str, int] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)
    invoiced: dict[str, int] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)
    of_part: dict[int, dict[str, int]] = field(default_factory=dict)
    """What each part that was issued took."""


def oldest(amounts: Mapping[str, int], want: int) -> dict[str, int]:
    """Up to `want`, from the oldest on; the number says the age."""
    taken: dict[str, int] = {}
    for number in sorted(amounts):
        taken[number] = max(0, min(amounts[number], want - sum(taken.values())))
    return {number: fen for number, fen in taken.items() if fen}


def shift(start: dict[str, int], end: dict[str, int], amounts: Mapping[str, int]) -> None:
    for number, fen in amounts.items():
        start[number] -= fen
        end[number] = end.get(number, 0) + fen


class Model:
    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.refunds: dict[str, tuple[str, int]] = {}
        self.waiting: list[str] = []
        self.answers: dict[int, Answer] = {}
        self.requests: dict[int, Request] = {}
        self.parts: dict[tuple[int, int], str] = {}

    def state(self) -> dict[str, Figures]:
        return {number: order.figures for number, order in self.orders.items()}

    def available(self, subject: str) -> int:
        return sum(max(order.can, 0) for order in self.orders.values() if order.subject == subject)

    def deficit(self, subject: str) -> int:
        return sum(max(-order.can, 0) for order in self.orders.values() if order.subject == subject)

    # billing

    def settle(self, number: str, subject: str, fen: int) -> set[int]:
        self.orders.setdefault(number, Order(subject, fen))
        return self._match("")

    def refund(self, number: str, of: str, fen: int) -> set[int]:
        if number not in self.refunds:
            self.refunds[number] = (of, fen)
            self.waiting.append(number)
        return self._match(number if self.refunds[number] == (of, fen) else "")

    def _match(self, new: str) -> set[int]:
        """Refunds whose order is here count once and whole, or are refused. Returns the requests that hold something of it."""
        affected = set()
        for number in self.waiting[:]:
            of, fen = self.refunds[number]
            order = self.orders.get(of)
            if order is not None and fen <= order.settled - order.refunded:
                order.refunded += fen
                self.waiting.remove(number)
                affected |= {name for name, request in self.requests.items() if request.held.get(of)}
            elif order is not None and number == new:
                self.waiting.remove(number)
                del self.refunds[number]
        return affected

    # requests

    def reserve(self, request: int, numbers: Sequence[str], subject: str | None, amount: int | None) -> Answer:
        if request not in self.answers:
            self.answers[request] = self._reserve(request, numbers, subject, amount)
        return self.answers[request]

    def _reserve(self, request: int, numbers: Sequence[str], subject: str | None, amount: int | None) -> Answer:
        chosen = self._chosen(numbers, subject)
        if (refused := self._unselectable(chosen, numbers, amount)) is not None:
            return refused
        have = self._by_subject(chosen)
        owed = {one: self.deficit(one) for one in self._indebted() if have.get(one)}
        need, has, owes = sum(owed.values()) + (amount or 0), sum(have.values()), sum(owed.values())
        if has < (need if amount else not owes):
            reason = "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT" if owes else "INSUFFICIENT_INVOICEABLE"
            return _short(reason, need or 1, has, **({"deficit_fen": owes} if owes else {}))
        for one, fen in owed.items():
            if have[one] < fen:
                short = {"deficit_fen": fen, "have_fen": have[one], "shortfall_fen": fen - have[one]}
                return "DEFICIT_NOT_COVERED", {"subject": one, **short}
        paid = {one: self._pay(request, chosen, one, fen) for one, fen in owed.items()}
        taken = oldest({number: max(self.orders[number].can, 0) for number in chosen}, amount or has)
        for number, fen in taken.items():
            self.orders[number].reserved += fen
        self.requests.setdefault(request, Request()).held = taken
        return self._granted(taken, paid.values())

    def offset(self, request: int, numbers: Sequence[str], subject: str, amount: int | None) -> Answer:
        if request not in self.answers:
            self.answers[request] = self._offset(request, numbers, subject, amount)
        return self.answers[request]

    def _offset(self, request: int, numbers: Sequence[str], subject: str, amount: int | None) -> Answer:
        chosen = self._chosen(numbers, subject)
        if (refused := self._unselectable(chosen, numbers, amount)) is not None:
            return refused
        owes, has = self.deficit(subject), self._by_subject(chosen).get(subject, 0)
        need = amount or owes
        if not 0 < need <= owes:
            return "OFFSET_ABOVE_DEFICIT", {"subject": subject, "need_fen": need, "deficit_fen": owes}
        if has < need:
            return _short("DEFICIT_NOT_COVERED", need, has, subject=subject, deficit_fen=owes)
        return self._granted({}, [self._pay(request, chosen, subject, need)])

    def _chosen(self, numbers: Sequence[str], subject: str | None) -> list[str]:
        return [
            number
            for number, order in sorted(self.orders.items())
            if (number in numbers if numbers else order.can > 0) and subject in (None, order.subject)
        ]

    def _unselectable(self, chosen: Sequence[str], numbers: Sequence[str], amount: int | None) -> Answer | None:
        for number in numbers:
            if number not in chosen:
                return "ITEM_NOT_INVOICEABLE", {"number": number, "why": "UNKNOWN_DOCUMENT"}
        for number in chosen:
            if numbers and amount is None and self.orders[number].can <= 0 < self.orders[number].reserved:
                return "ITEM_LOCKED", {"number": number}
        return None

    def _by_subject(self, chosen: Iterable[str]) -> dict[str, int]:
        orders = [self.orders[number] for number in chosen]
        return {one: sum(max(order.can, 0) for order in orders if order.subject == one) for one in SUBJECTS}

    def _indebted(self) -> list[str]:
        """Subjects with a deficit, by their oldest."""
        return list(dict.fromkeys(order.subject for _, order in sorted(self.orders.items()) if order.can < 0))

    def _pay(self, request: int, chosen: Sequence[str], subject: str, fen: int) -> dict[str, int]:
        """Oldest first on both sides; who paid how much."""
        ours = {number: order for number, order in self.orders.items() if order.subject == subject}
        costs = oldest({number: max(ours[number].can, 0) for number in chosen if number in ours}, fen)
        debts = oldest({number: max(-order.can, 0) for number, order in ours.items()}, fen)
        paid = self.requests.setdefault(request, Request()).paid
        for number, amount in [*costs.items(), *((number, -debt) for number, debt in debts.items())]:
            ours[number].offset += amount
            paid[number] = paid.get(number, 0) + amount
        return costs

    def _granted(self, taken: Mapping[str, int], paid: Iterable[Mapping[str, int]]) -> Answer:
        held: dict[str, int | str] = {}
        for number, fen in taken.items():
            subject = self.orders[number].subject
            held[subject] = int(held.get(subject, 0)) + fen
        return "reserved", held | {number: fen for one in paid for number, fen in one.items()}

    # what becomes of them

    def parts_of(self, request: int) -> list[tuple[str, int]]:
        reason, held = self.answers.get(request, ("", {}))
        return split({one: int(held[one]) for one in SUBJECTS if reason == "reserved" and one in held})

    def book(self, request: int, part: int, wanted: str) -> None:
        before = self.parts.get((request, part))
        if (before, wanted) not in COUNTS or part < 0:
            return
        self.parts[request, part] = wanted
        ours = self.requests[request]
        if wanted == "credited":  # it stays counted as invoiced by the request, and deficits stay paid
            for number, fen in ours.of_part[part].items():
                self.orders[number].invoiced -= fen
            return
        subject, share = self.parts_of(request)[part]
        held = oldest(self._of_subject(ours.held, subject), share)
        self._end(ours, held, wanted)
        if wanted == "issued":  # an invoice that exists counts, whatever was given back
            late = oldest(self._of_subject(ours.free, subject), share - sum(held.values()))
            shift(ours.free, ours.invoiced, late)
            for number, fen in late.items():
                self.orders[number].invoiced += fen
            ours.of_part[part] = {number: held.get(number, 0) + late.get(number, 0) for number in held | late}
        self._undo(ours)

    def _of_subject(self, amounts: Mapping[str, int], subject: str) -> dict[str, int]:
        return {number: fen for number, fen in amounts.items() if self.orders[number].subject == subject}

    def release(self, request: int) -> int | None:
        """How much comes back; None when there never was a reservation."""
        if self.answers.get(request, ("",))[0] != "reserved":
            return None
        ours = self.requests.setdefault(request, Request())
        fen = sum(ours.held.values())
        self._end(ours, dict(ours.held), "released")
        self._undo(ours)
        return fen

    def _end(self, ours: Request, amounts: Mapping[str, int], wanted: str) -> None:
        shift(ours.held, ours.invoiced if wanted == "issued" else ours.free, amounts)
        for number, fen in amounts.items():
            self.orders[number].reserved -= fen
            self.orders[number].invoiced += fen if wanted == "issued" else 0

    def _undo(self, ours: Request) -> None:
        """A request that comes to nothing leaves the deficits as they were."""
        if not any(ours.held.values()) and not any(ours.invoiced.values()):
            for number, fen in ours.paid.items():
                self.orders[number].offset -= fen
            ours.paid = {}


def split(groups: Mapping[str, int]) -> list[tuple[str, int]]:
    """Subject and share of each part, as invoicing might make them."""
    return [
        (one, share)
        for one in SUBJECTS
        for part in range(PARTS_OF_A_GROUP)
        if (share := (groups.get(one, 0) + part) // PARTS_OF_A_GROUP)
    ]


def _short(reason: str, need: int, have: int, **more: int | str) -> Answer:
    return reason, {"need_fen": need, "have_fen": have, "shortfall_fen": need - have, **more}
