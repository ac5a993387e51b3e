"""Plays the events of one example and looks at the world after each. It never sees what is expected."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.databases import Databases
from tests.support.world import FlowWorld
from tests.worked.asking import Asking
from tests.worked.crediting import Crediting
from tests.worked.ending import Ending
from tests.worked.given import Given
from tests.worked.language import Event, Happens, NotOfferedError
from tests.worked.looking import Looking
from tests.worked.played import Played
from tests.worked.publishing import Publishing
from tests.worked.submitting import Submitting

NEVER_BY_ITSELF = 10**9
UNOFFERED = {
    "title.corporate_applied": "title applications",
    "auto_invoicing.due": "auto-invoicing",
}


class Player:
    """One example on one stage. Business time is the example's; real time moves on its own, for leases and pauses."""

    def __init__(self, example: dict[str, Any]) -> None:
        self.example = example
        self.events: list[Event] = example["events"]
        self.start = datetime.fromisoformat(self.events[0]["at"]) - timedelta(days=1)
        self.world = FlowWorld(self.start, issue_delay_seconds=NEVER_BY_ITSELF, fault=self._fault)
        self.played = Played()
        self.faults: list[str] = []
        self.request_ids: dict[str, tuple[int, int]] = {}
        """Account and request of each name that the example gives a request."""
        self.given = Given(self)
        self.publishing = Publishing(self)
        self.asking = Asking(self)
        self.submitting = Submitting(self)
        self.crediting = Crediting(self)
        self.looking = Looking(self)
        self.ending = Ending(self)
        self.happens: dict[str, Happens] = {
            **self.given.events(),
            **self.publishing.events(),
            **self.asking.events(),
            **self.submitting.events(),
            **self.crediting.events(),
            **self.looking.events(),
        }

    def _fault(self) -> str:
        return self.faults.pop(0) if self.faults else ""

    async def play(self, databases: Databases, folder: Path) -> Played:
        await self.world.open(databases, folder)
        try:
            await self.given.happened()
            for place, event in enumerate(self.events):
                self._set_time(event.get("delivered_at") or event["at"])
                await self._event(place, event)
                await self.settle()
                self.played.looks.append(await self.looking.look(event))
            await self.ending.look()
        finally:
            await self.world.close()
        return self.played

    async def _event(self, place: int, event: Event) -> None:
        if event["type"] in UNOFFERED:
            raise NotOfferedError(f"not offered yet: {UNOFFERED[event['type']]}")
        await self.happens[event["type"]](place, event)

    # time

    def _set_time(self, at: str) -> None:
        clock = self.world.stage.clock
        clock.offset = datetime.fromisoformat(at) - clock.real()

    async def settle(self, without: tuple[str, ...] = ("issue", "waiting")) -> None:
        await self.world.stage.settle(without)

    async def let_platform_be_asked(self) -> None:
        """Real time passes, business time does not: pauses between queries end."""
        for _ in range(6):
            clock = self.world.stage.clock
            clock.advance(3600)
            clock.offset -= timedelta(hours=1)
            await self.settle(without=())

    # names of the example

    def id_of(self, event: Event) -> int:
        return self.played.accounts[event["account"]]

    def account_names(self) -> dict[int, str]:
        return {number: name for name, number in self.played.accounts.items()}

    def request_names(self) -> dict[int, str]:
        return {number: name for name, (_, number) in self.request_ids.items()}

    async def parts(self, account_id: int, request_id: int) -> list[dict[str, Any]]:
        query = "SELECT * FROM part WHERE account_id = $1 AND request_id = $2 ORDER BY part_no"
        return await self.world.rows("invoicing", query, account_id, request_id)
