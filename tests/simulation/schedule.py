"""Which action comes next: one is drawn for each step, some more often than others."""

from collections.abc import Awaitable, Callable

from tests.simulation.outside import Outside
from tests.simulation.processes import Processes
from tests.simulation.scene import Scene

Weighted = list[tuple[int, Callable[[], Awaitable[None]]]]


class Schedule:
    def __init__(self, scene: Scene, processes: Processes, outside: Outside) -> None:
        self.scene = scene
        self.inputs: Weighted = [
            (5, outside.bill),
            (7, outside.request),
            (1, outside.cancel),
            (2, outside.repeat_event),
            (1, outside.overlap),
            (1, outside.grant),
        ]
        self.credits: Weighted = [(12, outside.credit), (5, outside.form)]
        self.processes: Weighted = [
            (30, processes.deliver),
            (20, processes.relay),
            (22, processes.claim),
            (28, processes.progress),
            (3, outside.call_back),
            (6, processes.pass_time),
            (2, processes.rewind),
            (1, processes.kill),
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
