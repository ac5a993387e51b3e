"""What an erasure of an account's personal data waits for: requests that are open are cancelled, and what is with the platform ends."""

from dataclasses import dataclass

from services.invoicing.requests.rules import CancelIntent
from shared.contracts.invoicing import AccountAtRest
from shared.contracts.message import Message
from shared.domain.refusals import Refusal


@dataclass(frozen=True)
class OpenRequest:
    """One that nobody has wished to cancel yet."""

    account_id: int
    request_id: int

    @property
    def cancel(self) -> CancelIntent:
        return CancelIntent(self.account_id, self.request_id, Refusal.ACCOUNT_DATA_ERASED)


@dataclass(frozen=True)
class Resolved:
    """An erasure for which nothing is under way any more: no request, no credit note, no file that is still to be drawn."""

    account_id: int
    version: int

    @property
    def message(self) -> Message:
        return AccountAtRest(account_id=self.account_id, version=self.version)
