"""Credit notes over a real database: asked for once, tried under one serial for good, and what becomes of invoice and form."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import httpx2
import pytest

from deploy.demo.client import eventually
from services.invoicing.accounts.refusals import Refused
from services.invoicing.credit_notes import claims, handlers
from services.invoicing.credit_notes.intents import AcceptedCreditNote, CreditNoteIntent
from services.invoicing.credit_notes.rules import ClaimedCreditNote
from services.invoicing.invoice_files.printing import face
from services.invoicing.invoice_files.rules import FilesMade
from services.invoicing.submissions.rules import LEASE_SECONDS
from services.invoicing.tax_platforms.adapters.http_json.forms import form
from services.invoicing.tax_platforms.port import Accepted, Answer, Issued, NotFound, Rejected, Unknown
from shared.contracts.invoicing import CreditNoteFailed, InvoiceCredited, InvoiceFile, RedFormWaits
from shared.contracts.message import Message
from shared.contracts.titles import AccountStatusChanged
from shared.domain.identifiers import parse_serial
from tests.integration.invoicing.desk import CATALOGUE, KEYS, NOW, Desk, after, names
from tests.support.edge import TOKEN

pytestmark = pytest.mark.database

BLUE, RED = "26332000000000000001", "26332000000000000002"
ISSUED = Issued(BLUE, NOW, 106_000, 100_000, 6_000, "qr", specimen=True)
DOCUMENT = Issued(RED, NOW, -106_000, -100_000, -6_000, "qr", specimen=True)
LONG = 10 * LEASE_SECONDS
ASK = CreditNoteIntent(1, "c1", BLUE)


def at(api: str) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "web-1"}
    return httpx2.AsyncClient(base_url=f"{api}/accounts/1", headers=headers)


class Credits:
    """Credit notes at the desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def asked(self, ask: CreditNoteIntent = ASK) -> tuple[AcceptedCreditNote | Refused, list[Message]]:
        """With the rights of whoever acts for a customer."""
        async with self.desk.database.transaction(account_id=ask.account_id) as db:
            return await handlers.request_credit_note(ask, db, NOW)

    async def refusal(self, ask: CreditNoteIntent = ASK) -> str:
        answer, messages = await self.asked(ask)
        assert isinstance(answer, Refused), answer
        assert messages == []
        return answer.code

    async def claim(self, seconds: float = LONG) -> ClaimedCreditNote | None:
        async with self.desk.database.transaction() as db:
            return await claims.claim_due(db, after(seconds), after(seconds))

    async def claimed(self, seconds: float = LONG) -> ClaimedCreditNote:
        credit = await self.claim(seconds)
        assert credit is not None
        return credit

    async def came(self, credit: ClaimedCreditNote, answer: Answer) -> list[Message]:
        async with self.desk.database.transaction() as db:
            return await handlers.credit_note_answered(credit, answer, db, NOW)

    async def heard(self, *answers: Answer, start: int = 1) -> tuple[list[str], list[Message]]:
        """What a worker does, one due step after another, when it hears these answers; and what is told at the last."""
        steps, told = list[str](), list[Message]()
        for number, answer in enumerate(answers, start):
            credit = await self.claimed(number * LONG)
            steps.append(credit.step)
            told = await self.came(credit, answer)
        return steps, told

    async def rows(self) -> Sequence[dict[str, object]]:
        return await self.desk.rows("SELECT * FROM credit_note ORDER BY credit_note_id")

    async def statuses(self) -> list[object]:
        return [row["status"] for row in await self.rows()]


@pytest.fixture
async def credits_(desk: Desk) -> Credits:
    """One issued invoice."""
    await desk.queued_part()
    await desk.came(await desk.claimed(), ISSUED)
    return Credits(desk)


