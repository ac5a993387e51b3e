"""The platform without a wire between: for simulation and worked examples. Faults are scripted call by call."""

from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Self

from deploy.sandbox.tax_platform.core import Platform
from services.invoicing.adapters.port import Answer, BlueOrder, Unknown
from services.invoicing.adapters.tax_platform import understood

Fault = Callable[[], str]
"""Says what goes wrong with the next call: "" nothing, "lose_request", "lose_answer"."""


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

    async def submit(self, order: BlueOrder) -> Answer:
        fault = self._fault()
        if fault == "lose_request":
            return Unknown("the request was lost")
        answer = understood(self._platform.submit(asdict(order)))
        return Unknown("the answer was lost") if fault == "lose_answer" else answer

    async def query(self, serial: str) -> Answer:
        return Unknown("the answer was lost") if self._fault() else understood(self._platform.query(serial))
