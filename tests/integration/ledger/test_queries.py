"""What is searched for is found, all of it and nothing else, and what cannot be invoiced says why."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from asyncpg import Connection, connect

from services.ledger.items import store as searching
from services.ledger.items.asking import State
from shared.contracts.ledger import ReserveBalance
from shared.domain.calendar import earliest_opening
from tests.integration.ledger.story import SUBJECT, Story, a_line, a_usage, an_order_of, telling
from tests.support.examples import MARCH_10, a_bill, a_refund, an_order
from tests.support.ledger import Ledger

pytestmark = pytest.mark.database

HOUR = timedelta(hours=1)
OPENING = earliest_opening("202603")
STATES: tuple[str, ...] = State.__args__  # type: ignore[attr-defined]


@pytest.fixture
async def story(ledger: Ledger) -> AsyncIterator[Story]:
    """One document in each state, and neighbours of account 2."""
    async with telling(ledger) as story:
        ecs = a_line(1_000, product_code="ecs", item_name="Elastic Compute 云服务器")
        await story.bill(
            an_order_of(ecs, a_line(300, item_name="100% cover"), number="OPEN", contract_number="C1"),
            an_order_of(a_line(2_000), number="RESERVED", at=MARCH_10 + HOUR),
            an_order_of(a_line(3_000), number="INVOICED", at=MARCH_10 + 2 * HOUR),
            an_order_of(a_line(4_000), number="PARTLY", at=MARCH_10 + 3 * HOUR),
            an_order_of(a_line(5_000, subject="ALIYUN_GOODS"), number="OWING", at=MARCH_10 + 4 * HOUR),
            an_order_of(a_line(6_000), number="GONE", at=MARCH_10 + 5 * HOUR),
            an_order_of(a_line(7_000, order_type="marketplace_vendor"), number="VENDOR", at=MARCH_10 + 6 * HOUR),
            an_order_of(a_line(8_000, order_type="domain_auction"), number="NOBODY", at=MARCH_10 + 7 * HOUR),
            an_order_of(a_line(0, list_fen=900, voucher_fen=900), number="FREE", at=MARCH_10 + 8 * HOUR),
            an_order_of(a_line(400), number="PAID", at=MARCH_10 + 9 * HOUR),
            an_order_of(a_line(100), number="PAYS", at=MARCH_10 + 10 * HOUR, contract_number="C1"),
            a_bill("BILL", 9_000, at=MARCH_10 + 11 * HOUR),
            an_order("OPEN", 77, account_id=2),
            an_order("OTHER", 77, account_id=2),
        )
        for request_id, number in enumerate(("INVOICED", "OWING", "PAID"), 1):
            await story.issued(await story.reserve(number, request_id=request_id), request_id)
        await story.issued(await story.reserve("PARTLY", request_id=4, amount_fen=2_500), 4)
        await story.bill(a_refund("F3", of="PAID", cash_fen=100))
        await story.reserve("PAYS", request_id=5)
        await story.bill(a_refund("F1", of="OWING", cash_fen=500), a_refund("F2", of="GONE", cash_fen=6_000))
        await story.reserve("RESERVED", request_id=6)
        story.at(MARCH_10 + 24 * HOUR)
        yield story


async def numbers(story: Story, **asked: Any) -> list[str]:  # noqa: ANN401
    return [one["number"] for one in await story.pages("/items", "items", **asked)]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("open", ["OPEN", "OPEN", "PARTLY"]),
        ("not_open_yet", ["BILL"]),
        ("not_invoiceable", ["VENDOR", "NOBODY"]),
        ("reserved", ["RESERVED"]),
        ("partly_invoiced", ["PARTLY"]),
        ("invoiced", ["INVOICED", "OWING", "PAID"]),
        ("refunded", ["OWING", "GONE", "PAID"]),
        ("in_deficit", ["OWING"]),
        ("offset", ["PAYS"]),
        ("deficit_paid", ["PAID"]),
    ],
)
async def test_a_state_finds_what_is_in_it_and_each_row_names_its_states(
    state: str, found: list[str], story: Story
) -> None:
    assert await numbers(story, state=state) == found
    every = await story.pages("/items", "items", limit=7)
    assert [one["number"] for one in every if state in one["states"]] == found
    assert all(set(one["states"]) <= set(STATES) for one in every)


async def test_a_bill_that_opens_is_open_from_that_moment(story: Story) -> None:
    story.at(OPENING - timedelta(microseconds=1))
    assert (await story.get("/items", number="BILL"))["items"][0]["reason"] == "NOT_OPEN_YET"
    story.at(OPENING)
    (bill,) = (await story.get("/items", number="BILL"))["items"]
    assert (bill["reason"], bill["can_invoice_fen"], bill["states"]) == (None, 9_000, ["open"])
    assert await numbers(story, state="not_open_yet") == []


async def test_whatever_cannot_be_invoiced_says_why(story: Story) -> None:
    every = {one["number"]: one for one in await story.pages("/items", "items")}
    assert {number: one["reason"] for number, one in every.items()} == {
        "OPEN": None,
        "PARTLY": None,
        "RESERVED": "RESERVED",
        "INVOICED": "INVOICED",
        "OWING": "IN_DEFICIT",
        "GONE": "REFUNDED",
        "VENDOR": "VENDOR_INVOICES_IT",
        "NOBODY": "NOBODY_INVOICES_IT",
        "FREE": "NOTHING_PAID_IN_CASH",
        "PAID": "INVOICED",
        "PAYS": "PAID_A_DEFICIT",
        "BILL": "NOT_OPEN_YET",
    }
    assert {number for number, one in every.items() if one["earliest_at"]} == {"BILL"}
    assert datetime.fromisoformat(every["BILL"]["earliest_at"]) == OPENING
    for one in every.values():
        assert (one["can_invoice_fen"] > 0) == (one["reason"] is None) == (one["text"] is None)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"number": "PAID"}, ["PAID"]),
        ({"number": "C1"}, ["OPEN", "OPEN", "PAYS"]),
        ({"number": "C1", "subject": SUBJECT, "cycle": "202603", "state": "open"}, ["OPEN", "OPEN"]),
        ({"number": "OTHER"}, []),
        ({"number": "PAI"}, []),
        ({"product": "ecs"}, ["OPEN"]),
        ({"item_name": "elastic COMPUTE"}, ["OPEN"]),
        ({"item_name": "云服务"}, ["OPEN"]),
        ({"item_name": "%"}, ["OPEN"]),
        ({"item_name": "_"}, []),
        ({"subject": "ALIYUN_GOODS"}, ["OWING"]),
        ({"subject": "ALICOM_TELECOM"}, []),
        ({"cycle": "202602"}, []),
        ({"cycle": "202603", "state": "in_deficit"}, ["OWING"]),
        ({"min_fen": 6_000, "max_fen": 7_000}, ["GONE", "VENDOR"]),
        ({"min_fen": 300, "max_fen": 300}, ["OPEN"]),
        ({"since": MARCH_10 + 6 * HOUR, "until": MARCH_10 + 8 * HOUR}, ["VENDOR", "NOBODY"]),
        ({"since": "2026-03-10T10:00:00+08:00", "until": "2026-03-10T10:00:01+08:00"}, ["OPEN", "OPEN"]),
    ],
)
async def test_filters_are_all_met_at_once(asked: dict[str, Any], found: list[str], story: Story) -> None:
    asked = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()}
    assert await numbers(story, **asked) == found
    assert (await story.get("/items/totals", **asked))["count"] == len(found)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"subject": SUBJECT},
        {"cycle": "202603"},
        {"subject": "ALIYUN_GOODS", "cycle": "202603"},
        {"cycle": "202604"},
    ],
)
async def test_totals_of_the_sums_and_of_the_items_agree(asked: dict[str, Any], story: Story) -> None:
    by_sums = await story.get("/items/totals", **asked)
    assert await story.get("/items/totals", min_fen=0, **asked) == by_sums
    rows = await story.pages("/items", "items", **asked)
    assert by_sums == {"count": len(rows)} | {
        name: sum(row[name] for row in rows) for name in by_sums if name != "count"
    }


async def test_totals_of_a_subject_are_read_from_the_sums(story: Story) -> None:
    async with story.ledger.database.transaction() as db:
        await db.execute(
            "UPDATE balance_sum SET settled_fen = settled_fen + 1 WHERE account_id = 1 AND subject = 'ALIYUN_GOODS'"
        )
    assert (await story.get("/items/totals", subject="ALIYUN_GOODS"))["settled_fen"] == 5_001
    assert (await story.get("/items/totals", subject="ALIYUN_GOODS", min_fen=0))["settled_fen"] == 5_000


async def test_pages_by_subject_and_month_are_in_one_order_at_any_depth(story: Story) -> None:
    more = [a_bill(f"B{n}", 10 + n, cycle=f"20260{1 + n % 3}", at=MARCH_10 + n * HOUR / 2) for n in range(20)]
    await story.bill(*more)
    for asked in ({"subject": SUBJECT}, {"cycle": "202602"}, {"subject": SUBJECT, "state": "open"}, {}):
        rows = await story.pages("/items", "items", limit=200, **asked)
        for limit in (1, 3, 19):
            assert await story.pages("/items", "items", limit=limit, **asked) == rows
        places = [(row["occurred_at"], row["item_id"]) for row in rows]
        assert places == sorted(places)
        assert len(rows) == (await story.get("/items/totals", **asked))["count"]


async def test_months_tell_what_is_open_and_when_the_rest_will_be(story: Story) -> None:
    months = await story.get("/months", subject=SUBJECT)
    assert [(one["cycle"], one["state"], one["available_fen"]) for one in months] == [
        ("202603", "open", 2_800),
        ("202603", "not_open_yet", 9_000),
        ("202603", "not_invoiceable", 15_000),
    ]
    assert datetime.fromisoformat(months[1]["opens_at"]) == OPENING
    assert months[2]["opens_at"] is None
    (goods,) = await story.get("/months", subject="ALIYUN_GOODS", cycle="202603")
    assert (goods["consumed_fen"], goods["refunded_fen"], goods["deficit_fen"], goods["invoiceable_net_fen"]) == (
        5_000,
        500,
        500,
        -500,
    )
    assert await story.get("/months", cycle="202512") == []


async def test_the_open_months_add_up_to_the_balance(story: Story) -> None:
    for one in await story.get("/balances"):
        months = [row for row in await story.get("/months", subject=one["subject"]) if row["state"] == "open"]
        for name in ("consumed_fen", "refunded_fen", "invoiced_fen", "in_progress_fen", "available_fen", "deficit_fen"):
            assert sum(month[name] for month in months) == one[name]
        assert sum(month["offset_fen"] for month in months) == one["offset_cost_fen"] - one["offset_accept_fen"]


async def test_usage_waits_for_the_bill_of_its_subject_and_month(story: Story) -> None:
    await story.bill(*(a_usage(f"U{n}", 10) for n in range(3)), a_usage("U9", at=MARCH_10 + timedelta(days=30)))
    found = await story.pages("/usage", "usage")
    assert [(one["number"], one["reason"]) for one in found] == [
        *((f"U{n}", "IN_ITS_BILL") for n in range(3)),
        ("U9", "BILL_NOT_SETTLED"),
    ]
    assert datetime.fromisoformat(found[-1]["earliest_at"]) == earliest_opening("202604")
    assert [one["number"] for one in await story.pages("/usage", "usage", number="U1")] == ["U1"]
    assert [one["number"] for one in await story.pages("/usage", "usage", cycle="202604")] == ["U9"]
    assert await story.pages("/usage", "usage", subject="ALIYUN_GOODS") == []


async def test_refunds_say_what_they_are_attached_to_or_since_when_they_wait(story: Story) -> None:
    await story.bill(a_refund("F8", of="LATER/1"), a_refund("F9", of="NEVER"))
    waiting = await story.pages("/refunds", "refunds", limit=1, state="waiting")
    assert [(one["number"], one["original_number"], one["waits_since"]) for one in waiting] == [
        ("F8", "LATER/1", "2026-03-11T02:00:00Z"),
        ("F9", "NEVER", "2026-03-11T02:00:00Z"),
    ]
    await story.bill(an_order("LATER/1", 20_000))
    found = await story.pages("/refunds", "refunds")
    assert [(one["number"], one["state"]) for one in found] == [
        *((f"F{n}", "attached") for n in (1, 2, 3, 8)),
        ("F9", "waiting"),
    ]
    (f8,) = await story.pages("/refunds", "refunds", number="F8")
    assert (f8["original_number"], f8["original_line"], f8["waits_since"]) == ("LATER/1", 1, None)
    assert [one["number"] for one in await story.pages("/refunds", "refunds", state="attached")] == [
        "F1",
        "F2",
        "F3",
        "F8",
    ]


async def test_the_documents_behind_a_request_are_in_the_order_in_which_they_were_taken(story: Story) -> None:
    taken = await story.reserve(request_id=7)
    rows = await story.pages("/reservations/7/items", "items")
    assert [(one["number"], one["line"], one["group_no"], one["reserved_fen"]) for one in rows] == [
        ("OPEN", 1, 1, 1_000),
        ("OPEN", 2, 1, 300),
        ("PARTLY", 1, 1, 1_500),
    ]
    assert sum(one["reserved_fen"] for one in rows) == taken.total_fen
    await story.issued(taken, 7)
    after = await story.pages("/reservations/7/items", "items", limit=1)
    assert [(one["invoiced_fen"], one["released_fen"]) for one in after] == [(1_000, 0), (300, 0), (1_500, 0)]
    await story.credited(taken, 7)
    back = await story.pages("/reservations/7/items", "items")
    assert [(one["invoiced_fen"], one["credited_fen"]) for one in back] == [(1_000, 1_000), (300, 300), (1_500, 1_500)]


async def test_a_member_s_document_is_not_named_to_whoever_took_it(story: Story) -> None:
    command = ReserveBalance(account_id=1, request_id=8, accounts=(2,), numbers=("OTHER",))
    await story.ledger.ask(command, story.clock.now())
    (row,) = await story.pages("/reservations/8/items", "items")
    assert (row["owner_id"], row["number"], row["reserved_fen"]) == (2, None, 77)


async def test_a_number_like_a_page_is_found_by_searching(story: Story) -> None:
    await story.bill(an_order("totals", 1), an_order("A/moves", 2), an_order("A", 3))
    for number in ("totals", "A/moves", "A"):
        assert await numbers(story, number=number) == [number]
    assert [one["cause"]["number"] for one in await story.pages("/items/A/moves", "moves")] == ["A"]
    assert [one["cause"]["number"] for one in await story.pages("/items/A/moves/moves", "moves")] == ["A/moves"]


@dataclass
class Explaining:
    """A connection that tells how it would answer."""

    db: Connection

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        return [row[0] for row in await self.db.fetch(f"EXPLAIN (COSTS OFF) {statement}", *values)]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"subject": SUBJECT},
        {"cycle": "202603"},
        {"subject": SUBJECT, "cycle": "202603", "state": "open"},
        {"number": "O77"},
        {"state": "open"},
        {"state": "in_deficit"},
        {"state": "offset"},
        {"since": MARCH_10 + 40 * HOUR},
    ],
)
async def test_a_page_is_a_walk_of_an_index(asked: dict[str, Any], ledger: Ledger) -> None:
    await ledger.bill(*(an_order(f"O{n}", at=MARCH_10 + n * timedelta(minutes=1)) for n in range(4_000)))
    owner = await connect(ledger.database.dsn)
    await owner.execute("ANALYZE item, balance_sum")
    await owner.close()
    async with ledger.database.read(1) as db:
        explaining: Any = Explaining(db)
        plan = await searching.items(explaining, 1, asked, MARCH_10, (MARCH_10 + 20 * HOUR, 7), 50)
    told = "\n".join(map(str, plan))
    assert "on item_" in told
    assert "Seq Scan on item_" not in told, told


BAD = [
    ("/items", {"state": "lost"}, "query.state"),
    ("/items", {"stat": "open"}, "query.stat"),
    ("/items", {"item_name": ""}, "query.item_name"),
    ("/items", {"item_name": "a\x00b"}, "query.item_name"),
    ("/items", {"number": "two words"}, "query.number"),
    ("/items", {"min_fen": -1}, "query.min_fen"),
    ("/items", {"max_fen": 10**30}, "query.max_fen"),
    ("/items", {"min_fen": 2, "max_fen": 1}, "query"),
    ("/items", {"since": "2026-03-11T00:00:00Z", "until": "2026-03-11T00:00:00Z"}, "query"),
    ("/items", {"since": "2026-03-11"}, "query.since"),
    ("/items", {"since": "1999-12-31T23:59:59Z"}, "query.since"),
    ("/items", {"until": "9999-12-31T23:59:59-23:59"}, "query.until"),
    ("/items/totals", {"limit": 5}, "query.limit"),
    ("/items/OPEN", {"state": "open"}, "query.state"),
    ("/items/OPEN/moves", {"as_of": "2026-03-11T00:00:00Z"}, "query.as_of"),
    ("/usage", {"state": "waiting"}, "query.state"),
    ("/refunds", {"state": "open"}, "query.state"),
    ("/months", {"cycle": "2026-03"}, "query.cycle"),
]


@pytest.mark.parametrize(("path", "asked", "field"), BAD)
async def test_what_cannot_be_asked_is_refused_and_named(
    path: str, asked: dict[str, Any], field: str, story: Story
) -> None:
    status, problem = await story.refused(path, **asked)
    assert (status, problem["code"]) == (422, "INVALID_REQUEST")
    assert [one["field"] for one in problem["errors"]] == [field]
    assert "Correct these fields" in problem["detail"]


@pytest.mark.parametrize(
    "path", ["/usage", "/refunds", "/items/OPEN/moves", "/reservations/6/items", "/explanation/refunds"]
)
@pytest.mark.parametrize("cursor", ["", "_", "zz_1", "46_-1", "1_1_1_1", "46_x", "-1", f"1_{2**60}", "ff_1"])
async def test_a_cursor_of_another_list_is_refused(path: str, cursor: str, story: Story) -> None:
    asked = {"subject": SUBJECT} if path.startswith("/explanation") else {}
    status, problem = await story.refused(path, cursor=cursor, **asked)
    assert (status, problem["code"], problem["cursor"]) == (422, "BAD_CURSOR", cursor)
