"""What of a text may reach an invoice file: no control or formatting characters, which XML forbids and a page can't show.

Characters that merely have no glyph here, or are newer than this Python, stay: somebody's name may need them, and drawing
reports them.
"""

import unicodedata

BREAKS = dict.fromkeys(map(ord, "\t\n\v\f\r\x85\u2028\u2029"), " ")
UNWANTED = frozenset({"Cc", "Cf", "Cs"})
"""Unicode categories. Cf holds the direction overrides with which a text could read other than it is written."""


def line_of(text: str) -> str:
    """One line: line breaks and tabs become spaces."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return "".join(sign for sign in text.translate(BREAKS) if _is_wanted(sign)).strip()


def block_of(text: str) -> str:
    """Several lines, as a remark has; each of them cleaned, empty ones at both ends dropped."""
    return "\n".join(line_of(line) for line in text.splitlines()).strip("\n")


def _is_wanted(sign: str) -> bool:
    is_noncharacter = ord(sign) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(sign) <= 0xFDEF
    return not is_noncharacter and unicodedata.category(sign) not in UNWANTED
