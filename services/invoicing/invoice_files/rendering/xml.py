"""The EInvoice XML: element names and their order as the public samples have them, misspellings included.

Same face, same bytes. The signature of the tax bureau is not ours to make: a specimen says so in its place, anything else leaves
the place empty.
"""

from datetime import datetime
from decimal import Decimal
from xml.etree import ElementTree as Tree

from services.invoicing.invoice_files.face import FaceLine, FaceParty, InvoiceFace, plain, yuan
from services.invoicing.invoice_files.rendering.bureaus import bureau_code, bureau_name
from services.invoicing.invoice_files.rendering.text import block_of, line_of
from shared.domain.calendar import SHANGHAI
from shared.domain.words import amount_in_words

VERSION = "0.32"
SPECIMEN = "样张 SPECIMEN"
KINDS = {"special": ("01", "增值税专用发票"), "general": ("02", "普通发票")}


def invoice_xml(face: InvoiceFace) -> bytes:
    root = Tree.Element("EInvoice")
    if face.specimen:
        root.set("specimen", "true")
        root.append(Tree.Comment(f" {SPECIMEN}: not a tax document "))
    _header(Tree.SubElement(root, "Header"), face)
    _content(Tree.SubElement(root, "EInvoiceData"), face)
    _fill(
        Tree.SubElement(root, "TaxSupervisionInfo"),
        {
            "InvoiceNumber": face.number,
            "IssueTime": _moment(face.issued_at),
            "TaxBureauCode": bureau_code(face.region),
            "TaxBureauName": bureau_name(face.region),
        },
    )
    _fill(Tree.SubElement(root, "TaxBureauSignature"), {"SignatureValue": SPECIMEN if face.specimen else ""})
    Tree.indent(root)
    body: bytes = Tree.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _header(header: Tree.Element, face: InvoiceFace) -> None:
    _fill(header, {"EIid": face.number, "EInvoiceTag": f"SWEI{face.region}00", "Version": VERSION})
    labels = Tree.SubElement(header, "InherentLabel")
    _label(labels, "InIssuType", "N" if face.is_red else "Y", "是否蓝字发票标志")
    _label(labels, "EInvoiceType", "01", "电子发票")
    _label(labels, "GeneralOrSpecialVAT", *KINDS[face.kind])


def _content(content: Tree.Element, face: InvoiceFace) -> None:
    _party(Tree.SubElement(content, "SellerInformation"), "Seller", face.seller)
    _party(Tree.SubElement(content, "BuyerInformation"), "Buyer", face.buyer)
    _fill(
        Tree.SubElement(content, "BasicInformation"),
        {
            "TotalAmWithoutTax": yuan(face.net_fen),
            "TotalTaxAm": yuan(face.tax_fen),
            "TotalTax-includedAmount": yuan(face.gross_fen),
            "TotalTax-includedAmountInChinese": amount_in_words(face.gross_fen),
            "Drawer": line_of(face.drawer),
            "RequestTime": _moment(face.requested_at or face.issued_at),
        },
    )
    for line in face.lines:
        _line(Tree.SubElement(content, "IssuItemInformation"), line)
    additional = {"Remark": block_of(face.printed_remark)} | ({"RequestSerial": face.serial} if face.serial else {})
    _fill(Tree.SubElement(content, "AdditionalInformation"), additional)


def _party(parent: Tree.Element, side: str, party: FaceParty) -> None:
    _fill(
        parent,
        {
            f"{side}IdNum": line_of(party.tax_id),
            f"{side}Name": line_of(party.name),
            f"{side}Addr": line_of(party.address),
            f"{side}TelNum": line_of(party.phone),
            f"{side}BankName": line_of(party.bank_name),
            f"{side}BankAccNum": line_of(party.bank_account),
        },
    )


def _line(parent: Tree.Element, line: FaceLine) -> None:
    _fill(
        parent,
        {
            "ItemName": line_of(line.name),
            "SpecMod": line_of(line.specification),
            "MeaUnits": line_of(line.unit),
            "Quantity": plain(line.quantity),
            "UnPrice": plain(line.unit_price),
            "Amount": yuan(line.net_fen),
            "TaxRate": f"{Decimal(line.tax_percent) / 100:.2f}",
            "ComTaxAm": yuan(line.tax_fen),
            "TotaltaxIncludedAmount": yuan(line.gross_fen),
            "TaxClassificationCode": line.tax_code,
        },
    )


def _label(parent: Tree.Element, name: str, code: str, text: str) -> None:
    _fill(Tree.SubElement(parent, name), {"LabelCode": code, "LabelName": text})


def _fill(parent: Tree.Element, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        Tree.SubElement(parent, name).text = text


def _moment(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
