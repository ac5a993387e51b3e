"""What the platform decides, without protocol and storage: the same serial gets the same answer, a dead serial stays dead.

Triggers for tests stand in the buyer's name: FAIL_BUYER_TAXNO (refused later, for good), SLOW (stays in work for a day),
AMOUNT_SHIFT (issues another amount).
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
SPECIMEN = "SPECIMEN 样张"
SLOW_SECONDS = 26 * 3600.0
LINE_TOLERANCE, SUM_TOLERANCE = 600, 12_700  # hundredths of a fen

Answer = dict[str, Any]


@dataclass
class Task:
    """What became of one serial. `due_at` is when it will be issued or refused."""

    serial: str
    digest: str
    seller_tax_id: str
    gross_fen: int
    net_fen: int
    tax_fen: int
    trigger: str
    state: str
    due_at: datetime
    number: str = ""
    issued_at: str = ""
    code: str = ""
    text: str = ""


class Storage(Protocol):
    """Durable once a method returns."""

    def get(self, serial: str) -> Task | None: ...

    def put(self, task: Task) -> None: ...

    def due(self, now: datetime) -> list[Task]: ...

    def next_number(self) -> int: ...

    def log(self, row: dict[str, Any]) -> None: ...


class Platform:
    def __init__(self, storage: Storage, now: Callable[[], datetime], issue_delay_seconds: float) -> None:
        self._storage = storage
        self._now = now
        self._delay = issue_delay_seconds

    def submit(self, order: dict[str, Any]) -> Answer:
        answer = self._submit(order)
        self._log_call("submit", str(order.get("serial")), answer)
        return answer

    def query(self, serial: str) -> Answer:
        self.settle()
        task = self._storage.get(serial)
        answer = {"state": "not_found"} if task is None else _told(task)
        self._log_call("query", serial, answer)
        return answer

    def cancel(self, serial: str) -> Answer:
        """An accepted cancel ends what is still in work; an issued document stays."""
        self.settle()
        task = self._storage.get(serial)
        if task is not None and task.state == "processing":
            task.state = "cancelled"
            self._storage.put(task)
        answer = {"state": "accepted" if task is not None and task.state == "cancelled" else "too_late"}
        self._log_call("cancel", serial, answer)
        return answer

    def settle(self) -> None:
        """Issue or refuse what is due."""
        for task in self._storage.due(self._now()):
            self.finish(task.serial, "failed" if task.trigger == "FAIL_BUYER_TAXNO" else "issued")

    def finish(
        self, serial: str, state: str, code: str = "BUYER_TAX_ID", text: str = "购方税号有误", number: str = ""
    ) -> None:
        """Bring one serial to its end, once. A given number is used as it is."""
        task = self._storage.get(serial)
        if task is None or task.state != "processing":
            return
        task.state = state
        if state == "failed":
            task.code, task.text = code, text
        if state == "issued":
            now = self._now().astimezone(SHANGHAI)
            task.issued_at = now.isoformat()
            task.number = number or f"{now:%y}{task.seller_tax_id[2:4]}2{self._storage.next_number():015d}"
            if task.trigger == "AMOUNT_SHIFT":
                task.gross_fen, task.net_fen = task.gross_fen + 1, task.net_fen + 1
            amounts = {"gross_fen": task.gross_fen, "net_fen": task.net_fen, "tax_fen": task.tax_fen}
            self._storage.log(
                {"event": "issued", "serial": serial, "number": task.number, **amounts, "at": task.issued_at}
            )
        self._storage.put(task)

    def _submit(self, order: dict[str, Any]) -> Answer:
        serial, digest = str(order["serial"]), _digest(order)
        known = self._storage.get(serial)
        if known is not None:
            same = known.digest == digest
            return (
                {"state": "duplicate"}
                if same
                else _rejected("SERIAL_REUSED", f"serial {serial} was used for another order")
            )
        wrong = _wrong(order)
        if wrong is not None:
            return wrong
        buyer = order["buyer"]["name"]
        trigger = next((name for name in ("FAIL_BUYER_TAXNO", "SLOW", "AMOUNT_SHIFT") if name in buyer), "")
        delay = SLOW_SECONDS if trigger == "SLOW" else self._delay
        amounts = (order["gross_fen"], order["net_fen"], order["tax_fen"])
        due_at = self._now() + timedelta(seconds=delay)
        self._storage.put(Task(serial, digest, order["seller"]["tax_id"], *amounts, trigger, "processing", due_at))
        return {"state": "accepted"}

    def _log_call(self, call: str, serial: str, answer: Answer) -> None:
        row = {
            "event": "call",
            "call": call,
            "serial": serial,
            "answer": answer["state"],
            "at": self._now().isoformat(),
        }
        self._storage.log(row)


def _told(task: Task) -> Answer:
    if task.state == "issued":
        qr = f"{SPECIMEN},01,{'32'},,{task.number},{task.gross_fen / 100:.2f},{task.issued_at[:10].replace('-', '')},,"
        names = ("number", "issued_at", "gross_fen", "net_fen", "tax_fen")
        return {"state": "issued", "qr": qr, "specimen": True} | {name: getattr(task, name) for name in names}
    if task.state == "failed":
        return {"state": "failed", "code": task.code, "text": task.text, "serial_dead": True}
    return {"state": task.state}


def _wrong(order: dict[str, Any]) -> Answer | None:
    """What every provider checks before it takes an order."""
    lines = order["lines"]
    if order["net_fen"] + order["tax_fen"] != order["gross_fen"]:
        return _rejected("TOTALS", "net and tax do not sum to gross")
    if (sum(line["net_fen"] for line in lines), sum(line["tax_fen"] for line in lines)) != (
        order["net_fen"],
        order["tax_fen"],
    ):
        return _rejected("TOTALS", "the header is not the sum of the lines")
    errors = [abs(line["net_fen"] * line["tax_percent"] - line["tax_fen"] * 100) for line in lines]
    if max(errors) > LINE_TOLERANCE or sum(errors) > SUM_TOLERANCE:
        return _rejected("TOLERANCE", "a line's tax is not its net times the rate")
    if order["kind"] == "special" and not order["buyer"]["tax_id"]:
        return _rejected("BUYER_TAX_ID", "a special invoice needs the buyer's tax id")
    try:
        json.dumps(order, ensure_ascii=False).encode("gbk")
    except UnicodeEncodeError as error:
        return _rejected("CHARACTER", f"{error.object[error.start]} cannot be printed")
    return None


def _rejected(code: str, text: str) -> Answer:
    return {"state": "rejected", "code": code, "text": text}


def _digest(order: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(order, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Memory:
    """Storage for one process's life: simulation and worked examples."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.rows: list[dict[str, Any]] = []
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

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


def as_row(task: Task) -> str:
    return json.dumps(asdict(task) | {"due_at": task.due_at.isoformat()}, ensure_ascii=False)


def from_row(text: str) -> Task:
    values = json.loads(text)
    return Task(**values | {"due_at": datetime.fromisoformat(values["due_at"])})
