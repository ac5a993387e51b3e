"""The documents of one invoice. CPU work for a process of its own (`renderer.py`), never for the event loop."""

from hashlib import sha256
from pathlib import Path

from services.invoicing.invoice_files.face import InvoiceFace
from services.invoicing.invoice_files.rendering.document import Document
from services.invoicing.invoice_files.rendering.pdf import invoice_pdf
from services.invoicing.invoice_files.rendering.typeface import typeface
from services.invoicing.invoice_files.rendering.xml import invoice_xml


def render(face: InvoiceFace, fallback_font: Path | None = None) -> list[Document]:
    """The PDF and the XML, named after the invoice's number. Same face, same bytes."""
    pdf, missing = invoice_pdf(face, typeface(fallback_font))
    return [
        _document(f"{face.number}.pdf", "application/pdf", pdf, "".join(sorted(missing))),
        _document(f"{face.number}.xml", "application/xml", invoice_xml(face), ""),
    ]


def _document(name: str, media_type: str, content: bytes, missing: str) -> Document:
    return Document(name, media_type, content, sha256(content).hexdigest(), missing)
