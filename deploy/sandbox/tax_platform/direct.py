"""The platform without a wire between: for simulation and worked examples. Faults are scripted call by call."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from types import TracebackType
from typing import Self, TypeVar

from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.records import Answer
from services.invoicing.tax_platforms.adapters.http_json import answers
from services.invoicing.tax_platforms.port import (
    BlueDraft,
    CancelAnswer,
    QueryAnswer,
    QuotaAnswer,
    RedDraft,
    SubmitAnswer,
    Unknown,
)

A = TypeVar("A")
Fault = Callable[[], str]
"""Says what goes wrong with the next call: "" nothing; "lose_request", "lose_answer", "error_5xx", "slow" as over HTTP."""
WITHOUT_EFFECT = ("lose_request", "error_5xx")


def scripted(faults: Iterable[str]) -> Fault:
    """The faults of the next calls, one a call; nothing goes wrong after the last."""
    upcoming = iter(faults)
    return lambda: next(upcoming, "")


class DirectTaxPlatform:
    def __init__(self, platform: Platform, fault: Fault = lambda: "") -> None:
        self._platform = platform
        self._fault = fault

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def submit(self, draft: BlueDraft) -> SubmitAnswer:
        content = asdict(draft)
        fault = self._fault() or self._platform.wire_fault(content)
        return self._answered(answers.to_submission, fault, lambda: self._platform.submit(content))

    async def submit_red(self, draft: RedDraft) -> SubmitAnswer:
        content = asdict(draft)
        fault = self._fault() or self._platform.wire_fault(content)
        return self._answered(answers.to_submission, fault, lambda: self._platform.submit_red(content))

    async def query(self, serial: str) -> QueryAnswer:
        return self._answered(answers.to_query, self._fault(), lambda: self._platform.query(serial))

    async def cancel(self, serial: str) -> CancelAnswer:
        return self._answered(answers.to_cancel, self._fault(), lambda: self._platform.cancel(serial))

    async def quota(self, tax_id: str, month: str) -> QuotaAnswer:
        return self._answered(answers.to_quota, self._fault(), lambda: self._platform.quota(tax_id, month))

    def _answered(self, read: Callable[[object], A], fault: str, act: Callable[[], Answer]) -> A | Unknown:
        """A caller that waits no longer than for the other faults hears nothing of a slow answer either."""
        if fault in WITHOUT_EFFECT:
            return Unknown("the request was lost")
        answer = act()
        return Unknown("the answer was lost") if fault else read(answer)
