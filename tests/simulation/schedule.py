"""Which action comes next: one is drawn for each step, some more often than others."""

from collections.abc import Awaitable, Callable

from tests.simulation.operators import Operators
from tests.simulation.outside import Outside
from tests.simulation.processes import Processes
from tests.simulation.races import Races
from tests.simulation.scene import Scene
from tests.simulation.upstream import Upstream

Weighted = list[tuple[int, Callable[[], Awaitable[None]]]]


class Schedule:
    def __init__(
        self,
        scene: Scene,
        processes: Processes,
        races: Races,
        upstream: Upstream,
        outside: Outside,
        operators: Operators,
    ) -> None:
        self.scene = scene
        self.inputs: Weighted = [
            (100, upstream.fact),
            (140, outside.request),
            (10, outside.cancel),
            (20, upstream.repeat),
            (10, outside.overlap),
            (10, outside.grant),
            (4, upstream.for_others),
            (8, upstream.early),
            (60, upstream.spoil),
            (8, upstream.contradict),
        ]
        self.credits: Weighted = [(120, outside.credit), (50, outside.form)]
        self.processes: Weighted = [
            (300, processes.deliver),
            (160, processes.relay),
            (220, processes.claim),
            (280, processes.progress),
            (40, races.race),
            (30, outside.call_back),
            (60, processes.pass_time),
            (20, processes.rewind),
            (20, processes.slow_relay),
            (12, processes.rebalance),
            (12, races.loop),
            (30, operators.look),
            (35, operators.ship_bug),
            (18, operators.mend),
            (8, processes.kill),
            (24, processes.lose_offset),
            (6, races.end),
            (4, operators.forge),
            (3, processes.made_anew),
            (2, operators.lost),
            (8, operators.ask_how_it_is),
        ]

    async def busy(self, steps: int) -> None:
        """People and upstream do things, while processes work."""
        await self._steps(steps, self.inputs + self.processes)

    async def working(self, steps: int) -> None:
        """Only processes do things. They still go wrong."""
        await self._steps(steps, self.processes)

    async def crediting(self, steps: int) -> None:
        """As `working`, and invoices are credited."""
        await self._steps(steps, self.credits + self.processes)

    async def _steps(self, count: int, actions: Weighted) -> None:
        for _ in range(count):
            (action,) = self.scene.random.choices([one for _, one in actions], [weight for weight, _ in actions])
            await action()
            self.scene.result.steps += 1
