"""Numbers in paths: whatever upstream may print reaches its owner as it is, and nothing else gets that far."""

from urllib.parse import quote

import pytest

from tests.integration.gateway.test_gateway import assert_invalid
from tests.support.edge import Gateway

pytestmark = pytest.mark.database

PRINTED = [
    "O1",
    "A#1?x%2F",
    "A/1",
    "A/../../8/items",
    "..",
    ".",
    "a//b",
    "%",
    "%2e%2e",
    "100%",
    "a+b&c=d;e",
    '\\"{}<>|^`',
    "!" * 64,
]
NEVER_PRINTED = ["A\x00", "A\tB", "O 1", "é", "发票", "x" * 65, "\x7f", "\ufffd"]
NO_ID = ["0", "-1", str(2**52 + 1), str(2**63), str(10**30), "1" * 5000, "x", "1.5", "1e3", "%00"]


def quoted(number: str) -> str:
    """As a careful client writes it: a bare `..` it would take for the folder above."""
    return quote(number, safe="").replace(".", "%2E")


@pytest.mark.parametrize("number", PRINTED)
async def test_a_document_number_reaches_the_ledger_as_it_is(number: str, gateway: Gateway) -> None:
    answer = await gateway.get(f"/v1/items/{quoted(number)}?a=1")
    assert (answer.status_code, answer.json()["path"]) == (200, f"/accounts/7/items/{number}")
    assert answer.json()["query"] == [["a", "1"]]
    assert gateway.seen[-1].scope["raw_path"].decode() == f"/accounts/7/items/{quoted(number)}"


@pytest.mark.parametrize("number", [one for one in PRINTED if "/" not in one])
async def test_an_invoice_number_reaches_invoicing_as_it_is(number: str, gateway: Gateway) -> None:
    one = await gateway.get(f"/v1/invoices/{quoted(number)}")
    file = await gateway.get(f"/v1/invoices/{quoted(number)}/files/xml")
    assert one.json()["path"] == f"/accounts/7/invoices/{number}"
    assert file.json()["path"] == f"/accounts/7/invoices/{number}/files/xml"


@pytest.mark.parametrize("number", NEVER_PRINTED)
@pytest.mark.parametrize("path", ["/v1/items/{}", "/v1/invoices/{}", "/v1/invoices/{}/files/pdf"])
async def test_a_number_nobody_prints_is_refused_at_the_edge(path: str, number: str, gateway: Gateway) -> None:
    assert_invalid(await gateway.get(path.format(quoted(number))), "path.number")
    assert gateway.seen == []


@pytest.mark.parametrize("form", ["..", "pdf%00", "a%20b", "%23", "%3F", "x" * 65])
async def test_a_form_of_file_is_a_plain_word(form: str, gateway: Gateway) -> None:
    answer = await gateway.get(f"/v1/invoices/I1/files/{form.replace('.', '%2E')}")
    assert_invalid(answer, "path.form")
    assert gateway.seen == []


@pytest.mark.parametrize("request_id", NO_ID)
async def test_what_cannot_be_an_id_is_refused_with_the_value_and_what_to_do(request_id: str, gateway: Gateway) -> None:
    key = await gateway.key(7)
    shown = await gateway.http.get(f"/v1/invoice-requests/{request_id}", headers=key)
    cancelled = await gateway.http.post(f"/v1/invoice-requests/{request_id}/cancel", headers=key)
    for answer in (shown, cancelled):
        assert_invalid(answer, "path.request_id")
        assert answer.json()["errors"][0]["value"] == request_id.replace("%00", "\x00")[:200]
        assert "Correct these fields" in answer.json()["detail"]
    assert gateway.seen == []


@pytest.mark.parametrize("request_id", [1, 2**52])
async def test_the_smallest_and_the_largest_id_reach_invoicing(request_id: int, gateway: Gateway) -> None:
    answer = await gateway.get(f"/v1/invoice-requests/{request_id}")
    assert answer.json()["path"] == f"/accounts/7/invoice-requests/{request_id}"


async def test_a_query_longer_than_any_address_is_refused(gateway: Gateway) -> None:
    answer = await gateway.get(f"/v1/items?subject={'!' * 30_000}")
    assert (answer.status_code, answer.json()["code"]) == (414, "ADDRESS_TOO_LONG")
    assert gateway.seen == []
