"""A line of the log says when it was logged, though the text of the time is kept for a second."""

import logging

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
