"""Business time: Asia/Shanghai, UTC+08:00 all year. The only module that knows the zone (R-7)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from json import loads
from pathlib import Path
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
BILLS_OPEN_ON, AUTO_INVOICING_ON = 3, 5
CACHED_MONTHS = 4096


@dataclass(frozen=True)
class _Year:
    days_off: frozenset[date]
    make_up_work_days: frozenset[date]


class YearUnknown(Exception):  # noqa: N818 - it names what is the matter
    """There is no official calendar for this year yet; nobody may guess a deadline."""


def day_of(moment: datetime) -> date:
    """The business day. A moment without an offset would be read in the zone of whatever machine this is: refused."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no offset; business time needs one")
    return moment.astimezone(SHANGHAI).date()


def cycle_of(moment: datetime) -> str:
    """The billing cycle, `YYYYMM`, in which a supply at this moment falls."""
    day = day_of(moment)
    return f"{day.year:04d}{day.month:02d}"


@lru_cache(CACHED_MONTHS)
def month_start(cycle: str) -> datetime:
    return datetime(int(cycle[:4]), int(cycle[4:]), 1, tzinfo=SHANGHAI)


def next_cycle(cycle: str) -> str:
    return cycle_of(month_start(cycle) + timedelta(days=31))


@lru_cache(CACHED_MONTHS)
def earliest_opening(cycle: str) -> datetime:
    """00:00 on the 3rd of the month after the cycle: no bill of the cycle is invoiceable before."""
    return month_start(next_cycle(cycle)).replace(day=BILLS_OPEN_ON)


def auto_invoicing_due(month: str) -> datetime:
    """00:00 on the 5th of `month`, for the bill of the month before."""
    return month_start(month).replace(day=AUTO_INVOICING_ON)


def is_business_day(day: date) -> bool:
    """Monday to Friday, but for official days off, and those weekend days that make up for them."""
    year = _year(day.year)
    if day in year.make_up_work_days:
        return True
    return day.weekday() < 5 and day not in year.days_off


def after_business_days(day: date, count: int) -> date:
    """The `count`-th business day after `day`."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_business_day(day)
    return day


@cache
def _year(year: int) -> _Year:
    path = Path(__file__).parent / "data" / f"calendar_cn_{year}.json"
    if not path.exists():
        raise YearUnknown(f"no calendar for {year}: add {path.name} when the State Council has published it")
    content = loads(path.read_text(encoding="utf-8"))
    return _Year(*(frozenset(map(date.fromisoformat, content[name])) for name in ("days_off", "make_up_work_days")))
