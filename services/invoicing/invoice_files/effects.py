"""The files of an invoice are drawn and put into the object store. No transaction is open here."""

from services.invoicing.accounts.rules import Keys, Unseal
from services.invoicing.invoice_files import rules
from services.invoicing.invoice_files.face import InvoiceFace
from services.invoicing.invoice_files.printing import face
from services.invoicing.invoice_files.rendering.frames import RenderedFile
from services.invoicing.invoice_files.rendering.renderer import Renderer, RenderFailed
from services.invoicing.invoice_files.rules import FilesDelayed, FilesErased, FilesMade, InvoiceFileJob
from shared.contracts.invoicing import InvoiceFile
from shared.contracts.message import Erased
from shared.domain.catalogue import Catalogue
from shared.runtime.objects import ObjectStore


async def make_files(
    job: InvoiceFileJob, *, renderer: Renderer, objects: ObjectStore, keys: Keys, catalogue: Catalogue
) -> FilesMade | FilesDelayed | FilesErased:
    """Render and store; storing the same bytes again is harmless."""

    async def drawn_from(unseal: Unseal) -> InvoiceFace:
        return face(job, unseal, catalogue)

    try:
        rendered = await renderer.render(await keys.using(job.account_id, drawn_from))
    except RenderFailed:
        return rules.delayed(job)
    except Erased:
        return FilesErased()
    files = [_described(job, file) for file in rendered]
    for file, drawn in zip(files, rendered, strict=True):
        await objects.put(file.object_key, drawn.content)
    return FilesMade(tuple(files))


def _described(job: InvoiceFileJob, file: RenderedFile) -> InvoiceFile:
    return InvoiceFile(
        name=file.name,
        media_type=file.media_type,
        object_key=f"invoices/{job.account_id}/{file.name}",
        size=len(file.content),
        sha256=file.sha256,
    )
