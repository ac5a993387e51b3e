"""Calls to the world outside: the tax platform, the renderer, the object store. No transaction is open here."""

from services.invoicing.credit_notes.rules import ClaimedCredit
from services.invoicing.invoice_files import printing
from services.invoicing.invoice_files import rules as documents
from services.invoicing.invoice_files.rendering.renderer import Renderer, RenderFailed
from services.invoicing.invoice_files.rules import DocumentJob, Made
from services.invoicing.issuing.rules import Claimed
from services.invoicing.quotas.rules import Asked
from services.invoicing.requests.rules import Unseal
from services.invoicing.tax_platforms.port import Answer, TaxPlatform
from shared.contracts.invoicing import InvoiceFile
from shared.domain.catalogue import Catalogue
from shared.runtime.objects import ObjectStore


async def submit_or_query(part: Claimed, *, platform: TaxPlatform, unseal: Unseal, catalogue: Catalogue) -> Answer:
    """The step that was committed with the claim: a first submission, a question about an earlier one, or a wish to cancel it."""
    calls = {
        "submit": lambda: platform.submit(printing.order(part, unseal, catalogue)),
        "query": lambda: platform.query(part.serial),
        "cancel": lambda: platform.cancel(part.serial),
    }
    return await calls[part.step]()


async def submit_or_query_red(credit: ClaimedCredit, *, platform: TaxPlatform, catalogue: Catalogue) -> Answer:
    """Likewise for a credit note."""
    if credit.step == "submit":
        return await platform.submit_red(printing.red_order(credit, catalogue))
    return await platform.query(credit.serial)


async def ask_quota(asked: Asked, *, platform: TaxPlatform, catalogue: Catalogue) -> Answer:
    return await platform.quota(catalogue.legal_entities[asked.legal_entity].tax_id, asked.month)


async def make_documents(
    job: DocumentJob, *, renderer: Renderer, objects: ObjectStore, unseal: Unseal, catalogue: Catalogue
) -> Made:
    """Render and store; storing the same bytes again is harmless."""
    try:
        made = await renderer.render(printing.face(job, unseal, catalogue))
    except RenderFailed:
        return documents.again(job)
    files = []
    for document in made:
        key = f"invoices/{job.account_id}/{document.name}"
        await objects.put(key, document.content)
        files.append(
            InvoiceFile(
                name=document.name,
                media_type=document.media_type,
                object_key=key,
                size=len(document.content),
                sha256=document.sha256,
            )
        )
    return Made(tuple(files))
