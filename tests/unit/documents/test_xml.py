"""The EInvoice XML: names and order as published, exact amounts, and text that stays text."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from services.invoicing.invoice_files.face import FaceParty
from services.invoicing.invoice_files.rendering.xml import invoice_xml
from tests.unit.documents.faces import LINE, NUMBER, SELLER, a_face, read_xml, red, some_lines

GOLDEN = {
    "Header/EIid": NUMBER,
    "Header/EInvoiceTag": "SWEI3300",
    "Header/InherentLabel/InIssuType/LabelCode": "Y",
    "Header/InherentLabel/EInvoiceType/LabelCode": "01",
    "Header/InherentLabel/EInvoiceType/LabelName": "电子发票",
    "Header/InherentLabel/GeneralOrSpecialVAT/LabelCode": "02",
    "Header/InherentLabel/GeneralOrSpecialVAT/LabelName": "普通发票",
    "EInvoiceData/SellerInformation/SellerIdNum": "91330106673959654P",
    "EInvoiceData/SellerInformation/SellerName": "阿里云计算有限公司",
    "EInvoiceData/SellerInformation/SellerAddr": "杭州市西湖区三墩镇灯彩街1008号云谷园区1-2-A06室",
    "EInvoiceData/SellerInformation/SellerTelNum": "0571-85022088",
    "EInvoiceData/SellerInformation/SellerBankName": "招商银行杭州高新支行",
    "EInvoiceData/SellerInformation/SellerBankAccNum": "571905493610702",
    "EInvoiceData/BuyerInformation/BuyerIdNum": "91110108769914581E",
    "EInvoiceData/BuyerInformation/BuyerName": "北京示例智能科技有限公司",
    "EInvoiceData/BasicInformation/TotalAmWithoutTax": "1200.00",
    "EInvoiceData/BasicInformation/TotalTaxAm": "72.00",
    "EInvoiceData/BasicInformation/TotalTax-includedAmount": "1272.00",
    "EInvoiceData/BasicInformation/TotalTax-includedAmountInChinese": "壹仟贰佰柒拾贰圆整",
    "EInvoiceData/BasicInformation/Drawer": "王小明",
    "EInvoiceData/BasicInformation/RequestTime": "2026-03-10 01:20:00",
    "EInvoiceData/IssuItemInformation/ItemName": "*生产生活服务*软件服务费",
    "EInvoiceData/IssuItemInformation/SpecMod": "按量付费",
    "EInvoiceData/IssuItemInformation/MeaUnits": "小时",
    "EInvoiceData/IssuItemInformation/Quantity": "744.5",
    "EInvoiceData/IssuItemInformation/UnPrice": "1.6118200134318",
    "EInvoiceData/IssuItemInformation/Amount": "1200.00",
    "EInvoiceData/IssuItemInformation/TaxRate": "0.06",
    "EInvoiceData/IssuItemInformation/ComTaxAm": "72.00",
    "EInvoiceData/IssuItemInformation/TotaltaxIncludedAmount": "1272.00",
    "EInvoiceData/IssuItemInformation/TaxClassificationCode": "3040201990000000000",
    "EInvoiceData/AdditionalInformation/Remark": "账期：2026年2月",
    "EInvoiceData/AdditionalInformation/RequestSerial": "0A1B2C3D4E5F6G7H8J9K",
    "TaxSupervisionInfo/InvoiceNumber": NUMBER,
    "TaxSupervisionInfo/IssueTime": "2026-03-10 01:30:00",
    "TaxSupervisionInfo/TaxBureauCode": "13300000000",
    "TaxSupervisionInfo/TaxBureauName": "国家税务总局浙江省税务局",
}


def texts_of(root: etree._Element, path: str) -> list[str | None]:
    return [found.text for found in root.findall(path)]


def test_every_published_element_has_its_value() -> None:
    root = read_xml(invoice_xml(a_face()))
    assert {path: root.findtext(path) for path in GOLDEN} == GOLDEN


def test_the_blocks_come_in_the_published_order() -> None:
    root = read_xml(invoice_xml(a_face(*some_lines(2))))
    blocks = [[child.tag for child in parent.iterchildren("*")] for parent in (root, root.find("EInvoiceData"))]
    assert blocks == [
        ["Header", "EInvoiceData", "TaxSupervisionInfo", "TaxBureauSignature"],
        [
            "SellerInformation",
            "BuyerInformation",
            "BasicInformation",
            "IssuItemInformation",
            "IssuItemInformation",
            "AdditionalInformation",
        ],
    ]


def test_a_special_invoice_says_so() -> None:
    root = read_xml(invoice_xml(a_face(kind="special")))
    assert root.findtext("Header/InherentLabel/GeneralOrSpecialVAT/LabelCode") == "01"
    assert root.findtext("Header/InherentLabel/GeneralOrSpecialVAT/LabelName") == "增值税专用发票"


@pytest.mark.parametrize(
    ("percent", "rate"), [(13, "0.13"), (9, "0.09"), (6, "0.06"), (3, "0.03"), (1, "0.01"), (0, "0.00")]
)
def test_a_rate_is_written_as_a_fraction(percent: int, rate: str) -> None:
    root = read_xml(invoice_xml(a_face(replace(LINE, tax_percent=percent))))
    assert root.findtext("EInvoiceData/IssuItemInformation/TaxRate") == rate


def test_a_credit_note_is_no_blue_invoice_and_its_amounts_are_negative() -> None:
    root = read_xml(invoice_xml(red(a_face())))
    assert root.findtext("Header/InherentLabel/InIssuType/LabelCode") == "N"
    basic, line = root.find("EInvoiceData/BasicInformation"), root.find("EInvoiceData/IssuItemInformation")
    assert [basic.findtext(name) for name in ("TotalAmWithoutTax", "TotalTaxAm", "TotalTax-includedAmount")] == [
        "-1200.00",
        "-72.00",
        "-1272.00",
    ]
    assert basic.findtext("TotalTax-includedAmountInChinese") == "（负数）壹仟贰佰柒拾贰圆整"
    assert [line.findtext(name) for name in ("Quantity", "UnPrice", "Amount", "ComTaxAm")] == [
        "-744.5",
        "1.6118200134318",
        "-1200.00",
        "-72.00",
    ]


def test_a_specimen_is_marked_and_nothing_else_is() -> None:
    marked, plain = (invoice_xml(a_face(specimen=specimen)) for specimen in (True, False))
    assert read_xml(marked).get("specimen") == "true"
    assert read_xml(marked).findtext("TaxBureauSignature/SignatureValue") == "样张 SPECIMEN"
    assert not read_xml(plain).findtext("TaxBureauSignature/SignatureValue")
    assert not {"specimen", "样张"} & set(plain.decode().replace("SPECIMEN", "specimen").split('"'))
    assert "样张" not in plain.decode()


def test_without_quantity_and_price_the_elements_are_empty() -> None:
    line = read_xml(invoice_xml(a_face(replace(LINE, quantity=None, unit_price=None)))).find(
        "EInvoiceData/IssuItemInformation"
    )
    assert [line.find(name).text for name in ("Quantity", "UnPrice")] == [None, None]


def test_details_asked_for_stand_in_the_remark() -> None:
    face = a_face(seller=replace(SELLER, details_in_remark=True))
    assert read_xml(invoice_xml(face)).findtext("EInvoiceData/AdditionalInformation/Remark") == (
        "销方地址：杭州市西湖区三墩镇灯彩街1008号云谷园区1-2-A06室；销方电话：0571-85022088；"
        "销方开户银行：招商银行杭州高新支行；销方银行账号：571905493610702\n账期：2026年2月"
    )


@pytest.mark.parametrize("count", [1, 40, 500])
def test_every_line_is_there_in_order_and_twice_the_same_face_gives_the_same_bytes(count: int) -> None:
    face = a_face(*some_lines(count))
    content = invoice_xml(face)
    names = texts_of(read_xml(content), "EInvoiceData/IssuItemInformation/ItemName")
    assert names == [line.name for line in face.lines]
    assert content == invoice_xml(face)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_stays_text(text: str) -> None:
    root = read_xml(invoice_xml(a_face(buyer=FaceParty(text, text), remark=text)))
    assert len(root.find("EInvoiceData/BuyerInformation")) == 6
    assert len(root.find("EInvoiceData/AdditionalInformation")) == 2


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<BuyerName>x</BuyerName>&amp;", "<BuyerName>x</BuyerName>&amp;"),
        (
            "]]><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;",
            "]]><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;",
        ),
        ("零\x00\x07控\ufffe制", "零控制"),
        ("半\ud800个", "半个"),
        ("两\r\n行\u2028字", "两  行 字"),
        ("\u202e司公\u202c", "司公"),
        ("𠮷野家", "𠮷野家"),
    ],
)
def test_hostile_text_is_escaped_and_what_xml_forbids_is_dropped(text: str, read: str) -> None:
    root = read_xml(invoice_xml(a_face(buyer=FaceParty(text))))
    assert root.findtext("EInvoiceData/BuyerInformation/BuyerName") == read
