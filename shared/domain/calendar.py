"""Business time: Asia/Shanghai, UTC+08:00 all year. The only module that knows the zone (R-7)."""

from datetime import date, datetime, timedelta
from functools import cache
from json import loads
from pathlib import Path
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
BILLS_OPEN_ON, AUTO_INVOICING_ON = 3, 5


class YearUnknown(Exception):  # noqa: N818
    """There is no official calendar for this year yet; nobody may guess a deadline."""


def cycle_of(moment: datetime) -> str:
    """The billing cycle, `YYYYMM`, in which a supply at this moment falls."""
    return moment.astimezone(SHANGHAI).strftime("%Y%m")


def month_start(cycle: str) -> datetime:
    return datetime(int(cycle[:4]), int(cycle[4:]), 1, tzinfo=SHANGHAI)


def next_cycle(cycle: str) -> str:
    return cycle_of(month_start(cycle) + timedelta(days=31))


def previous_cycle(cycle: str) -> str:
    return cycle_of(month_start(cycle) - timedelta(days=1))


def earliest_opening(cycle: str) -> datetime:
    """00:00 on the 3rd of the month after the cycle: no bill of the cycle is invoiceable before."""
    return month_start(next_cycle(cycle)).replace(day=BILLS_OPEN_ON)


def opens_at(cycle: str, arrival: datetime) -> datetime:
    """The later of the 3rd, 00:00, and the arrival of the bill."""
    return max(earliest_opening(cycle), arrival)


def auto_invoicing_due(month: str) -> datetime:
    """00:00 on the 5th of `month`, for the bill of the month before."""
    return month_start(month).replace(day=AUTO_INVOICING_ON)


def is_business_day(day: date) -> bool:
    year = _year(day.year)
    if day.isoformat() in year["make_up_work_days"]:
        return True
    return day.weekday() < 5 and day.isoformat() not in year["days_off"]


def after_business_days(day: date, count: int) -> date:
    """The `count`-th business day after `day`."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_business_day(day)
    return day


@cache
def _year(year: int) -> dict[str, frozenset[str]]:
    path = Path(__file__).parent / "data" / f"calendar_cn_{year}.json"
    if not path.exists():
        raise YearUnknown(f"no calendar for {year}: add {path.name} when the State Council has published it")
    content = loads(path.read_text(encoding="utf-8"))
    return {name: frozenset(content[name]) for name in ("days_off", "make_up_work_days")}
