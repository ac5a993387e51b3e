"""What stands on an invoice: the order to the platform and the face of the document are made from the same lines."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.invoicing.credit_notes.rules import ClaimedCredit
from services.invoicing.invoice_files import face as faces
from services.invoicing.invoice_files.rules import DocumentJob
from services.invoicing.issuing.rules import Claimed, Submission
from services.invoicing.requests.rules import Title, Unseal, unsealed
from services.invoicing.tax_platforms.port import BlueOrder, OrderLine, Party, RedOrder
from shared.domain.catalogue import Catalogue, LegalEntity

DRAWER = "开票员"


def order(part: Claimed, unseal: Unseal, catalogue: Catalogue) -> BlueOrder:
    """What the platform is asked to issue. The printed names follow the day of the claim; the platform decides the day of issue."""
    title = unsealed(part.title, part.wrapped_key, unseal)
    return BlueOrder(
        serial=part.serial,
        kind=part.kind,
        seller=_seller(catalogue.legal_entities[part.legal_entity]),
        buyer=_buyer(title),
        lines=_order_lines(part, part.printed_at, 1, catalogue),
        gross_fen=part.gross_fen,
        net_fen=part.net_fen,
        tax_fen=part.tax_fen,
        remark=part.remark,
        drawer=DRAWER,
    )


def red_order(credit: ClaimedCredit, catalogue: Catalogue) -> RedOrder:
    """The lines of the blue invoice under the same names, each amount negative: mirrored, never computed again (R-14)."""
    return RedOrder(
        serial=credit.serial,
        blue_number=credit.blue_number,
        seller_tax_id=catalogue.legal_entities[credit.legal_entity].tax_id,
        reason=credit.red_reason,
        lines=_order_lines(credit, credit.blue_issued_at, -1, catalogue),
        gross_fen=credit.gross_fen,
        net_fen=credit.net_fen,
        tax_fen=credit.tax_fen,
        remark=credit.remark,
        form_number=credit.wanted_form,
    )


def _order_lines(of: Submission, day: datetime, sign: int, catalogue: Catalogue) -> tuple[OrderLine, ...]:
    return tuple(
        OrderLine(
            catalogue.printed_name(line["content"], day),
            line["spec"] or "",
            sign * line["net_fen"],
            of.tax_percent,
            sign * line["tax_fen"],
            catalogue.contents[line["content"]].tax_code,
        )
        for line in of.lines
    )


def face(job: DocumentJob, unseal: Unseal, catalogue: Catalogue) -> faces.InvoiceFace:
    """What is printed, as issued: number, day and QR payload are the platform's."""
    title = unsealed(job.title, job.wrapped_key, unseal)
    return faces.InvoiceFace(
        number=job.number,
        kind=job.kind,
        issued_at=job.issued_at,
        seller=_printed(_seller(catalogue.legal_entities[job.legal_entity])),
        buyer=_printed(_buyer(title)),
        lines=_face_lines(job, job.lines, catalogue),
        net_fen=job.sign * job.net_fen,
        tax_fen=job.sign * job.tax_fen,
        gross_fen=job.sign * job.gross_fen,
        drawer=DRAWER,
        qr=job.qr,
        specimen=job.specimen,
        remark=_remark(job),
        serial=job.serial,
        requested_at=job.requested_at,
    )


def _remark(job: DocumentJob) -> str:
    """A red invoice says which blue one it reverses, and by which form."""
    if not job.credit_note_id:
        return job.remark
    form = f"红字发票信息确认单编号：{job.form_number}" if job.form_number else ""
    return "\n".join(filter(None, [f"被红冲蓝字发票号码：{job.blue_number}", form, job.remark]))


def _face_lines(
    job: DocumentJob, lines: Sequence[Mapping[str, Any]], catalogue: Catalogue
) -> tuple[faces.FaceLine, ...]:
    return tuple(
        faces.FaceLine(
            name=catalogue.printed_name(line["content"], job.named_at),
            net_fen=job.sign * line["net_fen"],
            tax_percent=job.tax_percent,
            tax_fen=job.sign * line["tax_fen"],
            tax_code=catalogue.contents[line["content"]].tax_code,
            specification=line["spec"] or "",
        )
        for line in lines
    )


def _seller(entity: LegalEntity) -> Party:
    return Party(entity.name, entity.tax_id, entity.address, entity.phone, entity.bank_name, entity.bank_account)


def _buyer(title: Title) -> Party:
    address, phone = title.registered_address or "", title.registered_phone or ""
    return Party(title.name, title.tax_id or "", address, phone, title.bank_name or "", title.bank_account or "")


def _printed(party: Party) -> faces.Party:
    return faces.Party(party.name, party.tax_id, party.address, party.phone, party.bank_name, party.bank_account)
