"""The 20 digits of a digital invoice: year, region, channel, sequence (R-12). Stored as text; nothing is inferred from it."""

import re
from dataclasses import dataclass

SHAPE = re.compile(r"[0-9]{20}")


@dataclass(frozen=True)
class InvoiceNumber:
    year: str
    region: str
    channel: str
    sequence: str


def parse_invoice_number(text: str) -> InvoiceNumber | None:
    """None for what is no invoice number."""
    if not SHAPE.fullmatch(text):
        return None
    return InvoiceNumber(text[:2], text[2:4], text[4], text[5:])
