"""An account whose personal data are erased, at invoicing's desk: what comes late, what nobody can read, and what its routes answer."""

from pathlib import Path

import pytest

from services.invoicing.app import invoicing
from services.invoicing.erasures import handlers, store
from services.invoicing.erasures.rules import OpenRequest, Resolved
from services.invoicing.invoice_files.effects import make_files
from services.invoicing.invoice_files.rules import FilesErased
from services.invoicing.issuing.effects import issue
from services.invoicing.requests.intents import InvoiceIntent
from services.invoicing.tax_platforms.port import Failed
from shared.contracts.message import Message
from shared.contracts.titles import AccountErased, AccountErasureStarted, AccountStatusChanged
from shared.runtime.account_keys import OpenKeys
from shared.runtime.objects import ObjectStore
from shared.runtime.parked import forget
from tests.integration.invoicing.desk import CATALOGUE, NOW, Desk, a_title, after, names
from tests.integration.invoicing.test_parts import ISSUED
from tests.support.edge import asking_behind
from tests.support.world import SETTINGS, Faces, FlowWorld, Held, an_account

pytestmark = pytest.mark.database

BODY = {"numbers": ["O1"]}
DROPPED, UNKNOWN = Held(OpenKeys((), erased=True)), Held(OpenKeys((), erased=False))


async def starts(desk: Desk, version: int = 5) -> None:
    async with desk.database.transaction() as db:
        await handlers.account_erasure_started(AccountErasureStarted(account_id=1, version=version), db, NOW)


async def ends(desk: Desk, version: int = 5) -> None:
    async with desk.database.transaction() as db:
        await handlers.account_erased(AccountErased(account_id=1, version=version), db, NOW, forget=forget)


async def step(desk: Desk) -> list[Message] | None:
    async with desk.database.transaction() as db:
        found = await store.next_step(db, NOW, NOW)
        return None if found is None else await handlers.erasure_looked_at(found, db, NOW)


async def found(desk: Desk) -> OpenRequest | Resolved | None:
    async with desk.database.transaction() as db:
        return await store.next_step(db, NOW, NOW)


async def test_a_title_that_was_said_before_the_erasure_and_comes_after_it_is_not_kept(desk: Desk) -> None:
    await starts(desk)
    await ends(desk)
    registration = an_account(1, at=NOW).registration
    await desk.heard(a_title(registration, version=4, title_id=2))
    assert await desk.rows("SELECT FROM title") == []
    await desk.heard(
        a_title(registration, version=6, title_id=3), AccountStatusChanged(account_id=1, version=6, status="open")
    )
    await desk.taken()


async def test_a_new_registration_is_served_while_what_was_before_it_is_cancelled(desk: Desk) -> None:
    first = await desk.taken("k1")
    await starts(desk)
    await desk.heard(a_title(an_account(1, at=NOW).registration, version=6, title_id=3))
    second = await desk.taken("k2")
    assert await found(desk) == OpenRequest(1, first)
    await step(desk)
    assert await found(desk) is None
    await desk.reserved(first, 106)
    assert await found(desk) == Resolved(1, 5)
    await step(desk)
    await ends(desk)
    rows = await desk.rows("SELECT request_id, status, title ? 'name' AS readable FROM request ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [(first, "voided", False), (second, "reserving", True)]


async def test_an_erasure_of_an_account_that_nobody_knows_is_over_at_once(desk: Desk) -> None:
    async with desk.database.transaction() as db:
        await handlers.account_erasure_started(AccountErasureStarted(account_id=77, version=2), db, NOW)
    assert await found(desk) == Resolved(77, 2)
    await step(desk)
    assert await found(desk) is None


async def test_a_part_whose_title_nobody_can_read_fails_and_frees_its_amount(desk: Desk) -> None:
    await desk.queued_part()
    part = await desk.claimed()
    platforms = FlowWorld(NOW).platforms
    answer = await issue(part, platforms=platforms, keys=DROPPED, catalogue=CATALOGUE)
    assert isinstance(answer, Failed)
    assert answer.code == "ACCOUNT_DATA_ERASED"
    assert names(await desk.came(part, answer)) == ["InvoiceFailed", "RequestClosed"]
    row = await desk.part()
    assert (row["status"], row["reason"]) == ("failed", "ACCOUNT_DATA_ERASED")


async def test_files_of_an_invoice_that_turns_up_after_the_erasure_are_given_up(desk: Desk) -> None:
    await desk.queued_part()
    await desk.came(await desk.claimed(), ISSUED)
    job = await desk.job(after(3600))
    assert job is not None
    made = await make_files(job, renderer=Faces(), objects=None, keys=DROPPED, catalogue=CATALOGUE)  # type: ignore[arg-type]
    assert made == FilesErased()
    assert await desk.made(job, made) == []  # type: ignore[arg-type]
    assert await desk.rows("SELECT status FROM invoice_file_job") == [{"status": "erased"}]


@pytest.mark.parametrize(
    ("keys", "status", "code"), [(DROPPED, 410, "ACCOUNT_DATA_ERASED"), (UNKNOWN, 503, "SERVICE_UNAVAILABLE")]
)
async def test_over_http_an_erased_title_is_refused_and_a_key_that_is_away_is_waited_for(
    keys: Held, status: int, code: str, desk: Desk, tmp_path: Path
) -> None:
    service = invoicing(SETTINGS, FlowWorld(NOW).platforms, None, ObjectStore(tmp_path.as_uri()), keys)  # type: ignore[arg-type]
    async with asking_behind(service, desk.database) as http:
        answer = await http.post("/accounts/1/invoice-requests", json=BODY, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await desk.rows("SELECT FROM request") == []


async def test_while_it_lasts_a_request_is_refused(desk: Desk) -> None:
    await starts(desk)
    answer, said = await desk.asked(InvoiceIntent(1, "k1", numbers=("O1",)))
    assert (getattr(answer, "code", None), said) == ("ACCOUNT_DATA_ERASED", [])
