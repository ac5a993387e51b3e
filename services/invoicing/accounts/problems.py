"""A refusal as the problem that HTTP shows."""

from services.invoicing.accounts.refusals import Refused
from shared.domain.refusals import Refusal, text_of
from shared.runtime.web import Problem


def problem(refused: Refused) -> Problem:
    told = text_of(refused.code, {**refused.values, **refused.worded})
    return Problem(*told.problem, **refused.values)


def not_found(what: str, value: str) -> Problem:
    told = text_of(Refusal.NOT_FOUND, {"what": what, "value": value})
    return Problem(told.status, told.code, f"No such {what}", told.detail, value=value)
