"""A line of the log says when it was logged, though the text of the time is kept for a second."""

import logging
import sys

import pytest

from slurmband.cli.log import Line

pytestmark = pytest.mark.unit


def test_each_line_has_its_own_second() -> None:
    line, said = Line(), []

    for moment in (0.0, 1.0, 1.9, 60.0, 1.0):
        record = logging.LogRecord("slurmband", logging.INFO, "", 0, "began", (), None)
        record.created = moment
        said.append(line.format(record))

    times = ("00:00:00", "00:00:01", "00:00:01", "00:01:00", "00:00:01")
    assert said == [f"1970-01-01T{time}Z INFO began" for time in times]


def test_a_traceback_follows_the_line_that_it_belongs_to() -> None:
    try:
        raise ValueError("burnt")
    except ValueError:
        found = sys.exc_info()
    record = logging.LogRecord("slurmband", logging.ERROR, "", 0, "%s failed", ("bake",), found)

    first, *rest = Line().format(record).splitlines()

    assert first.endswith("Z ERROR bake failed")
    assert (rest[0], rest[-1]) == ("Traceback (most recent call last):", "ValueError: burnt")
