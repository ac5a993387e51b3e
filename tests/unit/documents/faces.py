"""Example invoices: the usual values filled in, and reading back what was made of them."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

from lxml import etree
from pypdf import PdfReader

from services.invoicing.invoice_files.face import FaceLine, FaceParty, InvoiceFace

NUMBER = "26332000000123456789"
SELLER = FaceParty(
    "阿里云计算有限公司",
    "91330106673959654P",
    address="杭州市西湖区三墩镇灯彩街1008号云谷园区1-2-A06室",
    phone="0571-85022088",
    bank_name="招商银行杭州高新支行",
    bank_account="571905493610702",
)
BUYER = FaceParty("北京示例智能科技有限公司", "91110108769914581E")
LINE = FaceLine(
    name="*生产生活服务*软件服务费",
    net_fen=120_000,
    tax_percent=6,
    tax_fen=7_200,
    tax_code="3040201990000000000",
    specification="按量付费",
    unit="小时",
    quantity=Decimal("744.50"),
    unit_price=Decimal("1.6118200134318"),
)


def a_face(*lines: FaceLine, **changes: Any) -> InvoiceFace:  # noqa: ANN401 - each field has its own type
    lines = lines or (LINE,)
    face = InvoiceFace(
        number=NUMBER,
        kind="general",
        issued_at=datetime(2026, 3, 9, 17, 30, tzinfo=UTC),
        seller=SELLER,
        buyer=BUYER,
        lines=lines,
        net_fen=sum(line.net_fen for line in lines),
        tax_fen=sum(line.tax_fen for line in lines),
        gross_fen=sum(line.gross_fen for line in lines),
        drawer="王小明",
        qr=f"SPECIMEN,01,32,,{NUMBER},1272.00,20260310,,1A2B",
        specimen=True,
        remark="账期：2026年2月",
        serial="0A1B2C3D4E5F6G7H8J9K",
        requested_at=datetime(2026, 3, 9, 17, 20, tzinfo=UTC),
    )
    return replace(face, **changes)


def some_lines(count: int) -> tuple[FaceLine, ...]:
    return tuple(
        replace(LINE, name=f"*生产生活服务*软件服务费第{number:03d}项", net_fen=10_000 + number)
        for number in range(1, count + 1)
    )


def red(face: InvoiceFace) -> InvoiceFace:
    """The full reversal: every amount and quantity mirrored, prices kept."""
    lines = tuple(
        replace(line, net_fen=-line.net_fen, tax_fen=-line.tax_fen, quantity=line.quantity and -line.quantity)
        for line in face.lines
    )
    return replace(face, lines=lines, net_fen=-face.net_fen, tax_fen=-face.tax_fen, gross_fen=-face.gross_fen)


def read_xml(content: bytes) -> etree._Element:
    """As a careful receiver reads it: no entities, no DTD, no network, no giant trees."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=False
    )
    root = etree.fromstring(content, parser)
    assert root.getroottree().docinfo.doctype == ""
    return root


def pages_of(content: bytes) -> list[str]:
    """The text of each page without white space, which layout may put anywhere."""
    return [re.sub(r"\s", "", page.extract_text()) for page in PdfReader(BytesIO(content), strict=True).pages]


def text_of(content: bytes) -> str:
    return "".join(pages_of(content))
