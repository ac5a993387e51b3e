"""The platform's storage for one process's life: simulation and worked examples."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from deploy.sandbox.tax_platform.core import Quota
from deploy.sandbox.tax_platform.records import Form, Task


class Memory:
    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.rows: list[dict[str, Any]] = []
        self.quotas: dict[tuple[str, str], Quota] = {}
        self.forms: dict[str, Form] = {}
        self._serials: dict[str, str] = {}
        self._number = 0
        self._form = 0

    def get(self, serial: str) -> Task | None:
        return self.tasks.get(serial)

    def put(self, task: Task) -> None:
        self.tasks[task.serial] = task
        if task.number:
            self._serials[task.number] = task.serial

    def issued(self, number: str) -> Task | None:
        return self.tasks.get(self._serials.get(number, ""))

    def due(self, now: datetime) -> list[Task]:
        return [task for task in self.tasks.values() if task.state == "processing" and task.due_at <= now]

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def form(self, number: str) -> Form | None:
        return self.forms.get(number)

    def put_form(self, form: Form) -> None:
        self.forms[form.number] = form

    def forms_over(self, blue_number: str) -> list[Form]:
        return [form for form in self.forms.values() if form.blue_number == blue_number]

    def due_forms(self, now: datetime) -> list[Form]:
        return [form for form in self.forms.values() if form.then and form.due_at <= now]

    def next_form(self) -> int:
        self._form += 1
        return self._form

    def quota(self, tax_id: str, month: str) -> Quota:
        return replace(self.quotas.get((tax_id, month), Quota()))

    def put_quota(self, tax_id: str, month: str, quota: Quota) -> None:
        self.quotas[tax_id, month] = quota

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
