"""The files of one invoice. CPU work for a process of its own (`renderer.py`), never for the event loop."""

from hashlib import sha256
from pathlib import Path

from services.invoicing.invoice_files.face import InvoiceFace
from services.invoicing.invoice_files.rendering.frames import RenderedFile
from services.invoicing.invoice_files.rendering.pdf import invoice_pdf
from services.invoicing.invoice_files.rendering.typeface import typeface
from services.invoicing.invoice_files.rendering.xml import invoice_xml


def render(face: InvoiceFace, fallback_font: Path | None = None) -> list[RenderedFile]:
    """The PDF and the XML, named after the invoice's number. Same face, same bytes."""
    pdf, missing = invoice_pdf(face, typeface(fallback_font))
    return [
        _file(f"{face.number}.pdf", "application/pdf", pdf, "".join(sorted(missing))),
        _file(f"{face.number}.xml", "application/xml", invoice_xml(face), ""),
    ]


def _file(name: str, media_type: str, content: bytes, missing: str) -> RenderedFile:
    return RenderedFile(name, media_type, content, sha256(content).hexdigest(), missing)
