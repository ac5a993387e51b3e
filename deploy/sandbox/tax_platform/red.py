"""Red invoices: full reversals of blue ones, each issued once seller and buyer have confirmed a red confirmation form over it.

When its form has died, another draft may be submitted under the same serial, so that at most one red invoice ever comes of a serial. Red
invoices use no quota.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from deploy.sandbox.tax_platform.checks import (
    FORM_NUMBER,
    RED_TRIGGERS,
    TAX_NUMBER,
    malformed_red,
    trigger_of,
    wrong_red,
)
from deploy.sandbox.tax_platform.records import (
    SHANGHAI,
    Answer,
    Form,
    Task,
    answer_about_form,
    digest_of,
    issue,
    number_of,
    rejected,
)

BUYER_HOURS = 72
STEPS_MAX = 2
"""What a form does by itself before it ends: confirmed, then issued."""

NOBODY_CONFIRMS, AWAITS_BUYER, AWAITS_SELLER, BOTH_CONFIRMED, REFUSED, EXPIRED = "01", "02", "03", "04", "05", "07"
CONFIRMED = (NOBODY_CONFIRMS, BOTH_CONFIRMED)
DEAD = tuple(f"{code:02d}" for code in range(5, 14))
FORM_STATES = (*CONFIRMED, AWAITS_BUYER, AWAITS_SELLER, *DEAD)


class RedStorage(Protocol):
    """Durable once a method returns."""

    def get(self, serial: str) -> Task | None: ...

    def put(self, task: Task) -> None: ...

    def issued(self, number: str) -> Task | None:
        """The issued invoice of that number, blue or red."""
        ...

    def next_number(self) -> int: ...

    def form(self, number: str) -> Form | None: ...

    def put_form(self, form: Form) -> None: ...

    def forms_over(self, blue_number: str) -> list[Form]: ...

    def due_forms(self, now: datetime) -> list[Form]: ...

    def next_form(self) -> int: ...

    def log(self, row: dict[str, Any]) -> None: ...


class RedInvoices:
    """The red invoices of a platform; `ended` is the platform's list of serials that came to an end."""

    def __init__(
        self, storage: RedStorage, now: Callable[[], datetime], issue_delay_seconds: float, ended: list[str]
    ) -> None:
        self._storage = storage
        self._now = now
        self._delay = timedelta(seconds=issue_delay_seconds)
        self._ended = ended

    def submit(self, draft: object) -> Answer:
        broken = malformed_red(draft)
        if broken is not None:
            return rejected(*broken)
        assert isinstance(draft, dict)
        serial, digest = draft["serial"], digest_of(draft)
        known = self._storage.get(serial)
        if known is not None and not self._is_free(known):
            if known.digest == digest:
                return {"state": "duplicate"}
            return rejected("SERIAL_REUSED", f"serial {serial} was used for another order")
        blue = self._storage.issued(draft["blue_number"])
        if blue is None or blue.of or blue.seller_tax_id != draft["seller_tax_id"]:
            return rejected("BLUE_UNKNOWN", f"{draft['seller_tax_id']} has issued no invoice {draft['blue_number']}")
        refused = self._refusal(draft, blue)
        if refused is not None:
            return refused
        form = self._buyers_form(draft) if draft["form_number"] else self._sellers_form(draft, blue)
        amounts = (draft["gross_fen"], draft["net_fen"], draft["tax_fen"])
        task = Task(serial, digest, blue.seller_tax_id, *amounts, "", "form", self._now(), kind=blue.kind)
        task.of, task.form_number = blue.number, form.number
        self._storage.put(task)
        return {"state": "accepted"}

    def enter(self, blue_number: str, form_number: str, gross_fen: int, state: str) -> Answer:
        """A form that the buyer enters. It changes only when somebody changes it."""
        if not TAX_NUMBER.fullmatch(blue_number) or not FORM_NUMBER.fullmatch(form_number) or state not in FORM_STATES:
            return rejected("FORMAT", f"no form {form_number!r} in state {state!r} over {blue_number!r} can be")
        if self._storage.form(form_number) is not None:
            return rejected("RED_FORM_KNOWN", f"there is a form {form_number} already")
        form = Form(form_number, blue_number, gross_fen, state, self._now())
        self._storage.put_form(form)
        return answer_about_form(form)

    def set(self, form_number: str, state: str) -> Answer:
        """As the buyer, the seller or the bureau does. A form that has ended stays as it is; the answer says which state it has."""
        if state not in FORM_STATES:
            return rejected("FORMAT", f"no form can be in state {state!r}")
        form = self._storage.form(form_number)
        if form is None:
            return {"state": "not_found"}
        task = self._storage.get(form.serial)
        if state != form.state and form.state not in DEAD and (task is None or task.state != "issued"):
            self._change(form, state, self._now())
        return answer_about_form(form)

    def form(self, task: Task) -> Form:
        form = self._storage.form(task.form_number)
        assert form is not None
        return form

    def settle(self) -> None:
        """Change the forms and issue the red invoices that are due."""
        for _ in range(STEPS_MAX):
            for form in self._storage.due_forms(self._now()):
                if form.then == "issued":
                    self.finish(form.serial)
                else:
                    self._change(form, form.then, form.due_at)

    def finish(self, serial: str, number: str = "") -> None:
        """Issue the red invoice of a form that lives, once, whoever has not confirmed it yet. A given number is used as it is."""
        task = self._storage.get(serial)
        if task is None or self._is_free(task) or task.state == "issued":
            return
        form, now = self.form(task), self._now()
        form.state = form.state if form.state in CONFIRMED else BOTH_CONFIRMED
        form.then = ""
        self._storage.put_form(form)
        self._storage.log(issue(task, now, number or number_of(task, now, self._storage.next_number())))
        self._storage.put(task)
        self._ended.append(serial)

    def _is_free(self, task: Task) -> bool:
        """Its form has died, so another draft may come under the serial."""
        return task.state == "form" and self.form(task).state in DEAD

    def _refusal(self, draft: dict[str, Any], blue: Task) -> Answer | None:
        """The first broken rule between this draft, its blue invoice and the forms over it."""
        found = wrong_red(draft, (blue.gross_fen, blue.net_fen, blue.tax_fen))
        if found is not None:
            return rejected(*found)
        for other in self._storage.forms_over(blue.number):
            if other.serial and other.state not in DEAD:
                return rejected("BLUE_ALREADY_RED", f"invoice {blue.number} has the red order {other.serial}")
        number = draft["form_number"]
        form = self._storage.form(number) if number else None
        if number and (form is None or form.blue_number != blue.number):
            return rejected("RED_FORM_UNKNOWN", f"there is no form {number} over invoice {blue.number}")
        if form is not None and form.state in DEAD:
            return rejected("RED_FORM_DEAD", f"form {number} is void, in state {form.state}")
        if form is not None and form.gross_fen != -blue.gross_fen:
            sums = f"{form.gross_fen} fen, invoice {blue.number} for {blue.gross_fen} fen"
            return rejected("RED_FORM_AMOUNT_MISMATCH", f"form {number} is for {sums}")
        return None

    def _buyers_form(self, draft: dict[str, Any]) -> Form:
        """The buyer's form: the seller confirms it by naming it. One that waits for the buyer goes on waiting."""
        form = self._storage.form(draft["form_number"])
        assert form is not None
        form.serial = draft["serial"]
        self._change(form, AWAITS_BUYER if form.state == AWAITS_BUYER else BOTH_CONFIRMED, self._now())
        return form

    def _sellers_form(self, draft: dict[str, Any], blue: Task) -> Form:
        """The seller's form, entered now: nobody has to confirm it, unless a trigger says that the buyer has to."""
        now = self._now()
        number = f"{blue.seller_tax_id[2:4]}{now.astimezone(SHANGHAI):%y%m%d}{self._storage.next_form():012d}"
        assert self._storage.form(number) is None, number
        buyer_has_to = {
            "BUYER_TICKED": (EXPIRED, timedelta(hours=BUYER_HOURS)),
            "BUYER_BOOKED": (EXPIRED, timedelta(hours=BUYER_HOURS)),
            "BUYER_REFUSES": (REFUSED, self._delay),
            "BUYER_CONFIRMS": (BOTH_CONFIRMED, self._delay),
        }
        trigger = trigger_of(draft, RED_TRIGGERS) or blue.red_trigger
        then, pause = buyer_has_to.get(trigger, ("issued", self._delay))
        state = AWAITS_BUYER if trigger else NOBODY_CONFIRMS
        form = Form(number, blue.number, -blue.gross_fen, state, now + pause, draft["serial"], then)
        self._storage.put_form(form)
        return form

    def _change(self, form: Form, state: str, at: datetime) -> None:
        form.state = state
        form.then = "issued" if form.serial and state in CONFIRMED else ""
        form.due_at = at + self._delay
        self._storage.put_form(form)
        if form.serial and state in DEAD:
            self._ended.append(form.serial)
