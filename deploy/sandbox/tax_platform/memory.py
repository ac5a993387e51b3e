"""The platform's storage for one process's life: simulation and worked examples."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from deploy.sandbox.tax_platform.core import Quota, Task


class Memory:
    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.rows: list[dict[str, Any]] = []
        self.quotas: dict[tuple[str, str], Quota] = {}
        self._number = 0

    def get(self, serial: str) -> Task | None:
        return self.tasks.get(serial)

    def put(self, task: Task) -> None:
        self.tasks[task.serial] = task

    def due(self, now: datetime) -> list[Task]:
        return [task for task in self.tasks.values() if task.state == "processing" and task.due_at <= now]

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def quota(self, tax_id: str, month: str) -> Quota:
        return replace(self.quotas.get((tax_id, month), Quota()))

    def put_quota(self, tax_id: str, month: str, quota: Quota) -> None:
        self.quotas[tax_id, month] = quota

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
