"""Business time."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.calendar import (
    SHANGHAI,
    YearUnknown,
    after_business_days,
    auto_invoicing_due,
    cycle_of,
    day_of,
    earliest_opening,
    is_business_day,
    month_start,
    next_cycle,
)

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - takes naive bounds


@pytest.mark.parametrize(
    ("moment", "cycle", "opening"),
    [
        ("2026-03-31T15:59:59+00:00", "202603", "2026-04-03T00:00:00+08:00"),
        ("2026-03-31T16:00:00+00:00", "202604", "2026-05-03T00:00:00+08:00"),
        ("2026-12-31T23:59:59+08:00", "202612", "2027-01-03T00:00:00+08:00"),
        ("2026-12-31T20:00:00-05:00", "202701", "2027-02-03T00:00:00+08:00"),
    ],
)
def test_the_month_of_supply_and_its_opening_follow_shanghai(moment: str, cycle: str, opening: str) -> None:
    assert cycle_of(datetime.fromisoformat(moment)) == cycle
    assert earliest_opening(cycle) == datetime.fromisoformat(opening)


def test_auto_invoicing_is_due_when_the_fifth_begins_in_shanghai() -> None:
    assert auto_invoicing_due("202604") == datetime(2026, 4, 4, 16, tzinfo=UTC)


@pytest.mark.parametrize(("cycle", "following"), [("202601", "202602"), ("202602", "202603"), ("202612", "202701")])
def test_months_follow_each_other(cycle: str, following: str) -> None:
    assert next_cycle(cycle) == following


@given(MOMENTS)
def test_a_moment_lies_within_its_cycle_and_opens_after_it(moment: datetime) -> None:
    cycle = cycle_of(moment)
    assert month_start(cycle) <= moment < month_start(next_cycle(cycle)) < earliest_opening(cycle)
    assert earliest_opening(cycle) < auto_invoicing_due(next_cycle(cycle))


@given(MOMENTS, st.integers(-12, 14))
def test_the_zone_a_moment_is_written_in_changes_nothing(moment: datetime, hours: int) -> None:
    assert day_of(moment.astimezone(timezone(timedelta(hours=hours)))) == day_of(moment)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        cycle_of(datetime(2026, 3, 10))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-01-01", False),
        ("2026-01-04", True),
        ("2026-02-13", True),
        ("2026-02-14", True),
        ("2026-02-23", False),
        ("2026-02-28", True),
        ("2026-03-07", False),
        ("2026-03-09", True),
        ("2026-05-09", True),
        ("2026-09-20", True),
        ("2026-10-07", False),
        ("2026-10-08", True),
        ("2026-10-10", True),
    ],
)
def test_days_off_and_days_that_make_up_for_them(day: str, works: bool) -> None:
    assert is_business_day(date.fromisoformat(day)) is works


def test_the_year_2026_has_as_many_working_days_as_the_state_council_says() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    assert sum(map(is_business_day, days)) == 248


@pytest.mark.parametrize(
    ("day", "count", "deadline"),
    [
        ("2026-03-06", 1, "2026-03-09"),
        ("2026-02-13", 1, "2026-02-14"),
        ("2026-02-14", 1, "2026-02-24"),
        ("2026-09-30", 3, "2026-10-10"),
        ("2026-03-10", 0, "2026-03-10"),
    ],
)
def test_a_deadline_in_business_days(day: str, count: int, deadline: str) -> None:
    assert after_business_days(date.fromisoformat(day), count) == date.fromisoformat(deadline)


def test_a_year_without_an_official_calendar_is_not_guessed() -> None:
    with pytest.raises(YearUnknown, match=r"calendar_cn_2099\.json"):
        is_business_day(date(2099, 1, 1))
    with pytest.raises(YearUnknown):
        after_business_days(date(2026, 12, 31), 1)


def test_shanghai_is_eight_hours_ahead_all_year() -> None:
    days = [datetime(2026, month, 15, tzinfo=SHANGHAI) for month in range(1, 13)]
    assert {day.utcoffset() for day in days} == {timedelta(hours=8)}
