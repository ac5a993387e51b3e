"""The rows of an invoice's table: what stands in each column, how high a row becomes, and which rows go on which page. Pure."""

from dataclasses import dataclass
from typing import Literal

from services.invoicing.invoice_files.face import FaceLine, plain, yuan
from services.invoicing.invoice_files.rendering.text import line_of
from services.invoicing.invoice_files.rendering.wrapping import Fitted, Measure, fit, fit_line

SIZE = 8.0
LEAST = 4.0
ROW_GAP = 1.6
LINES_MAX = 6


Align = Literal["left", "center", "right"]


@dataclass(frozen=True)
class Column:
    heading: str
    left: float
    right: float
    align: Align
    wraps: bool = False

    @property
    def width(self) -> float:
        return self.right - self.left


COLUMNS = (
    Column("项目名称", 19, 168, "left", wraps=True),
    Column("规格型号", 172, 240, "left", wraps=True),
    Column("单 位", 243, 275, "center"),
    Column("数 量", 278, 338, "right"),
    Column("单 价", 342, 404, "right"),
    Column("金 额", 408, 472, "right"),
    Column("税率/征收率", 484, 534, "center"),
    Column("税 额", 536, 591, "right"),
)
NET, TAX = COLUMNS[5], COLUMNS[7]


@dataclass(frozen=True)
class Row:
    cells: tuple[Fitted, ...]

    @property
    def height(self) -> float:
        return max(cell.height for cell in self.cells) + ROW_GAP


def row_of(line: FaceLine, measure: Measure) -> Row:
    texts = (
        line_of(line.name),
        line_of(line.specification),
        line_of(line.unit),
        plain(line.quantity),
        plain(line.unit_price),
        yuan(line.net_fen),
        f"{line.tax_percent}%",
        yuan(line.tax_fen),
    )
    return Row(tuple(_cell(text, column, measure) for text, column in zip(texts, COLUMNS, strict=True)))


def _cell(text: str, column: Column, measure: Measure) -> Fitted:
    if not column.wraps:
        return fit_line(text, column.width, size=SIZE, least=LEAST, measure=measure)
    height = LINES_MAX * SIZE * 1.2
    return fit(text, column.width, height, size=SIZE, least=LEAST, measure=measure)


@dataclass(frozen=True)
class Room:
    """Height for rows on the only page, on a page that others follow, and on the last of several."""

    only: float
    full: float
    last: float


def pages_of(heights: list[float], room: Room) -> list[range]:
    """Which rows stand on which page. The totals never stand on a page without a row."""
    if sum(heights) <= room.only:
        return [range(len(heights))]
    pages, start = [], 0
    while sum(heights[start:]) > room.last and start < len(heights) - 1:
        end, used = start, 0.0
        while end < len(heights) - 1 and used + heights[end] <= room.full:
            used, end = used + heights[end], end + 1
        end = max(end, start + 1)
        pages.append(range(start, end))
        start = end
    return [*pages, range(start, len(heights))]
