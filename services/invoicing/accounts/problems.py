"""A refusal as the problem that HTTP shows."""

from typing import Any

from services.invoicing.accounts.refusals import EXPLAINED, STATUS_OF, Refused
from shared.runtime.web import Problem


def problem(refused: Refused) -> Problem:
    status = STATUS_OF.get(refused.code, 409)
    return Problem(status, refused.code, titled(refused.code), refused.text, **refused.detail)


def explained(code: str, otherwise: str, **detail: Any) -> Problem:  # noqa: ANN401 - whatever is behind it
    """A refusal that came from the ledger or the platform."""
    return Problem(409, code, titled(code), EXPLAINED.get(code, otherwise), **detail)


def titled(code: str) -> str:
    return code.replace("_", " ").capitalize()


def not_found(what: str, value: str) -> Problem:
    return Problem(
        404, "NOT_FOUND", f"No such {what}", f"This account has no {what} {value}; list them first.", value=value
    )
