"""What stands behind everything else: lines that nothing should reach, and that must hold when something does."""

from typing import Any

import pytest
from pydantic import model_validator

from shared.contracts.billing import OrderPaid
from shared.runtime import progress
from shared.runtime.about import About, about
from shared.runtime.entries import Reader
from shared.runtime.envelope import Unreadable, read
from shared.runtime.facts import ids_in
from shared.runtime.transport import Partition, Record, name_bytes
from tests.support.counting import NOW, headers_of
from tests.support.examples import an_order

PLACE = Partition("billing.events", 0)
IMPOSSIBLE = Record(PLACE, 0, b"1", b"{}", ((None, b""),))  # type: ignore[arg-type]  # no name at all


class Odd(OrderPaid):
    @model_validator(mode="after")
    def _fails_by_itself(self) -> Any:  # noqa: ANN401
        raise ZeroDivisionError


def test_a_record_that_breaks_the_reader_is_unreadable_and_tells_nothing_of_itself() -> None:
    found = read(IMPOSSIBLE)
    assert isinstance(found, Unreadable)
    assert found.reason == "UNREADABLE"
    assert about(IMPOSSIBLE) == About()


def test_a_contract_that_fails_by_itself_makes_a_record_unreadable() -> None:
    body = an_order("O1", 100).model_dump_json(exclude_none=True).encode()
    record = Record(PLACE, 0, b"1", body, headers_of("OrderPaid"))
    entry = Reader("billing.events", {"OrderPaid": Odd}, ()).entry(record, NOW, NOW)
    assert isinstance(entry.envelope, Unreadable)
    assert (entry.envelope.reason, entry.message) == ("UNREADABLE", None)


def test_a_row_that_is_only_a_number_is_its_id() -> None:
    assert ids_in(7) == {"row": 7}


def test_a_name_that_came_as_bytes_stays_what_it_is() -> None:
    assert name_bytes(b"\xff") == b"\xff"


def test_each_commit_of_the_work_inside_is_told_and_none_after_it() -> None:
    told: list[str] = []
    with progress.tells(lambda: told.append("settled")):
        progress.committed()
    progress.committed()
    assert told == ["settled"]


def test_work_that_fails_tells_nothing_more() -> None:
    told: list[str] = []
    with pytest.raises(ZeroDivisionError), progress.tells(lambda: told.append("settled")):
        raise ZeroDivisionError
    progress.committed()
    assert told == []
