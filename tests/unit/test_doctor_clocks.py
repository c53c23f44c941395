"""A clock is wrong by as much as it certainly is, and only where a server stamps files."""

import os
from pathlib import Path

import pytest

from slurmband.doctor import clocks
from slurmband.doctor.findings import Level

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("stamp", "level", "says"),
    [
        (1000.0, Level.OK, "within 2 s"),
        (1001.0, Level.OK, "within 2 s"),  # written between the two looks, which were 3 s apart
        (998.5, Level.OK, "within 2 s"),
        (997.0, Level.NOTE, "3.0 s ahead of the file server"),
        (1008.0, Level.NOTE, "5.0 s behind the file server"),
        (1303.0, Level.WARNING, "300.0 s behind the file server"),
        (700.0, Level.WARNING, "300.0 s ahead of the file server"),
    ],
)
def test_how_far_the_clock_is_off(stamp: float, level: Level, says: str) -> None:
    found = clocks.judge(stamp, before=1000.0, after=1003.0)

    assert (found.level, says in found.found) == (level, True), found


def test_the_stamp_of_a_new_file_is_compared(tmp_path: Path) -> None:
    found = clocks.compare(tmp_path, "nfs4", now=lambda: 1000.0)

    (written,) = tmp_path.iterdir()
    apart = os.stat(written).st_mtime - 1000.0
    assert f"{apart:.1f} s behind" in found.found


def test_where_the_machine_itself_stamps_files_nothing_is_compared(tmp_path: Path) -> None:
    found = clocks.compare(tmp_path, "lustre", now=lambda: 1000.0)

    assert found.level is Level.OK
    assert list(tmp_path.iterdir()) == []
