"""The PDF of an invoice: the reading copy, laid out as the tax bureau's own. Same face, same bytes."""

from io import BytesIO

from reportlab.pdfgen.canvas import Canvas

from services.invoicing.invoice_files.face import FaceParty, InvoiceFace, yuan
from services.invoicing.invoice_files.rendering.sheet import BASELINE, FRAME, Box, Sheet
from services.invoicing.invoice_files.rendering.table import COLUMNS, NET, SIZE, TAX, Align, Room, Row, pages_of, row_of
from services.invoicing.invoice_files.rendering.text import block_of, line_of
from services.invoicing.invoice_files.rendering.typeface import OWN, Typeface
from services.invoicing.invoice_files.rendering.wrapping import Fitted
from shared.domain.calendar import SHANGHAI
from shared.domain.words import amount_in_words

WIDTH, HEIGHT = 610.0, 394.0
"""Points: 215 x 139 mm, lying."""
LEFT, RIGHT, TOP, BOTTOM = 15.0, 595.0, 76.0, 366.0
MIDDLE, TAB = 305.0, 18.0
PARTIES_BOTTOM, TABLE_BOTTOM, WORDS_BOTTOM = 130.0, 300.0, 323.0
ROWS_TOP = PARTIES_BOTTOM + 17
TOTAL_BASE, SUBTOTAL_BASE = TABLE_BOTTOM - 6, TABLE_BOTTOM - 19
FULL_SUBTOTAL_BASE = BOTTOM - 6
ROOM = Room(
    only=TOTAL_BASE - 10 - ROWS_TOP,
    full=FULL_SUBTOTAL_BASE - 10 - ROWS_TOP,
    last=SUBTOTAL_BASE - 10 - ROWS_TOP,
)
QR = Box(21, 13, 75, 67)
WATERMARK = "样张 SPECIMEN"
LABEL = 8.5


def invoice_pdf(face: InvoiceFace, typeface: Typeface) -> tuple[bytes, frozenset[str]]:
    """The file, and the characters of the face that no font could show."""
    out = BytesIO()
    canvas = Canvas(
        out,
        pagesize=(WIDTH, HEIGHT),
        invariant=1,
        pageCompression=1,
        initialFontName=OWN,
        initialFontSize=SIZE,
        lang="zh-CN",
    )
    canvas.setTitle(f"{face.title} {face.number}")
    canvas.setSubject(WATERMARK if face.specimen else face.title)
    canvas.setAuthor("Kaipiao")
    canvas.setCreator("Kaipiao")
    sheet = Sheet(canvas, typeface, HEIGHT)
    rows = [row_of(line, sheet.width) for line in face.lines]
    pages = pages_of([row.height for row in rows], ROOM)
    for number, page in enumerate(pages, start=1):
        _page(sheet, face, rows, page, number, len(pages))
        canvas.showPage()
    canvas.save()
    return out.getvalue(), frozenset(sheet.missing)


def _page(sheet: Sheet, face: InvoiceFace, rows: list[Row], page: range, number: int, count: int) -> None:
    if face.specimen:
        sheet.watermark(WIDTH / 2, HEIGHT / 2 + 40, WATERMARK, 58, 24)
    _heading(sheet, face)
    if count > 1:
        sheet.text(RIGHT, TOP - 5, f"共 {count} 页 第 {number} 页", 7.5, colour=FRAME, align="right")
    sheet.frame(Box(LEFT, TOP, RIGHT, BOTTOM))
    _parties(sheet, face)
    _rows(sheet, [rows[index] for index in page])
    is_last = number == count
    if count > 1:
        lines = face.lines[page.start : page.stop]
        base = SUBTOTAL_BASE if is_last else FULL_SUBTOTAL_BASE
        _sums(sheet, "小　　计", base, sum(line.net_fen for line in lines), sum(line.tax_fen for line in lines))
    if is_last:
        _sums(sheet, "合　　计", TOTAL_BASE, face.net_fen, face.tax_fen)
        _total_in_words(sheet, face)
        _remark(sheet, face)
    _pair(sheet, 55, BOTTOM + 16, "开票人：", line_of(face.drawer), 160)


def _heading(sheet: Sheet, face: InvoiceFace) -> None:
    if face.qr:
        sheet.qr(QR, face.qr)
    size = 18.0
    reach = sheet.width(face.title, size) / 2 + 8
    sheet.text(WIDTH / 2, 40, face.title, size, colour=FRAME, align="center")
    sheet.rules([(WIDTH / 2 - reach, y, WIDTH / 2 + reach, y) for y in (48, 50.5)])
    _pair(sheet, 446, 37, "发票号码：", face.number, RIGHT - 446)
    _pair(sheet, 446, 54, "开票日期：", f"{face.issued_at.astimezone(SHANGHAI):%Y年%m月%d日}", RIGHT - 446)