async def test_from_the_wish_over_the_form_to_the_red_invoice(credits_: Credits) -> None:
    answer, messages = await credits_.asked()
    assert isinstance(answer, AcceptedCreditNote)
    assert names(messages) == ["CreditNoteRequested"]
    steps, told = await credits_.heard(Accepted(), form("F1", "01"), DOCUMENT)
    assert steps == ["submit", "query", "query"]
    (fact,) = told
    assert isinstance(fact, InvoiceCredited)
    assert (fact.number, fact.red_number, fact.gross_fen, fact.shares[0].amount_fen) == (BLUE, RED, 106_000, 106_000)
    (row,) = await credits_.rows()
    assert (row["status"], row["number"], row["form_number"]) == ("issued", RED, "F1")
    assert await credits_.desk.rows("SELECT FROM issued_number") != []
    assert (await credits_.desk.part())["status"] == "issued"
    assert await credits_.claim(100 * LONG) is None


async def test_what_is_asked_of_the_platform_mirrors_the_blue_invoice_under_a_serial_of_its_own(
    credits_: Credits,
) -> None:
    await credits_.asked(replace(ASK, form_number="F7", remark="退货"))
    credit = await credits_.claimed()
    part = await credits_.desk.part()
    assert (credit.gross_fen, credit.net_fen, credit.tax_fen) == (-106_000, -100_000, -6_000)
    assert (credit.blue_number, credit.requested_form_number, credit.remark) == (BLUE, "F7", "退货")
    serial = parse_serial(credit.serial)
    assert serial is not None
    assert (serial.kind, serial.part_id) == ("R", part["part_id"])
    attempts = await credits_.desk.rows("SELECT serial, step, attempt_no FROM attempt WHERE credit_note_id <> 0")
    assert attempts == [{"serial": credit.serial, "step": "submit", "attempt_no": 1}]


async def test_an_invoice_that_is_credited_or_being_credited_is_not_credited_again(credits_: Credits) -> None:
    await credits_.asked()
    assert await credits_.refusal(replace(ASK, idempotency_key="c2")) == "ALREADY_CREDITING"
    await credits_.heard(form("F1", "04"), DOCUMENT)
    assert await credits_.refusal(replace(ASK, idempotency_key="c2")) == "ALREADY_CREDITED"


async def test_of_two_at_the_same_moment_one_is_taken(credits_: Credits) -> None:
    answers = await asyncio.gather(*(credits_.asked(replace(ASK, idempotency_key=f"c{n}")) for n in range(5)))
    assert sum(isinstance(answer, AcceptedCreditNote) for answer, _ in answers) == 1
    assert len(await credits_.rows()) == 1


async def test_the_same_key_gets_the_same_credit_note_also_at_the_same_moment(credits_: Credits) -> None:
    answers = await asyncio.gather(*(credits_.asked() for _ in range(5)))
    assert len({answer for answer, _ in answers if isinstance(answer, AcceptedCreditNote)}) == 1
    assert sum(len(messages) for _, messages in answers) == 1


async def test_an_invoice_of_somebody_else_or_of_nobody_is_not_found(credits_: Credits) -> None:
    assert await credits_.refusal(replace(ASK, account_id=2)) == "NOT_FOUND"
    assert await credits_.refusal(replace(ASK, number="26332000000000000009")) == "NOT_FOUND"


async def test_a_closed_account_asks_in_vain(credits_: Credits) -> None:
    await credits_.desk.heard(AccountStatusChanged(account_id=1, version=2, status="closed"))
    assert await credits_.refusal() == "ACCOUNT_CLOSED"


async def test_when_the_form_dies_the_invoice_stands_and_may_be_credited_again_under_the_same_serial(
    credits_: Credits,
) -> None:
    await credits_.asked()
    _, told = await credits_.heard(Accepted(), form("F1", "02"), form("F1", "07"))
    (fact,) = told
    assert isinstance(fact, CreditNoteFailed)
    assert (fact.reason, fact.form_number) == ("RED_FORM_07", "F1")
    first = (await credits_.rows())[0]
    assert await credits_.claim(100 * LONG) is None
    await credits_.asked(replace(ASK, idempotency_key="c2"))
    steps, told = await credits_.heard(
        Unknown("timeout"), form("F1", "07"), Accepted(), form("F2", "01"), DOCUMENT, start=101
    )
    assert steps == ["submit", "query", "submit", "query", "query"]
    assert names(told) == ["InvoiceCredited"]
    assert await credits_.statuses() == ["failed", "issued"]
    assert {row["serial"] for row in await credits_.rows()} == {first["serial"]}


