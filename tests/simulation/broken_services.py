"""Broken variants of what services do. Each has to be caught by the invariant named here, on a recorded seed that is clean without it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from asyncpg import Connection

from services.invoicing.credit_notes import rules as credit_notes
from services.invoicing.credit_notes.rules import ClaimedCreditNote, CreditNoteOutcome
from services.invoicing.issuing import claims
from services.invoicing.issuing.rules import ClaimedPart
from services.invoicing.quotas import store as quotas
from services.invoicing.quotas.rules import QuotaChange
from services.invoicing.submissions import rules as submissions
from services.invoicing.submissions.rules import Outcome
from services.invoicing.tax_platforms.port import Answer, Unknown
from services.ledger.booking import handlers as booking
from shared.contracts.invoicing import PartFact
from shared.contracts.message import Message
from shared.domain.identifiers import serial_of
from tests.simulation.mutant import Mutant, Rewritten

_real_book = booking._book_part
_real_claim = claims.claim_due
_real_count = quotas.count
_real_decide = submissions.decide
_real_decide_credit = credit_notes.decide


async def _new_serial(db: Connection, at: datetime, now: datetime) -> ClaimedPart | None:
    """Does not ask what became of the first submission: submits again, under a new serial."""
    claimed = await _real_claim(db, at, now)
    if claimed is None or claimed.tries != 2:
        return claimed
    serial = serial_of(claimed.part_id, "B", claimed.tries)
    key = (claimed.account_id, claimed.part_id)
    await db.execute("UPDATE part SET serial = $3 WHERE account_id = $1 AND part_id = $2", *key, serial)
    await db.execute("INSERT INTO platform_serial (serial, account_id, part_id) VALUES ($3, $1, $2)", *key, serial)
    columns = "account_id, part_id, attempt_no, serial, step, at"
    await db.execute(f"INSERT INTO attempt ({columns}) VALUES ($1, $2, 1000, $3, 'submit', $4)", *key, serial, at)
    return replace(claimed, serial=serial, step="submit")


async def _keep_quota(db: Connection, changes: Sequence[QuotaChange]) -> None:
    """What was held for a part that came to an end is never free again."""
    await _real_count(db, [replace(change, held_net_fen=max(change.held_net_fen, 0)) for change in changes])


def _timeout_is_failure(part: ClaimedPart, answer: Answer) -> Outcome:
    if isinstance(answer, Unknown):
        return Outcome("failed", reason="TIMEOUT", text=answer.reason)
    return _real_decide(part, answer)


def _red_timeout_is_failure(credit: ClaimedCreditNote, answer: Answer) -> CreditNoteOutcome:
    if isinstance(answer, Unknown):
        return CreditNoteOutcome("failed", reason="TIMEOUT", text=answer.reason)
    return _real_decide_credit(credit, answer)


async def _nothing_released(fact: PartFact, wanted: str, db: Connection, now: datetime) -> list[Message]:
    return [] if wanted == "released" else await _real_book(fact, wanted, db, now)


async def _nothing_credited(fact: PartFact, wanted: str, db: Connection, now: datetime) -> list[Message]:
    return [] if wanted == "credited" else await _real_book(fact, wanted, db, now)


MUTANTS: dict[str, Mutant | Rewritten] = {
    "new serial on retry": Mutant(
        "services.invoicing.issuing.claims.claim_due", _new_serial, "one_invoice_for_a_part", 44
    ),
    "timeout is failure": Mutant(
        "services.invoicing.issuing.rules.decide", _timeout_is_failure, "no_invoice_for_what_ended_without", 30
    ),
    "red timeout is failure": Mutant(
        "services.invoicing.credit_notes.rules.decide", _red_timeout_is_failure, "red_is_the_negative_of_its_blue", 68
    ),
    "quota kept": Mutant(
        "services.invoicing.quotas.store.count", _keep_quota, "quotas_are_what_parts_hold_and_used", 44
    ),
    "releases are not booked": Mutant(
        "services.ledger.booking.handlers._book_part", _nothing_released, "a_terminal_request_holds_nothing", 5
    ),
    "credits are not booked": Mutant(
        "services.ledger.booking.handlers._book_part", _nothing_credited, "money_reconciles_with_the_platform", 25
    ),
    "no attempt before the call": Rewritten(
        {r"INSERT INTO attempt \([^)]*\)\s+SELECT": "SELECT"}, "every_call_has_an_earlier_attempt", 25
    ),
    "moves are not written": Rewritten(
        {r"INSERT INTO move \([^)]*\)\s+SELECT m\.\*, \$7": "SELECT $7::timestamptz"},
        "columns_equal_replay_of_moves",
        25,
    ),
    "sums mixed up": Rewritten(
        {r"sum\(reserved\), sum\(invoiced\)": "sum(invoiced), sum(reserved)"}, "sums_equal_items", 0
    ),
}