def _parties(sheet: Sheet, face: InvoiceFace) -> None:
    sheet.rules([(x, TOP, x, PARTIES_BOTTOM) for x in (LEFT + TAB, MIDDLE, MIDDLE + TAB)])
    sheet.rules([(LEFT, PARTIES_BOTTOM, RIGHT, PARTIES_BOTTOM)])
    _party(sheet, LEFT, MIDDLE, "购买方信息", face.buyer)
    _party(sheet, MIDDLE, RIGHT, "销售方信息", face.seller)


def _party(sheet: Sheet, left: float, right: float, label: str, party: FaceParty) -> None:
    sheet.upright(Box(left, TOP, left + TAB, PARTIES_BOTTOM), label, LABEL)
    inside = left + TAB + 5
    sheet.text(inside, TOP + 20, "名称：", LABEL, colour=FRAME)
    name = Box(inside + sheet.width("名称：", LABEL), TOP + 3, right - 4, PARTIES_BOTTOM - 20)
    fitted = sheet.block(name, line_of(party.name), 9, 5)
    # a name of one line stands on the label's own baseline, a longer one fills the box around it
    sheet.lines(name, fitted, top=TOP + 20 - BASELINE * fitted.size if len(fitted.lines) == 1 else None)
    _pair(
        sheet, inside, PARTIES_BOTTOM - 9, "统一社会信用代码/纳税人识别号：", line_of(party.tax_id), right - inside - 4
    )


def _rows(sheet: Sheet, rows: list[Row]) -> None:
    for column in COLUMNS:
        x = column.right if column.align == "right" else (column.left + column.right) / 2
        align: Align = "right" if column.align == "right" else "center"
        sheet.text(x, PARTIES_BOTTOM + 12, column.heading, LABEL, colour=FRAME, align=align)
    top = ROWS_TOP
    for row in rows:
        for column, cell in zip(COLUMNS, row.cells, strict=True):
            drop = (
                0.0 if column.wraps else BASELINE * (SIZE - cell.size)
            )  # a smaller figure stands on the row's baseline too
            sheet.lines(Box(column.left, top, column.right, top), cell, top=top + drop, align=column.align)
        top += row.height


def _sums(sheet: Sheet, label: str, base: float, net_fen: int, tax_fen: int) -> None:
    name = COLUMNS[0]
    sheet.text((name.left + name.right) / 2, base, label, LABEL, colour=FRAME, align="center")
    sheet.text(NET.right, base, f"¥{yuan(net_fen)}", SIZE, align="right")
    sheet.text(TAX.right, base, f"¥{yuan(tax_fen)}", SIZE, align="right")


def _total_in_words(sheet: Sheet, face: InvoiceFace) -> None:
    base = (TABLE_BOTTOM + WORDS_BOTTOM) / 2 + 3.3
    sheet.rules([(LEFT, y, RIGHT, y) for y in (TABLE_BOTTOM, WORDS_BOTTOM)])
    sheet.rules([(168, TABLE_BOTTOM, 168, WORDS_BOTTOM)])
    sheet.text((LEFT + 168) / 2, base, "价税合计（大写）", LABEL, colour=FRAME, align="center")
    sheet.text(176, base, "⊗", 11)
    words = Box(190, TABLE_BOTTOM, 448, WORDS_BOTTOM)
    sheet.lines(words, sheet.block(words, amount_in_words(face.gross_fen), 9.5, 5))
    _pair(sheet, 455, base, "（小写）", f"¥{yuan(face.gross_fen)}", RIGHT - 459, size=9.5)


def _remark(sheet: Sheet, face: InvoiceFace) -> None:
    sheet.rules([(LEFT + TAB, WORDS_BOTTOM, LEFT + TAB, BOTTOM)])
    sheet.upright(Box(LEFT, WORDS_BOTTOM, LEFT + TAB, BOTTOM), "备注", LABEL)
    box = Box(LEFT + TAB + 5, WORDS_BOTTOM + 3, RIGHT - 5, BOTTOM - 2)
    sheet.lines(box, sheet.block(box, block_of(face.printed_remark), SIZE, 4), top=box.top)


def _pair(sheet: Sheet, x: float, base: float, label: str, value: str, room: float, size: float = 9) -> None:
    """A label and its value on one baseline; a value too wide becomes smaller, and is cut at last."""
    sheet.text(x, base, label, LABEL, colour=FRAME)
    start = x + sheet.width(label, LABEL)
    fitted: Fitted = sheet.one_line(value, room - (start - x), size)
    sheet.text(start, base, fitted.lines[0], fitted.size)
