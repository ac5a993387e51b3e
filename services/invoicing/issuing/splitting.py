"""One request, one or more parts: by subject and rate (R-5), lines merged by content and spec (D-14), then by caps (R-6).

What a tax platform would refuse for its figures is not sent (R-11): the lines of a part are merged further, or it is a bug.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from services.invoicing.requests.rules import Started
from shared.contracts.invoicing import InvoiceKind, RequestClosed, Share
from shared.contracts.ledger import BalanceReserved, Group, ReleaseReservation
from shared.contracts.message import Message
from shared.domain.caps import parts_under_caps
from shared.domain.catalogue import Catalogue
from shared.domain.identifiers import serial_of
from shared.domain.submission import FiguredLine, check_figures
from shared.domain.tax import TaxSplit, recommended_form, split_gross, total

LINE_CAP = 2000


@dataclass(frozen=True)
class Line:
    """One printed line. Its tax is rounded once, here; nobody computes it again."""

    content: str
    spec: str | None
    gross_fen: int
    net_fen: int
    tax_fen: int


@dataclass(frozen=True)
class Part:
    """What will be one invoice. `shares` say which reserved groups pay for it, and sum to `gross_fen`."""

    part_no: int
    subject: str
    legal_entity: str
    content: str
    tax_percent: int
    kind: InvoiceKind
    lines: tuple[Line, ...]
    shares: tuple[Share, ...]
    members: tuple[int, ...]
    """Whose consumption it is."""
    cycles: tuple[str, ...]

    @property
    def gross_fen(self) -> int:
        return sum(line.gross_fen for line in self.lines)

    @property
    def net_fen(self) -> int:
        return sum(line.net_fen for line in self.lines)

    @property
    def tax_fen(self) -> int:
        return sum(line.tax_fen for line in self.lines)


@dataclass(frozen=True)
class QueuedPart:
    """A part with its id. Its serial is made from that, so that a crashed process makes the same one again."""

    part_id: int
    part: Part

    @property
    def serial(self) -> str:
        return serial_of(self.part_id, "B", 1)


def numbered(parts: Sequence[Part], part_ids: Sequence[int]) -> list[QueuedPart]:
    return [QueuedPart(part_id, part) for part_id, part in zip(part_ids, parts, strict=True)]


def plan(reserved: BalanceReserved, started: Started | None, catalogue: Catalogue) -> tuple[list[Part], list[Message]]:
    """Parts to queue; or the end of a request without any; for one that was cancelled meanwhile, the way back."""
    common = {"account_id": reserved.account_id, "request_id": reserved.request_id}
    match started:
        case None:
            return [], []
        case Started(status="invoicing"):
            return split(reserved, started, catalogue), []
        case Started(status="offset_only"):
            return [], [RequestClosed.model_validate(common | {"status": "offset_only"})]
        case _:
            voided = RequestClosed.model_validate(common | {"status": "voided"})
            return [], [ReleaseReservation.model_validate(common), voided]


def split(reserved: BalanceReserved, wanted: Started, catalogue: Catalogue, line_cap: int = LINE_CAP) -> list[Part]:
    """Every reserved fen in exactly one part, in a fixed order. Members apart unless consolidated; months together unless not wanted."""

    def by_invoice(group: Group) -> tuple[str, int, int, str]:
        member = 0 if wanted.consolidate else group.account_id
        return group.subject, group.tax_percent, member, group.cycle if wanted.one_invoice_per_month else ""

    parts: list[Part] = []
    owners = {group.group_no: group for group in reserved.groups}
    for (subject, tax_percent, *_), members in groupby(sorted(reserved.groups, key=by_invoice), key=by_invoice):
        seller = catalogue.legal_entities[catalogue.subjects[subject].legal_entity]
        for lines, shares in _invoices(_merged(list(members), tax_percent), tax_percent, line_cap, seller.net_cap_fen):
            groups = [owners[share.group_no] for share in shares]
            whose = tuple(sorted({group.account_id for group in groups}))
            months = tuple(sorted({group.cycle for group in groups}))
            said = (len(parts) + 1, subject, seller.key, lines[0].content, tax_percent, wanted.kind)
            parts.append(Part(*said, lines, shares, whose, months))
    assert sum(part.gross_fen for part in parts) == reserved.total_fen
    return parts


MergedLine = list[Group]
"""The groups that one line is printed for."""


def _merged(groups: Sequence[Group], tax_percent: int) -> list[MergedLine]:
    """A line for each content and spec, oldest first; one for each content if so many lines would not pass the tolerances (R-11)."""
    lines = _by(groups, lambda group: (group.content, group.spec or ""))
    gross_fens = [sum(group.amount_fen for group in line) for line in lines]
    form = recommended_form(gross_fens, tax_percent, len(lines), one_line_per_order=True)
    return lines if form == "per_order_lines" else _by(groups, lambda group: (group.content, ""))


def _by(groups: Sequence[Group], key: Callable[[Group], tuple[str, str]]) -> list[MergedLine]:
    merged = [list(members) for _, members in groupby(sorted(groups, key=key), key=key)]
    return sorted(merged, key=lambda line: (min(group.oldest_at for group in line), line[0].group_no))


def _invoices(
    lines: Sequence[MergedLine], tax_percent: int, line_cap: int, net_cap_fen: int | None
) -> Iterator[tuple[tuple[Line, ...], tuple[Share, ...]]]:
    """Each filled to its caps; the last line of one may go on as the first of the next (R-6)."""
    gross_fens = [sum(group.amount_fen for group in line) for line in lines]
    rests = [deque((group.group_no, group.amount_fen) for group in line) for line in lines]
    for pieces in parts_under_caps(gross_fens, tax_percent, line_cap, net_cap_fen):
        printed = tuple(_line(lines[piece.line], split_gross(piece.gross_fen, tax_percent)) for piece in pieces)
        figures = [FiguredLine(TaxSplit(line.gross_fen, line.net_fen, line.tax_fen)) for line in printed]
        findings = check_figures(figures, total(one.split for one in figures), tax_percent)
        assert not findings, f"the tax platform would refuse this: {findings[0].text}"
        yield printed, tuple(share for piece in pieces for share in _shares(rests[piece.line], piece.gross_fen))


def _line(groups: MergedLine, tax: TaxSplit) -> Line:
    """Lines of several specs show none."""
    specs = {group.spec for group in groups}
    spec = groups[0].spec if len(specs) == 1 else None
    return Line(groups[0].content, spec, tax.gross_fen, tax.net_fen, tax.tax_fen)


def _shares(rest: deque[tuple[int, int]], gross_fen: int) -> Iterator[Share]:
    """Which groups pay for so much of a line: those that have not paid yet, in order."""
    while gross_fen:
        group_no, left_fen = rest.popleft()
        amount_fen = min(left_fen, gross_fen)
        if amount_fen < left_fen:
            rest.appendleft((group_no, left_fen - amount_fen))
        yield Share(group_no=group_no, amount_fen=amount_fen)
        gross_fen -= amount_fen