async def test_a_refusal_of_the_platform_is_told_once_a_query_confirms_it(credits_: Credits) -> None:
    await credits_.asked()
    steps, told = await credits_.heard(Rejected("RED_FORM_AMOUNT_MISMATCH", "not the full amount"), NotFound())
    (fact,) = told
    assert isinstance(fact, CreditNoteFailed)
    assert (steps, fact.reason, fact.text) == (["submit", "query"], "RED_FORM_AMOUNT_MISMATCH", "not the full amount")


async def test_the_buyer_is_reminded_as_the_72_hours_pass(credits_: Credits) -> None:
    await credits_.asked()
    told: list[int] = []
    for seconds in (0, 300, 24 * 3600, 25 * 3600, 48 * 3600, 66 * 3600, 71 * 3600):
        credit = await credits_.claimed(seconds + LONG)
        for fact in await credits_.came(credit, form("F1", "02")):
            assert isinstance(fact, RedFormWaits)
            told.append(fact.hours_left)
    assert told == [72, 48, 24, 6]


async def test_a_lost_answer_is_asked_for_and_never_submitted_again_unasked(credits_: Credits) -> None:
    await credits_.asked()
    steps, _ = await credits_.heard(Unknown("timeout"), Unknown("timeout"), NotFound(), Accepted(), DOCUMENT)
    assert steps == ["submit", "query", "query", "submit", "query"]


async def test_a_holder_whose_lease_went_to_another_changes_nothing_unless_it_brings_a_document(
    credits_: Credits,
) -> None:
    await credits_.asked()
    stale = await credits_.claimed(LONG)
    holder = await credits_.claimed(3 * LONG)
    assert await credits_.came(stale, form("F1", "07")) == []
    assert await credits_.statuses() == ["requested"]
    assert names(await credits_.came(stale, DOCUMENT)) == ["InvoiceCredited"]
    assert await credits_.came(holder, DOCUMENT) == []
    assert await credits_.statuses() == ["issued"]


async def test_another_amount_is_quarantined_and_nothing_is_given_back(credits_: Credits) -> None:
    await credits_.asked()
    _, told = await credits_.heard(replace(DOCUMENT, gross_fen=-105_000, net_fen=-99_000))
    assert told == []
    (row,) = await credits_.rows()
    assert (row["status"], row["reason"]) == ("quarantined", "AMOUNT_DIFFERS")
    assert await credits_.refusal(replace(ASK, idempotency_key="c2")) == "NOT_CREDITABLE"


@pytest.mark.parametrize("answer", [form("F2", "02"), DOCUMENT])
async def test_one_that_has_a_successor_is_not_asked_about_any_more_and_learns_nothing_of_its_form_or_document(
    credits_: Credits, answer: Answer
) -> None:
    """A callback had it looked at again; meanwhile the customer has asked once more, and both share the serial."""
    await credits_.asked()
    await credits_.heard(form("F1", "07"))
    (first,) = await credits_.rows()
    await credits_.desk.called_back(str(first["serial"]))
    slow = await credits_.claimed(200 * LONG)
    await credits_.asked(replace(ASK, idempotency_key="c2"))
    await credits_.came(await credits_.claimed(200 * LONG), Accepted())
    assert await credits_.came(slow, answer) == []
    rows = await credits_.rows()
    assert [(row["status"], row["form_number"], row["recheck"]) for row in rows] == [
        ("failed", "F1", False),
        ("requested", None, False),
    ]
    successor = await credits_.claimed(300 * LONG)
    assert successor.credit_note_id != slow.credit_note_id
    told = await credits_.came(successor, answer)
    assert names(told) == (["InvoiceCredited"] if answer == DOCUMENT else ["RedFormWaits"])
    assert (await credits_.rows())[-1]["status"] == ("issued" if answer == DOCUMENT else "form_pending")


