"""A platform on a desk, with a clock that stands, and the drafts for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.sandbox.tax_platform.core import Platform, Storage

SERIAL = "S0000000000000000001"
RED, OTHER_RED = "R0000000000000000001", "R0000000000000000002"
BLUE = "26332000000000000001"
BUYERS_FORM = "330126112400000001"
DELAY_SECONDS = 0.3
SELLER = {"name": "示例云计算有限公司", "tax_id": "91330106673959654P"}
BANK = {"address": "", "phone": "", "bank_name": "", "bank_account": ""}


def a_draft(serial: str = SERIAL, name: str = "示例科技有限公司", remark: str = "") -> dict[str, Any]:
    line = {"name": "*信息技术服务*云服务", "spec": "", "net_fen": 10_000, "tax_percent": 6, "tax_fen": 600}
    return {
        "serial": serial,
        "kind": "special",
        "seller": SELLER | BANK,
        "buyer": {"name": name, "tax_id": "91110108769914581E"} | BANK,
        "lines": [line | {"tax_code": "3040203000000000000"}],
        "gross_fen": 10_600,
        "net_fen": 10_000,
        "tax_fen": 600,
        "remark": remark,
        "drawer": "开票员",
    }


@dataclass
class Desk:
    """A platform with a clock that stands until it is moved."""

    storage: Storage
    rows: Callable[[], list[dict[str, Any]]]
    at: datetime = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    platform: Platform = field(init=False)

    def __post_init__(self) -> None:
        self.platform = Platform(self.storage, lambda: self.at, 0.3)

    def wait(self, seconds: float = 1.0) -> None:
        self.at += timedelta(seconds=seconds)

    def states(self, serial: str = SERIAL) -> str:
        return str(self.platform.query(serial)["state"])

    def issued(self) -> list[dict[str, Any]]:
        return [row for row in self.rows() if row["event"] == "issued"]


def a_red(serial: str = RED, form_number: str = "", remark: str = "", blue_number: str = BLUE) -> dict[str, Any]:
    line = a_draft()["lines"][0] | {"net_fen": -10_000, "tax_fen": -600}
    return {
        "serial": serial,
        "blue_number": blue_number,
        "seller_tax_id": SELLER["tax_id"],
        "reason": "sales_return",
        "lines": [line],
        "gross_fen": -10_600,
        "net_fen": -10_000,
        "tax_fen": -600,
        "remark": remark,
        "form_number": form_number,
    }


def with_blue(desk: Desk, name: str = "示例科技有限公司", remark: str = "") -> Desk:
    desk.platform.submit(a_draft(name=name, remark=remark))
    desk.platform.finish(SERIAL, "issued")
    desk.platform.ended.clear()
    return desk


def form_state(desk: Desk, serial: str = RED) -> str:
    """Of the form; of an issued invoice "issued"."""
    answer = desk.platform.query(serial)
    return str(answer.get("form_state", answer["state"]))


def code(answer: dict[str, Any]) -> str:
    assert answer["state"] == "rejected"
    return str(answer["code"])
