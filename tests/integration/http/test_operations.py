"""Who is answered where: customers, the gateway and operators have a listener each, and none of them opens another's."""

import httpx2
import pytest

from services.gateway.app import MIGRATIONS as GATEWAY
from services.gateway.app import build as gateway
from services.ledger.app import MIGRATIONS as LEDGER
from services.ledger.app import build
from shared.runtime.listening import Listener
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import SharedClock
from shared.runtime.watchdog import Watchdog
from shared.runtime.web import listeners_of
from tests.conftest import OpenDatabase
from tests.support.edge import OPERATOR, TOKEN, asking, asking_behind, operations_of, runtime_of

pytestmark = pytest.mark.database

OPERATORS = ("/ops/parked", "/ops/parked/1", "/ops/clock")
SERVICE = {"Authorization": f"Bearer {TOKEN}"}
NOBODY_SHARES: SharedClock | None = None


def reaching(listener: Listener) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=listener.app), base_url="http://test")


async def test_operators_routes_need_the_operators_token_and_no_other(open_database: OpenDatabase) -> None:
    async with asking(operations_of(build(Settings()), await open_database(LEDGER))) as http:
        for path in OPERATORS:
            for headers in ({}, SERVICE, {"Authorization": "Bearer "}, {"Authorization": "Basic operators-only"}):
                assert (await http.get(path, headers=headers)).status_code == 401
            assert (await http.get(path, headers=OPERATOR)).status_code in (200, 404)
        for path in ("/livez", "/metrics"):
            assert (await http.get(path)).status_code in (200, 503)
        assert (await http.get("/accounts/1/balances", headers=OPERATOR)).status_code == 404


async def test_the_gateways_listener_of_a_service_has_service_routes_only(open_database: OpenDatabase) -> None:
    async with asking_behind(build(Settings()), await open_database(LEDGER)) as http:
        for path in (*OPERATORS, "/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
            assert (await http.get(path)).status_code == 404
            assert (await http.get(path, headers=OPERATOR)).status_code == 401
        assert (await http.get("/accounts/1/balances")).status_code == 200
        assert (await http.get("/accounts/1/balances", headers=OPERATOR)).status_code == 401


async def test_a_process_listens_where_its_settings_say_and_describes_itself_to_operators(
    open_database: OpenDatabase,
) -> None:
    settings = Settings(http_port=1, operations_port=2, callbacks_port=3)
    runtime = runtime_of(build(settings), await open_database(LEDGER))
    _, listeners = listeners_of(runtime, settings, Watchdog(runtime), NOBODY_SHARES)
    assert [one.port for one in listeners] == [1, 2], "nobody calls the ledger back"
    async with reaching(listeners[1]) as http:
        described = (await http.get("/openapi.json")).json()
    assert "/accounts/{account_id}/balances" in described["paths"]
    assert not [path for path in described["paths"] if path.startswith("/ops")]


async def test_what_the_public_document_describes_is_all_there_is(open_database: OpenDatabase) -> None:
    settings = Settings(operator_token="an operator's", service_token="a service's")
    runtime = runtime_of(gateway(settings), await open_database(GATEWAY))
    _, listeners = listeners_of(runtime, settings, Watchdog(runtime), NOBODY_SHARES)
    async with reaching(listeners[0]) as http:
        described = (await http.get("/openapi.json")).json()["paths"]
        assert {path.split("/")[1] for path in described} == {"v1"}
        for path in ("/ops/parked", "/metrics", "/readyz", "/livez", "/"):
            assert (await http.get(path)).status_code == 404
