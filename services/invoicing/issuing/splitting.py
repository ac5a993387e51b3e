"""One request, one or more parts: by subject and rate (R-5), lines merged by content and spec (D-14), then by caps (R-6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from services.invoicing.requests.rules import Started
from shared.contracts.invoicing import InvoiceKind, RequestClosed, Share
from shared.contracts.ledger import BalanceReserved, Group, ReleaseReservation
from shared.contracts.message import Message
from shared.domain.catalogue import Catalogue
from shared.domain.identifiers import serial_of
from shared.domain.tax import split_gross

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
        for lines, shares in _capped(list(members), line_cap):
            entity, groups = catalogue.subjects[subject].legal_entity, [owners[share.group_no] for share in shares]
            whose = tuple(sorted({group.account_id for group in groups}))
            months = tuple(sorted({group.cycle for group in groups}))
            said = (len(parts) + 1, subject, entity, lines[0].content, tax_percent, wanted.kind)
            parts.append(Part(*said, lines, shares, whose, months))
    assert sum(part.gross_fen for part in parts) == reserved.total_fen
    return parts


def _by_line(group: Group) -> tuple[str, str]:
    return group.content, group.spec or ""


def _capped(groups: Sequence[Group], line_cap: int) -> list[tuple[tuple[Line, ...], tuple[Share, ...]]]:
    """Merged lines, oldest first, at most `line_cap` on an invoice."""
    merged = [list(members) for _, members in groupby(sorted(groups, key=_by_line), key=_by_line)]
    merged.sort(key=lambda members: (min(group.oldest_at for group in members), members[0].group_no))
    invoices = [merged[start : start + line_cap] for start in range(0, len(merged), line_cap)]
    return [
        (
            tuple(_line(members) for members in invoice),
            tuple(
                Share(group_no=group.group_no, amount_fen=group.amount_fen) for members in invoice for group in members
            ),
        )
        for invoice in invoices
    ]


def _line(groups: Sequence[Group]) -> Line:
    gross_fen = sum(group.amount_fen for group in groups)
    tax = split_gross(gross_fen, groups[0].tax_percent)
    return Line(groups[0].content, groups[0].spec, gross_fen, tax.net_fen, tax.tax_fen)
