"""Answers name their trace, and the owner that was asked for one belongs to the same trace."""

import pytest

from services.ledger.app import MIGRATIONS as LEDGER
from services.ledger.app import build as ledger
from shared.runtime import tracing
from shared.runtime.settings import Settings
from tests.conftest import OpenDatabase
from tests.support.edge import Gateway, asking_behind

pytestmark = pytest.mark.database

CALLER = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def traced() -> None:
    tracing.configure("test", "1", otlp_endpoint="")


@pytest.mark.parametrize("path", ["/v1/balances", "/v1/items/O404", "/v1/invoices/I1/files/pdf"])
async def test_every_answer_of_an_owner_has_a_trace_of_its_own(path: str, gateway: Gateway) -> None:
    key = await gateway.key(7)
    ids = [(await gateway.http.get(path, headers=key)).headers["trace-id"] for _ in range(2)]
    assert len(set(ids)) == 2
    assert {len(one) for one in ids} == {32}


async def test_the_owner_is_asked_within_the_trace_of_the_answer(gateway: Gateway) -> None:
    answer = await gateway.get("/v1/balances")
    assert gateway.seen[-1].headers["traceparent"].split("-")[1] == answer.headers["trace-id"]


async def test_an_owner_continues_the_trace_it_is_asked_within(open_database: OpenDatabase) -> None:
    async with asking_behind(ledger(Settings()), await open_database(LEDGER)) as http:
        answer = await http.get("/accounts/1/items/O1", headers={"traceparent": f"00-{CALLER}-b7ad6b7169203331-01"})
    assert (answer.status_code, answer.json()["trace_id"]) == (404, CALLER)
