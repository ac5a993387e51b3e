"""The PDF: every field of the face can be read back, on as many pages as it takes, whatever the text is."""

import lzma
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from services.invoicing.invoice_files.face import FaceParty, InvoiceFace
from services.invoicing.invoice_files.rendering.pdf import HEIGHT, WIDTH, invoice_pdf
from services.invoicing.invoice_files.rendering.typeface import OWN, OWN_FONT, Typeface, typeface
from tests.unit.documents.faces import BUYER, LINE, NUMBER, SELLER, a_face, pages_of, red, some_lines, text_of


def drawn(face: InvoiceFace) -> str:
    return text_of(invoice_pdf(face, typeface())[0])


def fonts_of(content: bytes) -> list[dict[str, Any]]:
    first: Any = PdfReader(BytesIO(content)).pages[0]
    return [font.get_object() for font in first["/Resources"]["/Font"].values()]


def missing(face: InvoiceFace) -> set[str]:
    return set(invoice_pdf(face, typeface())[1])


@pytest.mark.parametrize(
    "field",
    [
        "电子发票（普通发票）",
        f"发票号码：{NUMBER}",
        "开票日期：2026年03月10日",
        "购买方信息",
        "销售方信息",
        "名称：北京示例智能科技有限公司",
        "统一社会信用代码/纳税人识别号：91110108769914581E",
        "名称：阿里云计算有限公司",
        "统一社会信用代码/纳税人识别号：91330106673959654P",
        "项目名称规格型号单位数量单价金额税率/征收率税额",
        "*生产生活服务*软件服务费按量付费小时744.51.61182001343181200.006%72.00",
        "合计¥1200.00¥72.00",
        "价税合计（大写）⊗壹仟贰佰柒拾贰圆整（小写）¥1272.00",
        "备注账期：2026年2月",
        "开票人：王小明",
    ],
)
def test_every_field_of_the_face_can_be_read(field: str) -> None:
    assert field in drawn(a_face())


def test_a_special_invoice_says_so() -> None:
    assert "电子发票（增值税专用发票）" in drawn(a_face(kind="special"))


def test_details_of_a_party_stand_in_the_remark_only_if_asked_for() -> None:
    account = SELLER.bank_account
    assert account not in drawn(a_face())
    assert f"销方银行账号：{account}" in drawn(a_face(seller=replace(SELLER, details_in_remark=True)))


def test_a_credit_note_shows_itself_by_negative_amounts() -> None:
    text = drawn(red(a_face()))
    for field in (
        "-744.51.6118200134318-1200.006%-72.00",
        "合计¥-1200.00¥-72.00",
        "（负数）壹仟贰佰柒拾贰圆整",
        "（小写）¥-1272.00",
    ):
        assert field in text


def test_a_specimen_is_marked_on_every_page_under_the_text_and_nothing_else_is() -> None:
    pages = pages_of(invoice_pdf(a_face(*some_lines(40)), typeface())[0])
    assert len(pages) > 1
    assert all(page.startswith("样张SPECIMEN") for page in pages)
    assert "样张" not in drawn(a_face(specimen=False))


@pytest.mark.parametrize("count", [1, 11, 12, 13, 17, 40, 500])
def test_all_lines_are_printed_once_in_order_and_the_totals_on_the_last_page_only(count: int) -> None:
    face = a_face(*some_lines(count))
    pages = pages_of(invoice_pdf(face, typeface())[0])
    assert re.findall("第([0-9]{3})项", "".join(pages)) == [f"{number:03d}" for number in range(1, count + 1)]
    assert ["价税合计" in page for page in pages] == [False] * (len(pages) - 1) + [True]
    assert all(re.search("第[0-9]{3}项", page) for page in pages), "no page without a line"
    assert all(f"发票号码：{NUMBER}" in page and "开票人：王小明" in page for page in pages)
    if len(pages) > 1:
        assert [f"共{len(pages)}页第{page}页" in text for page, text in enumerate(pages, start=1)] == [True] * len(
            pages
        )
        subtotals = [re.search(r"小计¥(\d+\.\d\d)¥(\d+\.\d\d)", page) for page in pages]
        assert sum(Decimal(found[1]) for found in subtotals if found) * 100 == face.net_fen
        assert sum(Decimal(found[2]) for found in subtotals if found) * 100 == face.tax_fen


def test_the_same_face_gives_the_same_bytes() -> None:
    face = a_face(*some_lines(40))
    assert invoice_pdf(face, typeface()) == invoice_pdf(face, typeface())


