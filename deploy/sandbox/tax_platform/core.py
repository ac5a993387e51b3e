"""What the platform decides, without protocol and storage: the same serial gets the same answer, a dead serial stays dead.

Triggers for tests stand in the buyer's name or tax id or in the remark: FAIL_BUYER_TAXNO (refused later, for good), SLOW (stays
in work for a day), AMOUNT_SHIFT (issues another amount), CANCEL_LOSE (no cancel comes in time), CANCEL_ACK_BUT_ISSUED (a cancel is
acknowledged and the document comes all the same), TIMEOUT_LOST (the first submission never arrives), TIMEOUT_ISSUED (it arrives,
its answer does not).
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from deploy.sandbox.tax_platform.checks import malformed, wrong

SHANGHAI = ZoneInfo("Asia/Shanghai")
SPECIMEN = "SPECIMEN 样张"
SLOW_SECONDS = 26 * 3600.0
AMPLE_FEN = 10**15
KIND_CODES = {"special": "31", "general": "32"}
TRIGGERS = (
    "FAIL_BUYER_TAXNO",
    "SLOW",
    "AMOUNT_SHIFT",
    "CANCEL_LOSE",
    "CANCEL_ACK_BUT_ISSUED",
    "TIMEOUT_LOST",
    "TIMEOUT_ISSUED",
)

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
    kind: str = "general"
    month: str = ""
    """In which it was accepted; of tasks from before there were quotas, none."""

    asked_net_fen: int = 0


@dataclass
class Quota:
    """Of a seller in a month, tax not included: what it may issue, what is issued, and what is accepted and not issued yet."""

    limit_net_fen: int = AMPLE_FEN
    used_net_fen: int = 0
    accepted_net_fen: int = 0

    @property
    def left_net_fen(self) -> int:
        return self.limit_net_fen - self.used_net_fen - self.accepted_net_fen


class Storage(Protocol):
    """Durable once a method returns."""

    def get(self, serial: str) -> Task | None: ...

    def put(self, task: Task) -> None: ...

    def due(self, now: datetime) -> list[Task]: ...

    def next_number(self) -> int: ...

    def quota(self, tax_id: str, month: str) -> Quota: ...

    def put_quota(self, tax_id: str, month: str, quota: Quota) -> None: ...

    def log(self, row: dict[str, Any]) -> None: ...


class Platform:
    def __init__(self, storage: Storage, now: Callable[[], datetime], issue_delay_seconds: float) -> None:
        self._storage = storage
        self._now = now
        self._delay = issue_delay_seconds
        self._lost: set[str] = set()
        self.ended: list[str] = []
        """Serials that came to an end and whose callers were not told yet. Forgotten in a crash: callers ask anyway."""

    def wire_fault(self, order: object) -> str:
        """What a trigger does to the way here or back: "", "lose_request" or "lose_answer". Asked once for each submission."""
        trigger = trigger_of(order)
        if not isinstance(order, dict) or trigger not in ("TIMEOUT_LOST", "TIMEOUT_ISSUED"):
            return ""
        serial = str(order.get("serial"))
        if serial in self._lost:
            return ""
        self._lost.add(serial)
        return "lose_request" if trigger == "TIMEOUT_LOST" else "lose_answer"

    def submit(self, order: object) -> Answer:
        answer = self._submit(order)
        self._log_call("submit", str(order.get("serial", "")) if isinstance(order, dict) else "", answer)
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
        taken = task is not None and task.state == "processing" and task.trigger != "CANCEL_LOSE"
        if task is not None and taken and task.trigger != "CANCEL_ACK_BUT_ISSUED":
            task.state = "cancelled"
            self._storage.put(task)
            self._count(task, 0)
            self.ended.append(serial)
        ended = task is not None and task.state == "cancelled"
        answer = {"state": "accepted" if taken or ended else "too_late"}
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
        self._count(task, task.net_fen if state == "issued" else 0)
        self.ended.append(serial)

    def quota(self, tax_id: str, month: str) -> Answer:
        self.settle()
        quota = self._storage.quota(tax_id, month)
        return {"state": "quota", "limit_net_fen": quota.limit_net_fen, "used_net_fen": quota.used_net_fen}

    def set_quota(self, tax_id: str, month: str, limit_net_fen: int, used_net_fen: int) -> None:
        """As the tax bureau does it, whatever the seller issues here."""
        quota = self._storage.quota(tax_id, month)
        self._storage.put_quota(tax_id, month, Quota(limit_net_fen, used_net_fen, quota.accepted_net_fen))

    def _count(self, task: Task, issued_net_fen: int) -> None:
        """What was accepted has come to an end; what is issued counts in this month, whenever it was accepted."""
        if task.month:
            accepted = self._storage.quota(task.seller_tax_id, task.month)
            accepted.accepted_net_fen -= task.asked_net_fen
            self._storage.put_quota(task.seller_tax_id, task.month, accepted)
        month = self._month()
        used = self._storage.quota(task.seller_tax_id, month)
        used.used_net_fen += issued_net_fen
        self._storage.put_quota(task.seller_tax_id, month, used)

    def _month(self) -> str:
        return f"{self._now().astimezone(SHANGHAI):%Y%m}"

    def _submit(self, order: object) -> Answer:
        broken = malformed(order)
        if broken is not None:
            return _rejected(*broken)
        assert isinstance(order, dict)
        serial, digest = order["serial"], _digest(order)
        known = self._storage.get(serial)
        if known is not None and known.digest == digest:
            return {"state": "duplicate"}
        if known is not None:
            return _rejected("SERIAL_REUSED", f"serial {serial} was used for another order")
        found = wrong(order)
        if found is not None:
            return _rejected(*found)
        seller, month = order["seller"]["tax_id"], self._month()
        quota = self._storage.quota(seller, month)
        if order["net_fen"] > quota.left_net_fen:
            left = max(quota.left_net_fen, 0)
            return _rejected(
                "QUOTA_EXCEEDED", f"{seller} may issue {left} fen more in {month}, this is {order['net_fen']}"
            )
        quota.accepted_net_fen += order["net_fen"]
        self._storage.put_quota(seller, month, quota)
        trigger = trigger_of(order)
        delay = SLOW_SECONDS if trigger == "SLOW" else self._delay
        amounts = (order["gross_fen"], order["net_fen"], order["tax_fen"])
        due_at = self._now() + timedelta(seconds=delay)
        more = {"kind": order["kind"], "month": month, "asked_net_fen": order["net_fen"]}
        self._storage.put(Task(serial, digest, seller, *amounts, trigger, "processing", due_at, **more))
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


def trigger_of(order: object) -> str:
    """The first trigger that stands where customers write."""
    if not isinstance(order, dict):
        return ""
    buyer = order.get("buyer")
    written = [order.get("remark"), *([buyer.get("name"), buyer.get("tax_id")] if isinstance(buyer, dict) else [])]
    text = " ".join(map(str, written))
    return next((trigger for trigger in TRIGGERS if trigger in text), "")


def _told(task: Task) -> Answer:
    if task.state == "issued":
        day, code = task.issued_at[:10].replace("-", ""), KIND_CODES[task.kind]
        qr = f"{SPECIMEN},01,{code},,{task.number},{task.gross_fen // 100}.{task.gross_fen % 100:02d},{day},,"
        names = ("number", "issued_at", "gross_fen", "net_fen", "tax_fen")
        return {"state": "issued", "qr": qr, "specimen": True} | {name: getattr(task, name) for name in names}
    if task.state == "failed":
        return {"state": "failed", "code": task.code, "text": task.text, "serial_dead": True}
    return {"state": task.state}


def _rejected(code: str, text: str) -> Answer:
    return {"state": "rejected", "code": code, "text": text}


def _digest(order: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(order, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def as_row(task: Task) -> str:
    return json.dumps(asdict(task) | {"due_at": task.due_at.isoformat()}, ensure_ascii=False)


def from_row(text: str) -> Task:
    values = json.loads(text)
    return Task(**values | {"due_at": datetime.fromisoformat(values["due_at"])})
