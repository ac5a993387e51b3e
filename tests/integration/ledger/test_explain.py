"""A balance explained: now and at every past moment, down to documents and moves; and the page of the manual that shows it."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.ledger.explanation.rules import TERMS
from shared.contracts.billing import BillAdjusted, RefundLine
from shared.domain.calendar import SHANGHAI, earliest_opening
from tests.integration.ledger.desk import Desk
from tests.integration.ledger.story import SUBJECT, Story, a_line, a_usage, an_order_of, telling
from tests.support.examples import MARCH_10, a_bill, a_refund, an_order
from tests.support.ledger import Ledger

pytestmark = pytest.mark.database

MANUAL = Path(__file__).parents[3] / "docs" / "explain.md"
HOUR = timedelta(hours=1)
OPENING = earliest_opening("202603")
WITH_CAUSES = ("refunds", "invoiced", "in_progress", "offset_cost", "offset_accept")
EXAMPLE = re.compile(r"`GET (/\S+)`\n+```json\n(.*?)```", re.DOTALL)


@pytest.fixture
async def story(ledger: Ledger) -> AsyncIterator[Story]:
    async with telling(ledger) as story:
        yield story


Step = Callable[[Story, dict[str, Any]], Awaitable[Any]]


async def _reserve(story: Story, kept: dict[str, Any], *numbers: str, request_id: int) -> None:
    kept[str(request_id)] = await story.reserve(*numbers, request_id=request_id)


STEPS: list[tuple[datetime, Step]] = [
    (
        MARCH_10,
        lambda story, _: story.bill(an_order_of(a_line(70_000, list_fen=100_000, voucher_fen=30_000), number="O1")),
    ),
    (
        MARCH_10 + HOUR,
        lambda story, _: story.bill(an_order("O2", 50_000), an_order("G1", 9_000, subject="ALIYUN_GOODS")),
    ),
    (
        MARCH_10 + 2 * HOUR,
        lambda story, _: story.bill(
            an_order_of(a_line(1_234, order_type="domain_auction"), number="N1"),
            an_order_of(a_line(800, list_fen=900), a_line(4_321, order_type="marketplace_vendor"), number="V1"),
            a_usage(),
        ),
    ),
    (MARCH_10 + 3 * HOUR, lambda story, kept: _reserve(story, kept, "O1", request_id=1)),
    (MARCH_10 + 4 * HOUR, lambda story, kept: story.issued(kept["1"], 1)),
    (MARCH_10 + 5 * HOUR, lambda story, _: story.bill(a_refund("F1", of="O1", cash_fen=20_000))),
    (MARCH_10 + 6 * HOUR, lambda story, _: story.bill(a_refund("F2", of="O3", cash_fen=1_000))),
    (MARCH_10 + 7 * HOUR, lambda story, kept: _reserve(story, kept, "O2", request_id=2)),
    (MARCH_10 + 8 * HOUR, lambda story, _: story.bill(an_order("O3", 6_000))),
    (MARCH_10 + 9 * HOUR, lambda story, kept: story.failed(kept["2"], 2)),
    (MARCH_10 + 10 * HOUR, lambda story, _: story.bill(a_bill("B1", 80_000, at=MARCH_10 + 10 * HOUR))),
    (MARCH_10 + 11 * HOUR, lambda story, _: story.pay_deficit(request_id=3)),
    (MARCH_10 + 12 * HOUR, lambda story, kept: _reserve(story, kept, "O2", "O3", request_id=4)),
    (MARCH_10 + 13 * HOUR, lambda story, kept: story.issued(kept["4"], 4)),
    (OPENING - timedelta(microseconds=1), lambda story, _: story.bill()),
    (OPENING, lambda story, _: story.bill()),
    (
        OPENING + HOUR,
        lambda story, _: story.bill(
            BillAdjusted(
                account_id=1,
                number="A1",
                original_number="B1",
                cycle="202603",
                occurred_at=OPENING,
                refunds=(RefundLine(cash_fen=5_000),),
                lines=(a_line(700),),
            )
        ),
    ),
    (OPENING + 2 * HOUR, lambda story, kept: _reserve(story, kept, "B1", request_id=5)),
    (OPENING + 3 * HOUR, lambda story, kept: story.credited(kept["4"], 4)),
    (OPENING + 4 * HOUR, lambda story, _: story.released(5)),
    (OPENING + 5 * HOUR, lambda story, kept: story.credited(kept["1"], 1)),
]


async def tell(story: Story) -> None:
    """From the first step to the last."""
    kept: dict[str, Any] = {}
    for moment, step in STEPS:
        await step(story.at(moment), kept)


async def test_a_past_balance_is_what_was_said_then(story: Story) -> None:
    kept: dict[str, Any] = {}
    said: list[tuple[datetime, Any, Any]] = []
    for moment, step in STEPS:
        await step(story.at(moment), kept)
        told = await story.get("/explanation", subject=SUBJECT)
        said.append((moment, await story.get("/balances"), told))
    assert len({json.dumps(balances) for _, balances, _ in said}) > len(said) // 2
    until = [moment for moment, *_ in said[1:]] + [OPENING + 6 * HOUR]
    story.at(until[-1])
    for (moment, balances, told), next_moment in zip(said, until, strict=True):
        for as_of in (moment, next_moment - timedelta(microseconds=1)):
            assert await story.get("/balances", as_of=as_of.isoformat()) == balances, moment
            then = await story.get("/explanation", subject=SUBJECT, as_of=as_of.isoformat())
            assert then["lines"] == told["lines"], moment
    before = (MARCH_10 - timedelta(microseconds=1)).isoformat()
    assert await story.get("/balances", as_of=before) == []


async def test_every_term_is_the_sum_of_its_documents_now_and_at_every_past_moment(story: Story) -> None:
    await tell(story)
    moments: list[dict[str, Any]] = [{}, *({"as_of": moment.isoformat()} for moment, _ in STEPS[2::4])]
    for asked in moments:
        told = await story.get("/explanation", subject=SUBJECT, **asked)
        for line in told["lines"]:
            rows = await story.pages(f"/explanation/{line['term']}", "documents", subject=SUBJECT, **asked)
            assert sum(row["fen"] for row in rows) == line["fen"], (line["term"], asked)
            assert len({row["item_id"] for row in rows}) == len(rows)
            told_why = [row for row in rows if line["term"] in WITH_CAUSES]
            assert all(sum(cause["fen"] for cause in row["causes"]) == row["fen"] for row in told_why)


async def test_a_document_of_a_term_names_what_brought_it_there(story: Story) -> None:
    await tell(story)
    refunds = await story.pages("/explanation/refunds", "documents", subject=SUBJECT)
    assert [(row["number"], row["causes"]) for row in refunds] == [
        ("O1", [{"kind": "refund", "number": "F1", "line": 1, "fen": -20_000}]),
        ("O3", [{"kind": "refund", "number": "F2", "line": 1, "fen": -1_000}]),
        ("B1", [{"kind": "refund", "number": "A1", "line": 1, "fen": -5_000}]),
    ]
    then = (MARCH_10 + 4 * HOUR).isoformat()
    (invoiced,) = await story.pages("/explanation/invoiced", "documents", subject=SUBJECT, as_of=then)
    assert (invoiced["number"], invoiced["causes"]) == (
        "O1",
        [{"kind": "part", "number": "1", "line": None, "fen": -70_000}],
    )


async def test_the_explanation_ends_where_the_balance_is(story: Story) -> None:
    kept: dict[str, Any] = {}
    for moment, step in STEPS:
        await step(story.at(moment), kept)
        balances = {one["subject"]: one for one in await story.get("/balances")}
        for subject, one in balances.items():
            told = await story.get("/explanation", subject=subject)
            fen = {line["term"]: line["fen"] for line in told["lines"]}
            assert told["lines"][-1]["left_fen"] == one["invoiceable_net_fen"] == told["invoiceable_net_fen"]
            assert (told["available_fen"], told["deficit_fen"]) == (one["available_fen"], one["deficit_fen"])
            assert (told["consumed_fen"], -fen["refunds"]) == (one["consumed_fen"], one["refunded_fen"])
            assert (-fen["invoiced"], -fen["in_progress"]) == (one["invoiced_fen"], one["in_progress_fen"])
            assert (-fen["offset_cost"], fen["offset_accept"]) == (one["offset_cost_fen"], one["offset_accept_fen"])
            assert one["invoiceable_net_fen"] == (
                one["consumed_fen"] - one["refunded_fen"] - one["invoiced_fen"] - one["in_progress_fen"]
                - one["offset_cost_fen"] + one["offset_accept_fen"]
            )  # fmt: skip


async def test_what_is_held_for_a_large_request_is_a_term_until_its_documents_are_picked(desk: Desk) -> None:
    async with telling(desk.ledger, MARCH_10 + timedelta(days=10)) as story:
        await desk.opened()
        assert await desk.ask() == []
        for taken in (0, 0, 200, 400, 600):
            told = await story.get("/explanation", subject=SUBJECT)
            fen = {line["term"]: line["fen"] for line in told["lines"]}
            held = 0 if story.clock.now() == MARCH_10 + timedelta(days=10) else 600
            (balance,) = await story.get("/balances")
            assert (fen["in_allocation"], fen["in_progress"]) == (taken - held, -taken)
            assert (told["available_fen"], held) == (balance["available_fen"], balance["in_progress_fen"])
            page = await story.get("/explanation/in_allocation", subject=SUBJECT, limit=1)
            assert (sum(one["fen"] for one in page["documents"]), page["next"]) == (taken - held, None)
            found = await story.pages("/reservations/1/items", "items")
            assert sum(one["reserved_fen"] for one in found) == taken
            await desk.allocating()
            story.clock.advance(1)


async def test_the_history_of_a_document_says_why_each_fen_moved(story: Story) -> None:
    await tell(story)
    moves = [
        (one["cause"]["kind"], one["cause"]["number"], one["cause"]["line"], one["to_bucket"], one["amount_fen"])
        for one in await story.pages("/items/O1/moves", "moves")
    ]
    assert moves == [
        ("settled", "O1", 1, "invoiceable", 70_000),
        ("request", "1", None, "reserved", 70_000),
        ("part", "1", None, "invoiced", 70_000),
        ("refund", "F1", 1, "outside", 20_000),
        ("request", "2", None, "invoiceable", 20_000),
        ("part", "2", None, "offset", 20_000),
        ("request", "3", None, "invoiceable", 20_000),
        ("credit", "1", None, "invoiceable", 70_000),
    ]
    (item,) = await story.get("/items/O1")
    last = (await story.get("/items/O1/moves"))["moves"][-1]
    for name in ("refunded_fen", "invoiceable_fen", "reserved_fen", "invoiced_fen", "offset_fen"):
        assert last[name] == item[name]


async def test_each_history_ends_where_its_item_is(story: Story) -> None:
    await tell(story)
    for item in await story.pages("/items", "items"):
        history = [
            one
            for one in await story.pages(f"/items/{item['number']}/moves", "moves")
            if one["item_id"] == item["item_id"]
        ]
        for name in ("refunded_fen", "invoiceable_fen", "reserved_fen", "invoiced_fen", "offset_fen"):
            assert history[-1][name] == item[name]


@pytest.mark.parametrize("path", ["/balances", "/explanation", "/explanation/refunds"])
@pytest.mark.parametrize(
    "as_of", ["2026-03-10T10:00:01+08:00", "1999-12-31T23:59:59Z", "2100-01-01T00:00:01Z", "0001-01-01T00:00:00+23:59"]
)
async def test_only_a_past_moment_since_2000_can_be_looked_back_to(path: str, as_of: str, story: Story) -> None:
    asked = {"as_of": as_of} | ({} if path == "/balances" else {"subject": SUBJECT})
    status, problem = await story.refused(path, **asked)
    assert (status, problem["code"]) == (422, "BAD_AS_OF")
    assert datetime.fromisoformat(problem["as_of"]) == datetime.fromisoformat(as_of)
    assert "Leave as_of out" in problem["detail"]


@pytest.mark.parametrize("as_of", ["yesterday", "2026-03-10T10:00:00", "2026-13-10T10:00:00Z", ""])
async def test_a_moment_is_written_with_its_offset(as_of: str, story: Story) -> None:
    status, problem = await story.refused("/balances", as_of=as_of)
    assert (status, problem["code"], problem["errors"][0]["field"]) == (422, "INVALID_REQUEST", "query.as_of")


async def test_the_plus_of_an_offset_may_be_written_as_it_is(story: Story) -> None:
    answer = await story.http.get("/accounts/1/balances?as_of=2026-03-10T10:00:00+08:00")
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        ("/explanation", {}, "query.subject"),
        ("/explanation", {"subject": SUBJECT, "asof": "2026-03-01T00:00:00Z"}, "query.asof"),
        ("/explanation/rumours", {"subject": SUBJECT}, "path.term"),
        ("/explanation/refunds", {"subject": SUBJECT, "limit": 0}, "query.limit"),
        ("/balances", {"subject": SUBJECT}, "query.subject"),
        ("/reservations/0/items", {}, "path.request_id"),
    ],
)
async def test_what_cannot_be_asked_is_named(path: str, asked: dict[str, Any], field: str, story: Story) -> None:
    status, problem = await story.refused(path, **asked)
    assert (status, problem["code"], problem["errors"][0]["field"]) == (422, "INVALID_REQUEST", field)


async def test_what_is_not_there_is_said_with_what_to_do(story: Story) -> None:
    await story.bill(a_usage(), a_refund("F9", of="O9"))
    status, problem = await story.refused("/explanation", subject="ALIYUN_SERVCE")
    assert (status, problem["code"], problem["subject"]) == (404, "NO_SUCH_SUBJECT", "ALIYUN_SERVCE")
    assert SUBJECT in problem["detail"]
    for number, places in (("O9", []), ("U1", ["usage"]), ("F9", ["refunds"])):
        for path in (f"/items/{number}", f"/items/{number}/moves"):
            status, problem = await story.refused(path)
            assert (status, problem["code"], problem["found_in"]) == (404, "NOT_FOUND", places)
    status, problem = await story.refused("/reservations/7/items")
    assert (status, problem["code"], problem["request_id"]) == (404, "NOT_FOUND", 7)


async def test_a_subject_without_consumption_is_explained_as_nothing(story: Story) -> None:
    told = await story.get("/explanation", subject="ALIYUN_GOODS")
    assert [(line["term"], line["fen"]) for line in told["lines"]] == [(term, 0) for term in TERMS]


async def told_in_the_manual(story: Story) -> None:
    """The case of `docs/explain.md`."""
    april = datetime(2026, 4, 2, 9, tzinfo=SHANGHAI)
    server = a_line(700_000, list_fen=1_000_000, voucher_fen=300_000, product_code="ecs", item_name="云服务器 ECS")
    await story.bill(an_order_of(server, number="O1"))
    disk = a_line(180_000, list_fen=200_000, product_code="nas", item_name="文件存储 NAS")
    await story.bill(an_order_of(disk, number="O2", at=MARCH_10 + HOUR))
    auction = a_line(50_000, order_type="domain_auction", item_name="域名竞价")
    await story.bill(an_order_of(auction, number="O3", at=MARCH_10 + 2 * HOUR))
    await story.at(MARCH_10 + 24 * HOUR).issued(await story.reserve("O1", request_id=1), 1)
    await story.at(MARCH_10 + 48 * HOUR).bill(a_refund("F1", of="O1", cash_fen=120_000))
    await story.bill(a_bill("B1", 60_000, at=april - HOUR))
    await story.at(april).reserve("O2", request_id=2, amount_fen=40_000)


async def test_the_manual_shows_what_is_answered(story: Story) -> None:
    await told_in_the_manual(story)
    examples = EXAMPLE.findall(MANUAL.read_text(encoding="utf-8"))
    assert len(examples) >= 5
    for path, shown in examples:
        answer = await story.http.get(f"/accounts/1{path}")
        assert answer.json() == json.loads(shown), f"{path}\n{json.dumps(answer.json(), indent=2, ensure_ascii=False)}"
