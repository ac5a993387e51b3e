"""What the platform decides, without protocol and storage: the same serial gets the same answer, a dead serial stays dead.

Tests ask for trouble by a trigger in the buyer's name or tax id, or in the remark:

FAIL_BUYER_TAXNO       accepted, and refused for good after the usual delay
SLOW                   stays in work for a day
AMOUNT_SHIFT           issued for another amount
CANCEL_LOSE            a cancel always comes too late
CANCEL_ACK_BUT_ISSUED  a cancel is accepted, and the invoice is issued all the same
TIMEOUT_LOST           the first submission never arrives
TIMEOUT_ISSUED         the first submission arrives, its answer does not

Four more say what the buyer does when the seller enters a red confirmation form; they may stand in the remark of the red draft too. Without
one of them nobody has to confirm the form. The blue invoice is issued like any other.

BUYER_TICKED, BUYER_BOOKED  has to confirm and does not: the form is void after 72 hours
BUYER_REFUSES               refuses it after the usual delay
BUYER_CONFIRMS              confirms it after the usual delay; the red invoice is issued after one more
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from deploy.sandbox.tax_platform.checks import RED_TRIGGERS, TRIGGERS, malformed, trigger_of, wrong
from deploy.sandbox.tax_platform.records import (
    SHANGHAI,
    Answer,
    Task,
    answer_about,
    answer_about_form,
    digest_of,
    issue,
    number_of,
    rejected,
)
from deploy.sandbox.tax_platform.red import RedInvoices, RedStorage

SLOW_SECONDS = 26 * 3600.0
AMPLE_FEN = 10**15


@dataclass
class Quota:
    """Of a seller in a month, without tax: what it may issue, what is issued, and what is accepted and not issued yet."""

    limit_net_fen: int = AMPLE_FEN
    used_net_fen: int = 0
    accepted_net_fen: int = 0

    @property
    def left_net_fen(self) -> int:
        return self.limit_net_fen - self.used_net_fen - self.accepted_net_fen


class Storage(RedStorage, Protocol):
    def due(self, now: datetime) -> list[Task]: ...

    def quota(self, tax_id: str, month: str) -> Quota: ...

    def put_quota(self, tax_id: str, month: str, quota: Quota) -> None: ...


class Platform:
    def __init__(self, storage: Storage, now: Callable[[], datetime], issue_delay_seconds: float) -> None:
        self._storage = storage
        self._now = now
        self._delay = issue_delay_seconds
        self._lost: set[str] = set()
        self.ended: list[str] = []
        """Serials that came to an end and whose callers were not called back yet. A crash forgets them: callers ask anyway."""
        self._red = RedInvoices(storage, now, issue_delay_seconds, self.ended)

    def wire_fault(self, draft: object) -> str:
        """What a trigger does to the request or its answer: "", "lose_request" or "lose_answer"; the first time only."""
        trigger = trigger_of(draft, TRIGGERS)
        if not isinstance(draft, dict) or trigger not in ("TIMEOUT_LOST", "TIMEOUT_ISSUED"):
            return ""
        serial = str(draft.get("serial"))
        if serial in self._lost:
            return ""
        self._lost.add(serial)
        return "lose_request" if trigger == "TIMEOUT_LOST" else "lose_answer"

    def submit(self, draft: object) -> Answer:
        answer = self._submit(draft)
        self._log_call("submit", _serial_of(draft), answer)
        return answer

    def submit_red(self, draft: object) -> Answer:
        self.settle()
        answer = self._red.submit(draft)
        self._log_call("submit", _serial_of(draft), answer)
        return answer

    def enter_form(self, blue_number: str, form_number: str, gross_fen: int, state: str = "03") -> Answer:
        """A red confirmation form that the buyer enters, for a negative amount."""
        return self._red.enter(blue_number, form_number, gross_fen, state)

    def set_form(self, form_number: str, state: str) -> Answer:
        """Changes the state of a form, whoever entered it: 01 and 04 confirm it, 05 to 13 end it."""
        self.settle()
        return self._red.set(form_number, state)

    def form_of(self, serial: str) -> str:
        """The number of the form by which a red invoice is issued; "" when there is none."""
        task = self._storage.get(serial)
        return "" if task is None else task.form_number

    def query(self, serial: str) -> Answer:
        self.settle()
        task = self._storage.get(serial)
        answer = {"state": "not_found"} if task is None else self._answer_about(task)
        self._log_call("query", serial, answer)
        return answer

    def cancel(self, serial: str) -> Answer:
        """An accepted cancel ends what is still in work; an issued invoice stays."""
        self.settle()
        task = self._storage.get(serial)
        in_time = task is not None and task.state == "processing" and task.trigger != "CANCEL_LOSE"
        if task is not None and in_time and task.trigger != "CANCEL_ACK_BUT_ISSUED":
            task.state = "cancelled"
            self._storage.put(task)
            self._count(task, 0)
            self.ended.append(serial)
        ended = task is not None and task.state == "cancelled"
        answer = {"state": "accepted" if in_time or ended else "too_late"}
        self._log_call("cancel", serial, answer)
        return answer

    def settle(self) -> None:
        """Issue or refuse what is due."""
        for task in self._storage.due(self._now()):
            self.finish(task.serial, "failed" if task.trigger == "FAIL_BUYER_TAXNO" else "issued")
        self._red.settle()

    def finish(
        self, serial: str, state: str, code: str = "BUYER_TAX_ID", text: str = "购方税号有误", number: str = ""
    ) -> None:
        """Bring one serial to its end, once. A given number is used as it is. A red invoice can only be issued; what fails is its form."""
        task = self._storage.get(serial)
        if task is not None and task.of:
            assert state == "issued", state
            self._red.finish(serial, number)
            return
        if task is None or task.state != "processing":
            return
        task.state = state
        if state == "failed":
            task.code, task.text = code, text
        if state == "issued":
            now = self._now()
            if task.trigger == "AMOUNT_SHIFT":
                task.gross_fen, task.net_fen = task.gross_fen + 1, task.net_fen + 1
            self._storage.log(issue(task, now, number or number_of(task, now, self._storage.next_number())))
        self._storage.put(task)
        self._count(task, task.net_fen if state == "issued" else 0)
        self.ended.append(serial)

    def quota(self, tax_id: str, month: str) -> Answer:
        self.settle()
        quota = self._storage.quota(tax_id, month)
        return {"state": "quota", "limit_net_fen": quota.limit_net_fen, "used_net_fen": quota.used_net_fen}

    def set_quota(self, tax_id: str, month: str, limit_net_fen: int, used_net_fen: int) -> None:
        """As the tax bureau does: what the seller has issued elsewhere is in `used_net_fen` too."""
        quota = self._storage.quota(tax_id, month)
        self._storage.put_quota(tax_id, month, Quota(limit_net_fen, used_net_fen, quota.accepted_net_fen))

    def _answer_about(self, task: Task) -> Answer:
        return answer_about_form(self._red.form(task)) if task.state == "form" else answer_about(task)

    def _count(self, task: Task, issued_net_fen: int) -> None:
        """What was accepted has come to its end; what is issued counts in the present month, whenever it was accepted."""
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

    def _submit(self, draft: object) -> Answer:
        broken = malformed(draft)
        if broken is not None:
            return rejected(*broken)
        assert isinstance(draft, dict)
        serial, digest = draft["serial"], digest_of(draft)
        known = self._storage.get(serial)
        if known is not None and known.digest == digest:
            return {"state": "duplicate"}
        if known is not None:
            return rejected("SERIAL_REUSED", f"serial {serial} was used for another order")
        found = wrong(draft)
        if found is not None:
            return rejected(*found)
        seller, month = draft["seller"]["tax_id"], self._month()
        quota = self._storage.quota(seller, month)
        if draft["net_fen"] > quota.left_net_fen:
            left = max(quota.left_net_fen, 0)
            return rejected(
                "QUOTA_EXCEEDED", f"{seller} may issue {left} fen more in {month}, this is {draft['net_fen']}"
            )
        quota.accepted_net_fen += draft["net_fen"]
        self._storage.put_quota(seller, month, quota)
        trigger = trigger_of(draft, TRIGGERS)
        delay = SLOW_SECONDS if trigger == "SLOW" else self._delay
        amounts = (draft["gross_fen"], draft["net_fen"], draft["tax_fen"])
        due_at = self._now() + timedelta(seconds=delay)
        more = {"kind": draft["kind"], "month": month, "asked_net_fen": draft["net_fen"]}
        more["red_trigger"] = trigger_of(draft, RED_TRIGGERS)
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


def _serial_of(draft: object) -> str:
    return str(draft.get("serial", "")) if isinstance(draft, dict) else ""
