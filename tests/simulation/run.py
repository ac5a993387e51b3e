"""One seed: a random story with random faults, then rest, then the invariants."""

from contextlib import nullcontext
from pathlib import Path

from deploy.verify.__main__ import violations
from tests.simulation.faults import FaultyDatabase, small_limits
from tests.simulation.operators import Operators
from tests.simulation.outside import Outside
from tests.simulation.processes import Processes
from tests.simulation.races import Races
from tests.simulation.scene import Result, Scene
from tests.simulation.schedule import Schedule
from tests.simulation.upstream import Upstream
from tests.support.databases import Databases

STEPS_BUSY = (100, 250)
STEPS_WORKING = 250
STEPS_CREDITING = 120
PAUSE_ROUNDS, PAUSE_SECONDS = 3, 130
REST_SECONDS = (30, 70, 120, 600, 600, 3600, 3600, 3600, 3600)


class Simulation:
    def __init__(self, seed: int) -> None:
        self.scene = Scene(seed)
        self.processes = Processes(self.scene)
        self.races = Races(self.scene, self.processes)
        self.upstream = Upstream(self.scene)
        self.outside = Outside(self.scene, self.processes, self.upstream, self.races)
        self.operators = Operators(self.scene, self.processes)
        self.schedule = Schedule(self.scene, self.processes, self.races, self.upstream, self.outside, self.operators)

    async def run(self, databases: Databases, folder: Path) -> Result:
        """Every other seed calls a reservation large that takes more than three items."""
        with small_limits() if self.scene.result.seed % 2 else nullcontext():
            return await self._run(databases, folder)

    async def _run(self, databases: Databases, folder: Path) -> Result:
        world, result = self.scene.world, self.scene.result
        await world.open(databases, folder, FaultyDatabase, self.scene.bugs.around)
        try:
            await self._story()
            await self._rest()
            result.violations = await violations(world)
        finally:
            await world.close()
        result.steps += self.scene.stage.moves
        result.invoices = sum(row["event"] == "issued" for row in world.platform_log)
        result.log_hash = self.scene.log.hexdigest()
        return result

    async def _story(self) -> None:
        await self.processes.open()
        await self.upstream.registrations()
        await self.schedule.busy(self.scene.random.randint(*STEPS_BUSY))
        await self.schedule.working(STEPS_WORKING)
        await self._pause()
        await self.schedule.crediting(STEPS_CREDITING)

    async def _pause(self) -> None:
        """Nothing goes wrong for a while: most invoices are issued."""
        self.scene.calm = True
        self.operators.mend_all()
        for _ in range(PAUSE_ROUNDS):
            await self.scene.stage.settle()
            self.scene.stage.clock.advance(PAUSE_SECONDS)
        await self.scene.stage.settle()
        self.scene.calm = False

    async def _rest(self) -> None:
        """Nothing goes wrong any more; workers that still live finish; time passes until nobody waits for anything."""
        self.scene.calm = True
        self.operators.mend_all()
        self.outside.grant_enough()
        await self.processes.finish()
        for seconds in REST_SECONDS:
            await self.scene.stage.settle()
            await self.operators.clear()
            self.scene.stage.clock.advance(seconds)
        self.scene.world.platform.settle()
        await self.scene.stage.settle()
