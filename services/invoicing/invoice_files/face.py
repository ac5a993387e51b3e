"""Everything that is printed on one invoice. Pure: whoever builds a face has decided everything; drawing it decides nothing."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from shared.domain.invoice_number import parse_invoice_number

QR_MAX = 500
REMARK_DETAILS = (
    ("地址", "address"),
    ("电话", "phone"),
    ("开户银行", "bank_name"),
    ("银行账号", "bank_account"),
)


@dataclass(frozen=True)
class FaceParty:
    """Seller or buyer. Only name and tax id have a place on the face; the rest is in the XML, and in the remark if asked for."""

    name: str
    tax_id: str = ""
    address: str = ""
    phone: str = ""
    bank_name: str = ""
    bank_account: str = ""
    details_in_remark: bool = False


@dataclass(frozen=True)
class FaceLine:
    """One row of the table. `name` is the printed `*category*item`; `tax_code` the 19-digit classification behind it."""

    name: str
    net_fen: int
    tax_percent: int
    tax_fen: int
    tax_code: str
    specification: str = ""
    unit: str = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None

    @property
    def gross_fen(self) -> int:
        return self.net_fen + self.tax_fen


@dataclass(frozen=True)
class InvoiceFace:
    """`qr` is the payload the tax platform answered with. `specimen` marks every file of it as no real invoice."""

    number: str
    kind: Literal["general", "special"]
    issued_at: datetime
    seller: FaceParty
    buyer: FaceParty
    lines: tuple[FaceLine, ...]
    net_fen: int
    tax_fen: int
    gross_fen: int
    drawer: str
    qr: str
    specimen: bool
    remark: str = ""
    serial: str = ""
    requested_at: datetime | None = None

    def __post_init__(self) -> None:
        assert parse_invoice_number(self.number), "a number has 20 digits"
        assert self.kind in {"general", "special"}
        assert self.issued_at.tzinfo is not None
        assert len(self.qr) <= QR_MAX, "a longer payload would not be readable in print"
        assert self.lines, "an invoice has a line"
        assert self.net_fen == sum(line.net_fen for line in self.lines), "the header is the sum of the lines"
        assert self.tax_fen == sum(line.tax_fen for line in self.lines), "the header is the sum of the lines"
        assert self.gross_fen == self.net_fen + self.tax_fen

    @property
    def is_red(self) -> bool:
        """A credit note shows itself by negative amounts, nothing else."""
        return self.gross_fen < 0

    @property
    def region(self) -> str:
        """In which it was issued, as its number says."""
        number = parse_invoice_number(self.number)
        assert number is not None
        return number.region

    @property
    def title(self) -> str:
        return {"special": "电子发票（增值税专用发票）", "general": "电子发票（普通发票）"}[self.kind]

    @property
    def printed_remark(self) -> str:
        """The remark, after the address and bank lines of a party that asked for them: they have no other place on the face."""
        return "\n".join(filter(None, [_details("购方", self.buyer), _details("销方", self.seller), self.remark]))


def _details(side: str, party: FaceParty) -> str:
    pairs = [(label, getattr(party, name)) for label, name in REMARK_DETAILS if party.details_in_remark]
    return "；".join(f"{side}{label}：{text}" for label, text in pairs if text)


def yuan(fen: int) -> str:
    """-20000 is "-200.00": two decimals, no grouping, as the tax platform prints it."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def plain(number: Decimal | None) -> str:
    """A quantity or price without exponent and without zeros at the end; nothing when there is none."""
    text = "" if number is None else f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
