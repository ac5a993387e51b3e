"""How much one account may use of the edge, with the time as an argument."""

from contextlib import ExitStack

import pytest

from services.gateway.callers import throttle as module
from services.gateway.callers.throttle import Throttle, Throttled


def refused(throttle: Throttle, account_id: int, now: float) -> Throttled | None:
    try:
        with throttle.using(account_id, now):
            return None
    except Throttled as reached:
        return reached


def test_an_account_has_so_many_requests_under_way_and_no_other_notices() -> None:
    throttle = Throttle(at_once=3, per_second=100, burst=100)
    with ExitStack() as under_way:
        for _ in range(3):
            under_way.enter_context(throttle.using(7, 0.0))
        reached = refused(throttle, 7, 0.0)
        assert reached is not None
        assert reached.limit == "3 requests at once"
        assert refused(throttle, 8, 0.0) is None
    assert refused(throttle, 7, 0.0) is None, "they have ended"


def test_a_request_that_fails_has_ended_too() -> None:
    throttle = Throttle(at_once=1, per_second=100, burst=100)
    with pytest.raises(ValueError, match="bug"), throttle.using(7, 0.0):
        raise ValueError("bug")
    assert refused(throttle, 7, 0.0) is None


def test_an_account_asks_so_often_a_second_after_a_burst() -> None:
    throttle = Throttle(at_once=100, per_second=2, burst=5)
    assert [refused(throttle, 7, 0.0) is None for _ in range(6)] == [True] * 5 + [False]
    assert [refused(throttle, 7, 1.0) is None for _ in range(3)] == [True, True, False]
    assert [refused(throttle, 7, 3600.0) is None for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(("per_second", "seconds"), [(0.1, 10), (1, 1), (50, 1)])
def test_it_is_said_when_to_come_back(per_second: float, seconds: int) -> None:
    throttle = Throttle(at_once=100, per_second=per_second, burst=1)
    assert refused(throttle, 7, 0.0) is None
    reached = refused(throttle, 7, 0.0)
    assert reached is not None
    assert seconds <= reached.retry_after_seconds <= seconds + 1
    assert refused(throttle, 7, float(reached.retry_after_seconds)) is None


def test_what_is_known_of_accounts_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACCOUNTS_MAX", 10)
    throttle = Throttle(at_once=1, per_second=1, burst=1)
    for account_id in range(1000):
        refused(throttle, account_id, float(account_id))
    assert len(throttle._uses) <= 10
