"""What becomes of a submission at the tax platform: lost, answered, refused for its quota; and what each part is issued as."""

import json
from typing import TYPE_CHECKING

from services.invoicing.requests.intents import AcceptedRequest, InvoiceIntent
from shared.domain.catalogue import Catalogue
from tests.worked.language import Event, Happens

if TYPE_CHECKING:
    from tests.worked.player import Player


class Submitting:
    def __init__(self, player: "Player") -> None:
        self.player, self.world = player, player.world
        self.sent: set[str] = set()
        """Requests whose parts went out to the platform."""

    def events(self) -> dict[str, Happens]:
        return {
            "tax.submitted": self.submitted,
            "tax.submit_timeout": self.submission_lost,
            "tax.resubmitted": self.answered,
            "tax.invoice_issued": self.answered,
            "tax.result": self.answered,
            "tax.cancel_accepted": self.acknowledged,
            "tax.cancel_rejected": self.acknowledged,
            "tax.quota_set": self.quota_set,
            "tax.quota_exceeded": self.quota_exceeded,
        }

    async def issued(self, intent: InvoiceIntent) -> int:
        """Asked for, and issued as soon as the platform has it. Returns the request."""
        accepted = await self.world.request(intent)
        assert isinstance(accepted, AcceptedRequest), accepted
        await self.player.settle(without=())
        parts = await self.player.parts(intent.account_id, accepted.request_id)
        self.finish({row["serial"] for row in parts}, "issued")
        await self.player.let_platform_be_asked()
        return accepted.request_id

    async def submitted(self, _: int, event: Event) -> None:
        await self._submit(event["request_id"])

    async def submission_lost(self, _: int, event: Event) -> None:
        self.player.faults = ["lose_answer"]
        await self._submit(event["request_id"])

    async def acknowledged(self, _: int, event: Event) -> None:
        """The answer to the wish to cancel; the result decides."""

    async def quota_set(self, _: int, event: Event) -> None:
        seller = Catalogue.load().legal_entities[event["legal_entity"]]
        self.world.platform.set_quota(seller.tax_id, event["month"], event["total_net_fen"], event["used_net_fen"])

    async def quota_exceeded(self, _: int, event: Event) -> None:
        """The submission that is refused; what is said of it must be what the event says."""
        await self._submit(event["request_id"])
        await self.player.let_platform_be_asked()
        _, request_id = self.player.request_ids[event["request_id"]]
        said = [
            (body["needed_net_fen"], body["left_net_fen"])
            for seen in self.world.records("invoicing.events")
            if seen.headers["ce_type"] == b"PartWaitsForQuota"
            and (body := json.loads(seen.value or b"{}"))["request_id"] == request_id
        ]
        figures = (event["needed_net_fen"], event["left_net_fen"])
        if not said or said[-1] != figures:
            raise ValueError(f"quota: needed and left are {said}, not {figures}")

    async def _submit(self, name: str) -> None:
        if name not in self.sent:
            self.sent.add(name)
            await self.player.settle(without=())
        elif await self.player.asking.status(name) != "invoicing":
            await self.player.let_platform_be_asked()

    async def answered(self, place: int, event: Event) -> None:
        """A query is answered with the latest, or else the next, result of the part."""
        await self._submit(event["request_id"])
        for row in await self.player.parts(*self.player.request_ids[event["request_id"]]):
            result = self._result_of(place, event["request_id"], row["subject"])
            if result is not None:
                state = result.get("state", "issued")
                self.finish({row["serial"]}, state, result.get("reason", ""), result.get("invoice_number", ""))
        await self.player.let_platform_be_asked()

    def _result_of(self, place: int, name: str, subject: str) -> Event | None:
        results = [
            (number, event)
            for number, event in enumerate(self.player.events)
            if event["type"] in ("tax.result", "tax.invoice_issued")
            and event["request_id"] == name
            and event.get("subject", subject) == subject
        ]
        before = [event for number, event in results if number <= place]
        return before[-1] if before else next((event for _, event in results), None)

    def finish(self, serials: set[str], state: str, reason: str = "", number: str = "") -> None:
        for serial in sorted(serials):
            self.world.platform.finish(serial, state, code=reason or "FAILED", text=reason, number=number)
