"""What upstream systems publish: facts in both modes of CloudEvents, the same ones again, what is for others, and what nobody can take."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from shared.contracts.accounts import CashToppedUp
from shared.contracts.billing import BillSettled, Line, OrderPaid, RefundLine, RefundSettled
from shared.contracts.message import Message
from shared.domain.calendar import cycle_of
from shared.runtime.envelope import VALUE_MAX_BYTES, write
from shared.runtime.transport import Outgoing
from tests.simulation.scene import START, Scene
from tests.support.world import an_account

ACCOUNTS = (1, 2, 3)
UNLUCKY = 3
LONG_EACH = 20
"""Each so many ids are longer than what an index takes."""
SUBJECTS = ("ALIYUN_SERVICE", "ALIYUN_GOODS", "ALICOM_TELECOM")
AHEAD = (timedelta(minutes=20), timedelta(hours=2))
"""How far some facts lie ahead: more than clocks of honest hosts differ by."""


class Upstream:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.random, self.stage = scene.random, scene.stage
        self.sent: list[tuple[Message, str, str]] = []
        """Good facts, with id and source."""
        self.spoiled: list[Outgoing] = []
        self.numbers: dict[int, list[str]] = {account: [] for account in ACCOUNTS}
        self._count = 0

    async def registrations(self) -> None:
        for account in ACCOUNTS:
            name = "FAIL_BUYER_TAXNO 公司" if account == UNLUCKY else f"模拟公司{account}"
            self._publish(an_account(account, name=name, at=START), "/upstream/accounts")
        self.scene.calm = True
        await self.stage.settle()
        self.scene.calm = False

    def _publish(self, message: Message, source: str) -> None:
        event_id = self._new_id()
        self.sent.append((message, event_id, source))
        self._append(message, event_id, source)

    def _new_id(self) -> str:
        self._count += 1
        return f"up-{self._count}" + ("-of-a-long-id" * 6 if self._count % LONG_EACH == 0 else "")

    def _append(self, message: Message, event_id: str, source: str) -> None:
        outgoing = self.random.choice((self._binary, self._binary, self._structured, self._loosely))
        record = self.stage.log.append(outgoing(message, event_id, source))
        self.scene.note("publish", type(message).__name__, event_id, record.partition, record.offset)

    def _binary(self, message: Message, event_id: str, source: str, **said: bytes | None) -> Outgoing:
        """`said`: other headers, or other values of the same ones."""
        written = write(message, self.stage.new_id(), source, self.stage.clock.now(), None)
        headers = (
            dict(written.headers)
            | {"ce_id": event_id.encode()}
            | {name.replace("__", "-"): one for name, one in said.items()}
        )
        return Outgoing(written.topic, written.key, written.value, tuple(headers.items()))

    def _loosely(self, message: Message, event_id: str, source: str) -> Outgoing:
        """As a language writes it that has one kind of number."""
        written = self._binary(message, event_id, source)
        value = re.sub(rb'("cash_fen":\d+)', rb"\1.0", written.value)
        return Outgoing(written.topic, written.key, value, written.headers)

    def _structured(self, message: Message, event_id: str, source: str, **said: Any) -> Outgoing:  # noqa: ANN401
        """`said`: other members of the event."""
        written = write(message, self.stage.new_id(), source, self.stage.clock.now(), None)
        attributes = {name.decode() if isinstance(name, bytes) else name: value for name, value in written.headers}
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": type(message).__name__,
            "time": (attributes["ce_time"] or b"").decode(),
            "datacontenttype": "application/json",
            "data": json.loads(written.value),
        } | said
        value = json.dumps(event).encode()
        return Outgoing(written.topic, written.key, value, (("content-type", b"application/cloudevents+json"),))

    async def fact(self) -> None:
        account, now = self.random.choice(ACCOUNTS), self.stage.clock.now()
        kind = self.random.choice(("order", "order", "bill", "refund", "cash"))
        if kind == "cash":
            self._publish(self._top_up(account), "/upstream/accounts")
            return
        number = f"D{self._count}"
        lines = (Line(subject=self.random.choice(SUBJECTS), cash_fen=self.random.randint(1, 50_000)),)
        if kind == "refund" and self.numbers[account]:
            refunded = (RefundLine(cash_fen=self.random.randint(1, 5_000)),)
            original = self.random.choice(self.numbers[account])
            said = {"account_id": account, "number": number, "original_number": original, "occurred_at": now}
            self._publish(RefundSettled(**said, lines=refunded), "/upstream/billing")
            return
        if kind == "bill":
            cycle = cycle_of(now - timedelta(days=40))
            bill = BillSettled(account_id=account, number=number, cycle=cycle, occurred_at=now, lines=lines)
            self._publish(bill, "/upstream/billing")
        else:
            order = OrderPaid(account_id=account, number=number, occurred_at=now, lines=lines)
            self._publish(order, "/upstream/billing")
        self.numbers[account].append(number)

    def _top_up(self, account: int, ahead: timedelta = timedelta()) -> CashToppedUp:
        at, number = self.stage.clock.now() + ahead, f"T{self._count}"
        return CashToppedUp(account_id=account, occurred_at=at, number=number, cash_fen=self.random.randint(1, 1000))

    def _order(self, ahead: timedelta = timedelta(), subject: str = SUBJECTS[0], number: str = "") -> OrderPaid:
        return OrderPaid(
            account_id=self.random.choice(ACCOUNTS),
            number=number or f"X{self._count}",
            occurred_at=self.stage.clock.now() + ahead,
            lines=(Line(subject=subject, cash_fen=self.random.randint(1, 50_000)),),
        )

    async def repeat(self) -> None:
        """An upstream that was not sure whether the first one went out; perhaps in the other mode."""
        message, event_id, source = self.random.choice(self.sent)
        self.scene.happened("event repeated")
        self._append(message, event_id, source)

    async def for_others(self) -> None:
        """A type that is meant for somebody else, and one that a later version of ours may know."""
        record = self._binary(self._order(), self._new_id(), "/upstream/billing", ce_type=b"CouponGranted")
        self.stage.log.append(record)
        self.scene.note("for others")

    async def early(self) -> None:
        """A fact whose time has not come."""
        ahead = self.random.choice(AHEAD)
        one: Message = (
            self._order(ahead) if self.random.random() < 0.5 else self._top_up(self.random.choice(ACCOUNTS), ahead)
        )
        source = "/upstream/accounts" if isinstance(one, CashToppedUp) else "/upstream/billing"
        self.scene.happened("fact from the future")
        self._append(one, self._new_id(), source)

    async def spoil(self) -> None:
        """A record that cannot take effect, whoever reads it; or one of them again."""
        if self.spoiled and self.random.random() < 0.2:
            record = self.random.choice(self.spoiled)
        else:
            kind = self.random.choice(SPOILED)
            self.scene.note(kind.__name__)
            record = kind(self, self._order())
            self.spoiled.append(record)
        self.stage.log.append(record)
        self.scene.happened("bad record")

    async def contradict(self) -> None:
        """The same event, or the same document, with other content."""
        message, event_id, source = self.random.choice(self.sent)
        if isinstance(message, CashToppedUp):
            other: Message = message.model_copy(update={"cash_fen": message.cash_fen + 1})
        elif isinstance(message, OrderPaid):
            event_id = self._new_id()
            other = message.model_copy(update={"lines": (Line(subject=SUBJECTS[0], cash_fen=1),)})
        else:
            return
        self.scene.happened("contradiction")
        self._append(other, event_id, source)

    # what cannot be taken

    def _with(self, value: Any, kind: bytes = b"application/json", **headers: bytes | None) -> Outgoing:  # noqa: ANN401
        written = self._binary(self._order(), self._new_id(), "/upstream/billing", content__type=kind, **headers)
        return Outgoing(written.topic, written.key, value, written.headers)

    def no_value(self, _: OrderPaid) -> Outgoing:
        return self._with(None)

    def no_text(self, _: OrderPaid) -> Outgoing:
        return self._with(b"\xff\xfe\x00{")

    def too_large(self, _: OrderPaid) -> Outgoing:
        return self._with(b" " * (VALUE_MAX_BYTES + 1))

    def too_deep(self, _: OrderPaid) -> Outgoing:
        value = b"[" * 100_000
        return self.random.choice((self._with(value), Outgoing("billing.events", b"1", value, ())))

    def no_event(self, order: OrderPaid) -> Outgoing:
        value = self.random.choice((order.model_dump_json().encode(), b"[1]", b"5", b"NaN", b"{"))
        return Outgoing(order.topic, str(order.account_id).encode(), value, ())

    def no_data(self, order: OrderPaid) -> Outgoing:
        return self._structured(order, self._new_id(), "/upstream/billing", data="text")

    def half_a_pair(self, order: OrderPaid) -> Outgoing:
        body = json.loads(order.model_dump_json(exclude_none=True))
        body["lines"][0]["item_name"] = "\ud800"
        return self._structured(order, self._new_id(), "/upstream/billing", data=body)

    def of_another_kind(self, order: OrderPaid) -> Outgoing:
        kind = self.random.choice(
            (b"text/plain", b"application/json; charset=gbk", b"application/cloudevents-batch+json")
        )
        if self.random.random() < 0.5:
            return self._binary(order, self._new_id(), "/upstream/billing", content__type=kind)
        return self._structured(order, self._new_id(), "/upstream/billing", datacontenttype=kind.decode())

    def bad_attribute(self, order: OrderPaid) -> Outgoing:
        wrong = (
            {"ce_specversion": b"0.3"},
            {"ce_time": b"yesterday"},
            {"ce_source": b""},
            {"ce_type": b"Order\nPaid"},
            {"ce_id": b"13912345678" * 200},
            {"ce_type": b"\xff"},
        )
        return self._binary(order, self._new_id(), "/upstream/billing", **self.random.choice(wrong))

    def odd_id(self, order: OrderPaid) -> Outgoing:
        return self._structured(order, self._new_id(), "/upstream/billing", id=7)

    def unknown_type(self, order: OrderPaid) -> Outgoing:
        return self._binary(order, self._new_id(), "/upstream/billing", ce_type=b"OrderPayed", traceparent=b"\xc3\xa9")

    def unknown_subject(self, _: OrderPaid) -> Outgoing:
        return self._binary(self._order(subject="NOBODYS"), self._new_id(), "/upstream/billing")

    def breaks_contract(self, order: OrderPaid) -> Outgoing:
        body = json.loads(order.model_dump_json(exclude_none=True))
        line = body["lines"][0]
        wrong: list[dict[str, object]] = [
            {"lines": []},
            {"lines": [line | {"cash_fen": "100"}]},
            {"lines": [line | {"cash_fen": 100.5}]},
            {"lines": [line | {"cash_fen": 1e40}]},
            {"lines": [line | {"item_name": "a\x00b"}]},
            {"lines": [line | {"item_name": "\ud800"}]},
            {"occurred_at": 1762822800},
            {"number": ""},
            {"account_id": 0},
            {"lines": [line | {"cash_fen": 100.0}], "currency": "USD"},
        ]
        return self._with(json.dumps(body | self.random.choice(wrong)).encode())

    def odd_header(self, order: OrderPaid) -> Outgoing:
        written = self._with(b"{", ce_x=b"\xff")
        return Outgoing(
            order.topic,
            b"\xff" if self.random.random() < 0.5 else b"",
            b"{",
            (*written.headers, ("\udcff", None), ("\ud8ff", b"")),
        )


SPOILED: tuple[Callable[[Upstream, OrderPaid], Outgoing], ...] = (
    *(Upstream.no_value, Upstream.no_text, Upstream.too_large, Upstream.too_deep, Upstream.no_event, Upstream.no_data),
    *(Upstream.half_a_pair, Upstream.of_another_kind, Upstream.bad_attribute, Upstream.odd_id, Upstream.unknown_type),
    *(Upstream.unknown_subject, Upstream.breaks_contract, Upstream.odd_header),
)
