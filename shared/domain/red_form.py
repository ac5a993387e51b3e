"""The red confirmation form and its 72 hours: void unless the buyer confirms it in time (state 07)."""

from datetime import datetime, timedelta

FORM_HOURS = 72
REMIND_AT_HOURS_LEFT = (6, 24, 48, FORM_HOURS)


def hours_left(since: datetime, now: datetime) -> int:
    """Full hours until the form is void; a clock that is behind sees all of them."""
    return max(0, min(FORM_HOURS, (timedelta(hours=FORM_HOURS) - (now - since)) // timedelta(hours=1)))


def reminder_of(left: int) -> int:
    """Which of the four reminders it is time for, `left` being 0 to 72 hours."""
    return next(hours for hours in REMIND_AT_HOURS_LEFT if left <= hours)