def test_only_embedded_subsets_of_one_font_are_declared_and_the_page_lies() -> None:
    content, _ = invoice_pdf(a_face(), typeface())
    box = PdfReader(BytesIO(content)).pages[0].mediabox
    assert (box.width, box.height) == (WIDTH, HEIGHT)
    fonts = fonts_of(content)
    assert fonts
    for font in fonts:
        assert str(font["/BaseFont"]).endswith("+NotoSansSC-Regular")
        assert "/FontFile2" in font["/FontDescriptor"]


def test_a_usual_page_is_small() -> None:
    assert len(invoice_pdf(a_face(), typeface())[0]) < 60_000


def test_everything_the_tax_platform_accepts_has_a_glyph() -> None:
    accepted = {
        sign
        for code in range(0x8140, 0xFEFF)
        for sign in code.to_bytes(2, "big").decode("gbk", "ignore")
        if sign > "\x7f"
    }
    assert len(accepted) > 21_000
    # U+2252 is not in the source font
    assert typeface().missing_of("".join(accepted - {"≒"})) == set()


@pytest.mark.parametrize(
    "name", ["𠅤𬱖龑䶮堃", "臺灣積體電路製造股份有限公司", "Société Générale Ünïted", "株式会社ぁヴ"]
)
def test_rare_traditional_and_foreign_names_are_printed_and_can_be_copied(name: str) -> None:
    face = a_face(buyer=FaceParty(name))
    assert missing(face) == set()
    assert name.replace(" ", "") in drawn(face)


def test_a_missing_glyph_is_reported_and_shown_as_missing() -> None:
    face = a_face(buyer=FaceParty("张𱁬😀公司"))
    assert missing(face) == {"𱁬", "😀"}
    assert "张〓〓公司" in drawn(face)


@pytest.fixture
def other_typeface(tmp_path: Path) -> Iterator[Typeface]:
    """The own font without 龑, and a full one. Fonts are registered by name, so the usual ones are put back afterwards."""
    full = tmp_path / "full.ttf"
    full.write_bytes(lzma.decompress(OWN_FONT.read_bytes()))
    other = Typeface(fallback=full)
    del other._fonts[OWN].face.charToGlyph[ord("龑")]
    yield other
    typeface.cache_clear()


def test_a_configured_full_font_fills_in(other_typeface: Typeface) -> None:
    content, lacking = invoice_pdf(a_face(buyer=FaceParty("龑氏公司")), other_typeface)
    assert lacking == frozenset()
    assert "名称：龑氏公司" in text_of(content)
    assert any(font["/BaseFont"].endswith("+FullNotoSansSC-Regular") for font in fonts_of(content))


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>&amp;",
        ") Tj ET (\\",
        "%PDF-1.4 endobj endstream",
        "\x00\x07\x1b[31m控制",
        "长" * 3_000,
        "W" * 3_000,
        "a b " * 1_000,
        "，" * 500,
        "\u202e右起",
        "半\ud800个",
        "",
    ],
)
def test_hostile_and_endless_text_neither_breaks_the_page_nor_leaves_it(text: str) -> None:
    line = replace(LINE, name=text, specification=text, unit=text)
    face = a_face(
        line,
        line,
        buyer=FaceParty(text, text),
        seller=FaceParty(text, text),
        remark=f"{text}\n{text}",
        drawer=text,
        specimen=False,
    )
    content, lacking = invoice_pdf(face, typeface())
    page = "".join(pages_of(content))
    assert f"发票号码：{NUMBER}" in page
    assert "（小写）¥2544.00" in page
    assert lacking == frozenset()
    for found in _positions(content):
        assert 0 <= found[0] < WIDTH
        assert 0 < found[1] < HEIGHT


def test_text_is_printed_as_it_is_written() -> None:
    assert "名称：<b>&amp;)Tj\\公司" in drawn(a_face(buyer=FaceParty("<b>&amp;) Tj \\公司")))


def test_a_long_name_becomes_smaller_and_stays_whole() -> None:
    name = "深圳市前海某某国际供应链管理（集团）股份有限公司" * 4
    assert f"名称：{name}" in drawn(a_face(buyer=replace(BUYER, name=name)))


def test_quantities_and_prices_of_full_precision_are_printed_whole() -> None:
    line = replace(
        LINE, quantity=Decimal("-12345678901.1234567890123"), unit_price=Decimal("98765432109.9876543210987")
    )
    text = drawn(a_face(line))
    assert "-12345678901.123456789012398765432109.9876543210987" in text


def _positions(content: bytes) -> list[tuple[float, float]]:
    """Where each piece of text begins."""
    found: list[tuple[float, float]] = []

    def note(text: str, _: object, matrix: list[float], *__: object) -> None:
        if text.strip():
            found.append((matrix[4], matrix[5]))

    for page in PdfReader(BytesIO(content)).pages:
        page.extract_text(visitor_text=note)
    return found
