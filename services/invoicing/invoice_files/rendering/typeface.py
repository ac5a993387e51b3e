"""The typeface of printed invoices: the embedded font, a full one for rare characters if configured, and what neither can show."""

import lzma
import re
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from pathlib import Path

from reportlab.pdfbase import pdfmetrics, ttfonts

OWN_FONT = Path(__file__).parent / "fonts" / "NotoSansSC-Invoice.ttf.xz"
OWN = "Invoice"
FALLBACK = "Fallback"
SUBSTITUTE = "〓"
"""The typesetter's sign for "no such glyph in the case": visible and honest, where a box or a gap would look like a defect."""

_AS_REPORTLAB_WRITES_IT = ttfonts.makeToUnicodeCMap


def _to_unicode(font_name: str, subset: list[int]) -> str:
    """Beyond U+FFFF reportlab writes five hex digits; PDF wants UTF-16, or rare characters can't be copied or searched."""
    written: str = _AS_REPORTLAB_WRITES_IT(font_name, subset)
    return re.sub(
        r"<([0-9A-F]{5,6})>", lambda found: f"<{chr(int(found[1], 16)).encode('utf-16-be').hex().upper()}>", written
    )


ttfonts.makeToUnicodeCMap = _to_unicode


class Typeface:
    """Splits a text into runs of one font each. Loaded once a process: it takes a quarter of a second and 18 MB."""

    def __init__(self, fallback: Path | None = None) -> None:
        self._fonts = {OWN: ttfonts.TTFont(OWN, BytesIO(lzma.decompress(OWN_FONT.read_bytes())))}
        if fallback is not None:
            font = ttfonts.TTFont(FALLBACK, BytesIO(fallback.read_bytes()))
            font.face.name = b"Full" + font.face.name  # two fonts of one name would share their objects in a PDF
            self._fonts[FALLBACK] = font
        for font in self._fonts.values():
            pdfmetrics.registerFont(font)

    def can_print(self, sign: str) -> bool:
        return any(ord(sign) in font.face.charToGlyph for font in self._fonts.values())

    def missing_of(self, text: str) -> set[str]:
        return {sign for sign in set(text) if not self.can_print(sign)}

    def runs(self, text: str) -> list[tuple[str, str]]:
        """Font and text, in order; what no font has is replaced."""
        pairs = [self._font_of(sign) for sign in text]
        return [(font, "".join(sign for _, sign in run)) for font, run in groupby(pairs, lambda pair: pair[0])]

    def width(self, text: str, size: float) -> float:
        return sum(map(self._advance, text)) * size / 1000

    def _advance(self, sign: str) -> float:
        name, shown = self._font_of(sign)
        face = self._fonts[name].face
        return float(face.charWidths.get(ord(shown), face.defaultWidth))

    def _font_of(self, sign: str) -> tuple[str, str]:
        for name, font in self._fonts.items():
            if ord(sign) in font.face.charToGlyph:
                return name, sign
        return OWN, SUBSTITUTE


@lru_cache(maxsize=1)
def typeface(fallback: Path | None = None) -> Typeface:
    return Typeface(fallback)
