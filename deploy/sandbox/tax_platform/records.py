"""What the platform remembers of a serial and of a red confirmation form, and what it answers about them."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
SPECIMEN = "SPECIMEN 样张"
KIND_CODES = {"special": "31", "general": "32"}

Answer = dict[str, Any]


@dataclass
class Task:
    """What became of one serial. `due_at`: when a blue invoice will be issued or refused. A red one has negative amounts, names the blue
    one it is `of`, and its form says when it is issued.
    """

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
    """In which it was accepted; empty in tasks that were stored before there were quotas."""

    asked_net_fen: int = 0
    red_trigger: str = ""
    """What its buyer does when the seller enters a red confirmation form over it."""

    of: str = ""
    form_number: str = ""


@dataclass
class Form:
    """A red confirmation form, entered by the seller or the buyer, for a negative amount.

    `serial`: of the red invoice that will be issued by it, if one was asked for. `then`: the state it has from `due_at` on; "issued": its
    red invoice is issued then; "": it changes only when somebody changes it.
    """

    number: str
    blue_number: str
    gross_fen: int
    state: str
    due_at: datetime
    serial: str = ""
    then: str = ""


def issue(task: Task, now: datetime, number: str) -> dict[str, Any]:
    """Makes the task an issued invoice; answers the row for the log."""
    task.state, task.number, task.issued_at = "issued", number, now.astimezone(SHANGHAI).isoformat()
    amounts = {"gross_fen": task.gross_fen, "net_fen": task.net_fen, "tax_fen": task.tax_fen}
    row = {"event": "issued", "serial": task.serial, "number": number, **amounts, "at": task.issued_at}
    return row | ({"of": task.of} if task.of else {})


def number_of(task: Task, now: datetime, count: int) -> str:
    """Twenty digits: the year, the region of the seller, the channel, a count."""
    return f"{now.astimezone(SHANGHAI):%y}{task.seller_tax_id[2:4]}2{count:015d}"


def answer_about(task: Task) -> Answer:
    """About a blue invoice, or a red one that is issued."""
    if task.state == "issued":
        day, code = task.issued_at[:10].replace("-", ""), KIND_CODES[task.kind]
        qr = f"{SPECIMEN},01,{code},,{task.number},{_yuan(task.gross_fen)},{day},,"
        names = ("number", "issued_at", "gross_fen", "net_fen", "tax_fen")
        return {"state": "issued", "qr": qr, "specimen": True} | {name: getattr(task, name) for name in names}
    if task.state == "failed":
        return {"state": "failed", "code": task.code, "text": task.text, "serial_dead": True}
    return {"state": task.state}


def answer_about_form(form: Form) -> Answer:
    return {"state": "form", "form_number": form.number, "form_state": form.state}


def rejected(code: str, text: str) -> Answer:
    return {"state": "rejected", "code": code, "text": text}


def digest_of(draft: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(draft, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def as_row(record: Task | Form) -> str:
    return json.dumps(asdict(record) | {"due_at": record.due_at.isoformat()}, ensure_ascii=False)


def task_from(row: str) -> Task:
    return Task(**_values(row))


def form_from(row: str) -> Form:
    return Form(**_values(row))


def _values(row: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(row)
    return values | {"due_at": datetime.fromisoformat(values["due_at"])}


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
