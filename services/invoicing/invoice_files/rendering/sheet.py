"""Drawing on a page: y counted from the top, text in runs of fonts, colours of an invoice."""

from collections.abc import Iterable
from dataclasses import dataclass

import segno
from reportlab.pdfgen.canvas import Canvas

from services.invoicing.invoice_files.rendering.table import Align
from services.invoicing.invoice_files.rendering.typeface import Typeface
from services.invoicing.invoice_files.rendering.wrapping import LEADING, Fitted, fit, fit_line

Colour = tuple[float, float, float]

FRAME: Colour = (128 / 255, 0.0, 0.0)
INK: Colour = (0.0, 0.0, 0.0)
PALE: Colour = (0.96, 0.88, 0.88)
BASELINE = 0.98
"""How far below the top of its line a text's baseline lies, in sizes."""


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


class Sheet:
    """A pen over one canvas. It remembers every character it could not draw."""

    def __init__(self, canvas: Canvas, face: Typeface, height: float) -> None:
        self._canvas = canvas
        self._face = face
        self._height = height
        self.missing: set[str] = set()

    def width(self, text: str, size: float) -> float:
        return self._face.width(text, size)

    def text(
        self, x: float, base: float, text: str, size: float, *, colour: Colour = INK, align: Align = "left"
    ) -> None:
        """One line with its baseline at `base`; x is its left end, centre or right end."""
        self.missing |= self._face.missing_of(text)
        shift = {"left": 0.0, "center": 0.5, "right": 1.0}[align]
        line = self._canvas.beginText(x - shift * self.width(text, size), self._height - base)
        line.setFillColorRGB(*colour)
        for font, run in self._face.runs(text):
            line.setFont(font, size)
            line.textOut(run)
        self._canvas.drawText(line)

    def lines(self, box: Box, fitted: Fitted, *, top: float | None = None, align: Align = "left") -> None:
        """Text that was fitted before, in its box from `top` down, or in the middle of the box's height."""
        x = {"left": box.left, "center": (box.left + box.right) / 2, "right": box.right}[align]
        start = box.top + (box.height - fitted.height) / 2 if top is None else top
        for row, line in enumerate(fitted.lines):
            self.text(x, start + (row * LEADING + BASELINE) * fitted.size, line, fitted.size, align=align)

    def block(self, box: Box, text: str, size: float, least: float) -> Fitted:
        return fit(text, box.width, box.height, size=size, least=least, measure=self.width)

    def one_line(self, text: str, width: float, size: float, least: float = 4) -> Fitted:
        return fit_line(text, width, size=size, least=least, measure=self.width)

    def upright(self, box: Box, text: str, size: float) -> None:
        """A label written downwards, spread over the middle of its narrow box."""
        step = min(size * 1.9, (box.height - 4) / len(text))
        first = (box.top + box.bottom - step * len(text)) / 2
        for row, sign in enumerate(text):
            base = first + step * (row + 0.5) + size * 0.37
            self.text((box.left + box.right) / 2, base, sign, size, colour=FRAME, align="center")

    def rules(self, ends: Iterable[tuple[float, float, float, float]], thickness: float = 0.7) -> None:
        self._canvas.setStrokeColorRGB(*FRAME)
        self._canvas.setLineWidth(thickness)
        self._canvas.lines([(x1, self._height - y1, x2, self._height - y2) for x1, y1, x2, y2 in ends])

    def frame(self, box: Box) -> None:
        self._canvas.setStrokeColorRGB(*FRAME)
        self._canvas.setLineWidth(0.9)
        self._canvas.rect(box.left, self._height - box.bottom, box.width, box.height)

    def watermark(self, x: float, y: float, text: str, size: float, degrees: float) -> None:
        """Drawn first, opaque and pale: some readers paint transparent text solid, over what lies beneath."""
        self._canvas.saveState()
        self._canvas.translate(x, self._height - y)
        self._canvas.rotate(degrees)
        self.text(0, self._height, text, size, colour=PALE, align="center")
        self._canvas.restoreState()

    def qr(self, box: Box, payload: str) -> None:
        rows = list(segno.make(payload, error="m", micro=False, boost_error=False).matrix)
        module = box.width / len(rows)
        path = self._canvas.beginPath()
        for y, row in enumerate(rows):
            for x, dark in enumerate(row):
                if dark:
                    path.rect(box.left + x * module, self._height - box.top - (y + 1) * module, module, module)
        self._canvas.setFillColorRGB(*INK)
        self._canvas.drawPath(path, stroke=0, fill=1)
