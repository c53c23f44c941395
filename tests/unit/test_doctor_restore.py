"""No backup takes the place of a database that somebody may be using, and no trace is misread after."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from slurmband.doctor import restore
from slurmband.domain.processes import ProcessIdentity
from slurmband.domain.workers import Worker
from slurmband.errors import UsageError
from slurmband.liveness.beats import Beats
from slurmband.liveness.journal import Journal
from slurmband.mounts import Mount
from slurmband.processes import identify
from slurmband.store.layout import Layout
from slurmband.store.restoring import Present
from tests.store.builders import COMPLETED, ELSEWHERE

pytestmark = pytest.mark.unit

ON_DISK, ON_LUSTRE = Mount("/", "ext4", ()), Mount("/", "lustre", ())
TIMEOUT = 60.0


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "slurmband.sqlite")
    made.make()
    return made


def beat(layout: Layout, key: int, *, seconds_ago: float) -> None:
    beats = Beats(layout.beats)
    beats.start(key)
    stamp = beats.file(key).stat().st_mtime - seconds_ago
    os.utime(beats.file(key), (stamp, stamp))


def alive(layout: Layout, process: ProcessIdentity, mount: Mount = ON_DISK) -> list[str]:
    worker = Worker(7, "36_1", process, None)
    return restore.may_be_alive(layout, Present([(worker, TIMEOUT)], {}), mount)


ME = identify()
DEAD_HERE = replace(ME, start_ticks=ME.start_ticks + 1)


@pytest.mark.parametrize(
    ("process", "seconds_ago", "mount", "says"),
    [
        (ME, 9999.0, ON_DISK, ["36_1"]),
        (DEAD_HERE, 0.0, ON_DISK, []),
        (ELSEWHERE, 1.0, ON_DISK, ["36_1"]),
        (ELSEWHERE, 1.5 * TIMEOUT, ON_DISK, ["36_1"]),
        (ELSEWHERE, 2.5 * TIMEOUT, ON_DISK, []),
        (ELSEWHERE, 9999.0, ON_LUSTRE, ["36_1"]),  # its age cannot be told there
    ],
)
def test_who_may_be_alive(
    layout: Layout, process: ProcessIdentity, seconds_ago: float, mount: Mount, says: list[str]
) -> None:
    beat(layout, 7, seconds_ago=seconds_ago)

    assert alive(layout, process, mount) == says


@pytest.mark.parametrize(("seconds_ago", "says"), [(1.0, ["worker 7"]), (2 * restore.SILENCE, [])])
def test_without_a_database_the_beats_tell(
    layout: Layout, seconds_ago: float, says: list[str]
) -> None:
    beat(layout, 7, seconds_ago=seconds_ago)

    assert restore.may_be_alive(layout, None, ON_DISK) == says


@pytest.mark.parametrize(("directory", "newest"), [("33", 41), ("44", 44)])
def test_files_tell_which_numbers_were_given_out(
    layout: Layout, directory: str, newest: int
) -> None:
    assert restore.traces(layout) == {"workers": 0, "attempts": 0, "events": 0}
    beat(layout, 7, seconds_ago=0.0)
    journal = Journal(layout.journals, 9, durable=False)
    journal.begun(41)
    journal.ended(40, COMPLETED)
    journal.close()
    (layout.attempts / directory).mkdir(parents=True)
    layout.notice.write_text(f"{123:016}")

    assert restore.traces(layout) == {"workers": 9, "attempts": newest, "events": 123}


def test_a_backup_is_found_by_its_name_or_as_a_file(layout: Layout, tmp_path: Path) -> None:
    layout.backups.mkdir()
    (layout.backups / "a.sqlite").touch()
    (tmp_path / "b.sqlite").touch()

    assert restore.find(layout, "a.sqlite") == layout.backups / "a.sqlite"
    assert restore.find(layout, str(tmp_path / "b.sqlite")) == tmp_path / "b.sqlite"
    with pytest.raises(UsageError, match="lists those there are"):
        restore.find(layout, "c.sqlite")
