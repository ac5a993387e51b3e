"""How a rule refuses what an account asks for. What is said of it stands in the register of refusals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.domain.refusals import Refusal
from shared.domain.remark import check_remark


@dataclass(frozen=True)
class Refused:
    """The system refuses. `values` are shown with the code, and may stand in its text; `worded` only stand in the text."""

    code: Refusal
    values: Mapping[str, Any] = field(default_factory=dict)
    worded: Mapping[str, str] = field(default_factory=dict)


def refused_remark(remark: str) -> Refused | None:
    """The first thing that is wrong with it."""
    found = check_remark(remark)
    return Refused(Refusal(found[0].code), {"value": found[0].value}) if found else None