async def test_a_callback_has_the_last_credit_note_looked_at_again_also_a_failed_one(credits_: Credits) -> None:
    await credits_.asked()
    await credits_.heard(form("F1", "07"))
    (row,) = await credits_.rows()
    await credits_.desk.called_back(str(row["serial"]))
    steps, told = await credits_.heard(Unknown("timeout"), form("F1", "04"), DOCUMENT, start=200)
    assert (steps, names(told)) == (["query"] * 3, ["InvoiceCredited"])
    assert (await credits_.desk.part())["recheck"] is False


async def test_the_red_invoice_has_files_of_its_own_that_mirror_the_blue_one(credits_: Credits, api: str) -> None:
    await credits_.asked(replace(ASK, remark="退货"))
    await credits_.heard(form("F1", "04"), DOCUMENT)
    jobs = [job for _ in range(2) if (job := await credits_.desk.job(after(9 * LONG))) is not None]
    blue, red = (face(job, KEYS.unseal, CATALOGUE) for job in jobs)
    assert (blue.number, red.number, red.is_red) == (BLUE, RED, True)
    assert [(line.name, -line.net_fen, -line.tax_fen) for line in red.lines] == [
        (line.name, line.net_fen, line.tax_fen) for line in blue.lines
    ]
    assert red.remark == f"被红冲蓝字发票号码：{BLUE}\n红字发票信息确认单编号：F1\n退货"
    assert (red.buyer, red.seller, red.serial != blue.serial) == (blue.buyer, blue.seller, True)
    told = []
    for job in jobs:
        file = InvoiceFile(
            name=f"{job.number}.pdf", media_type="application/pdf", object_key=job.number, size=1, sha256="0" * 64
        )
        told += await credits_.desk.made(job, FilesMade((file,)))
    assert [getattr(fact, "credit_note_id", 0) for fact in told] == [None, red_id(await credits_.rows())]
    async with at(api) as http:
        (note,) = (await http.get("/credit-notes")).json()
        invoice = (await http.get(f"/invoices/{BLUE}")).json()
    assert [file["name"] for file in note["files"]] == [f"{RED}.pdf"]
    assert [file["name"] for file in invoice["files"]] == [f"{BLUE}.pdf"]


def red_id(rows: Sequence[dict[str, object]]) -> object:
    return rows[-1]["credit_note_id"]


async def test_what_a_customer_sees_of_it(credits_: Credits, api: str) -> None:
    async with at(api) as http:
        taken = await http.post(f"/invoices/{BLUE}/credit-notes", json={"reason": "sales_return", "wait_seconds": 0})
        assert (taken.status_code, taken.json()["status"], taken.json()["gross_fen"]) == (202, "requested", -106_000)
        assert (await http.get(f"/invoices/{BLUE}")).json()["status"] == "crediting"
        await credits_.heard(form("F1", "04"), DOCUMENT)
        assert (await http.post(f"/invoices/{BLUE}/credit-notes", json={"reason": "sales_return"})).status_code == 201
        (listed,) = (await http.get("/credit-notes")).json()
        shown = (await http.get(f"/credit-notes/{listed['credit_note_id']}")).json()
        invoice = (await http.get(f"/invoices/{BLUE}")).json()
        missing = await http.get("/credit-notes/999")
    assert listed == shown
    assert (shown["status"], shown["red_number"], shown["red_form_state"]) == ("issued", RED, "04")
    assert (invoice["status"], invoice["red_number"]) == ("credited", RED)
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")


async def test_a_refusal_of_the_platform_that_comes_in_time_is_the_answer(credits_: Credits, api: str) -> None:
    async with at(api) as http:
        asking = asyncio.create_task(
            http.post(f"/invoices/{BLUE}/credit-notes", json={"red_form_number": "F9", "wait_seconds": 10})
        )
        await eventually("a credit note", credits_.rows)
        credit = await credits_.claimed()
        await credits_.came(credit, Rejected("RED_FORM_UNKNOWN", "no such form"))
        await credits_.came(await credits_.claimed(), NotFound())
        answer = await asking
    assert (answer.status_code, answer.json()["code"], answer.json()["number"]) == (409, "RED_FORM_UNKNOWN", BLUE)
    assert answer.json()["text"] == "no such form"
