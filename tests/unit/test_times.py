"""Times are written in UTC, and durations in as many words as one needs."""

import pytest

from slurmband.observe.times import duration, iso

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00Z"),
        (1769846400.0, "2026-01-31T08:00:00Z"),
        (1769846400.9, "2026-01-31T08:00:00Z"),
    ],
)
def test_a_time_is_written_in_utc(seconds: float | None, text: str | None) -> None:
    assert iso(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (10.0, "10 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
        (86399.0, "23 h 59 min"),
        (86400.0, "1 d 00 h"),
        (97200.0, "1 d 03 h"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
