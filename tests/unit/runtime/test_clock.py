"""A wall clock that is wrong: what business time makes of it, and that durations do not know of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.runtime.clock import SteppedClock

NEAR = timedelta(seconds=30)


def test_a_file_steps_the_wall_clock_of_a_process_that_runs_and_takes_the_step_back(tmp_path: Path) -> None:
    wrong_by = tmp_path / "clock"
    clock = SteppedClock(wrong_by)
    clock.offset = timedelta(days=1)
    for seconds in (3600, -240):
        wrong_by.write_text(str(seconds), encoding="utf-8")
        assert abs(clock.real() - datetime.now(UTC) - timedelta(seconds=seconds)) < NEAR
        assert abs(clock.now() - clock.real() - clock.offset) < NEAR
    before = clock.monotonic()
    wrong_by.unlink()
    assert abs(clock.real() - datetime.now(UTC)) < NEAR
    assert 0 <= clock.monotonic() - before < NEAR.total_seconds()
