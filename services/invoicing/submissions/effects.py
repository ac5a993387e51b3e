"""The one call that follows a claim: a submission, a question about an earlier one, or a wish to cancel it. No transaction is open here."""

from collections.abc import Awaitable, Callable

from services.invoicing.submissions.rules import Submission
from services.invoicing.tax_platforms.port import Answer, SubmitAnswer, TaxPlatform


async def ask(of: Submission, platform: TaxPlatform, submit: Callable[[], Awaitable[SubmitAnswer]]) -> Answer:
    """Takes the step that was committed with the claim."""
    calls: dict[str, Callable[[], Awaitable[Answer]]] = {
        "submit": submit,
        "query": lambda: platform.query(of.serial),
        "cancel": lambda: platform.cancel(of.serial),
    }
    return await calls[of.step]()
