"""What stands on a printed invoice, made from the same lines as its draft for the tax platform."""

from dataclasses import asdict

from services.invoicing.accounts.rules import Unseal, unsealed
from services.invoicing.invoice_files.face import FaceLine, FaceParty, InvoiceFace
from services.invoicing.invoice_files.rules import InvoiceFileJob
from services.invoicing.tax_platforms.parties import DRAWER, buyer_of, seller_of
from shared.domain.catalogue import Catalogue


def face(job: InvoiceFileJob, unseal: Unseal, catalogue: Catalogue) -> InvoiceFace:
    """As it was issued: number, day and QR payload are the platform's."""
    title = unsealed(job.account_id, job.title, unseal)
    return InvoiceFace(
        number=job.number,
        kind=job.kind,
        issued_at=job.issued_at,
        seller=FaceParty(**asdict(seller_of(catalogue.legal_entities[job.legal_entity]))),
        buyer=FaceParty(**asdict(buyer_of(title))),
        lines=_lines(job, catalogue),
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


def _remark(job: InvoiceFileJob) -> str:
    """A red invoice says which blue one it reverses, and by which form."""
    if not job.credit_note_id:
        return job.remark
    form = f"红字发票信息确认单编号：{job.form_number}" if job.form_number else ""
    return "\n".join(filter(None, [f"被红冲蓝字发票号码：{job.blue_number}", form, job.remark]))


def _lines(job: InvoiceFileJob, catalogue: Catalogue) -> tuple[FaceLine, ...]:
    return tuple(
        FaceLine(
            name=catalogue.printed_name(line["content"], job.named_at),
            net_fen=job.sign * line["net_fen"],
            tax_percent=job.tax_percent,
            tax_fen=job.sign * line["tax_fen"],
            tax_code=catalogue.contents[line["content"]].tax_code,
            specification=line["spec"] or "",
        )
        for line in job.lines
    )
