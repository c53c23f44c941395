"""A journal is read back as it was written, and a crash costs no more than the line it cut."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmband.domain.attempts import Ending, Outcome, Reason
from slurmband.errors import JournalFault
from slurmband.liveness.journal import SYNC_EVERY, Journal, read

pytestmark = pytest.mark.unit

WORKER = 7
COMPLETED = Ending(Outcome.COMPLETED)
FAILED = Ending(Outcome.FAILED, "ValueError: \N{SNOWMAN}", 'Traceback:\n  "x"\n\0')
RELEASED = Ending(Outcome.RELEASED, Reason.DRAINED)


@pytest.fixture(params=[True, False], ids=["durable", "not durable"])
def journal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Journal]:
    """Open the journal of worker 7 in the test's own folder."""
    opened = Journal(tmp_path, WORKER, durable=request.param)
    yield opened
    opened.close()


def spoil(folder: Path, old: bytes, new: bytes) -> None:
    (file,) = folder.iterdir()
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new))


@pytest.mark.parametrize("ending", [COMPLETED, FAILED, RELEASED])
def test_what_began_and_ended_is_read_back(
    journal: Journal, tmp_path: Path, ending: Ending
) -> None:
    journal.begun(1)
    journal.ended(1, ending)
    journal.begun(2)

    assert read(tmp_path, WORKER) == {1: ending, 2: None}


def test_each_line_is_there_before_the_work_goes_on(journal: Journal, tmp_path: Path) -> None:
    journal.begun(1)
    assert read(tmp_path, WORKER) == {1: None}

    journal.ended(1, COMPLETED)
    assert read(tmp_path, WORKER) == {1: COMPLETED}


def test_what_ended_stays_ended_though_it_is_begun_again(journal: Journal, tmp_path: Path) -> None:
    journal.ended(1, COMPLETED)
    journal.begun(1)

    assert read(tmp_path, WORKER) == {1: COMPLETED}


def test_a_journal_is_never_overwritten(journal: Journal, tmp_path: Path) -> None:
    journal.begun(1)

    Journal(tmp_path, WORKER, durable=False).close()

    assert read(tmp_path, WORKER) == {1: None}


@pytest.mark.parametrize("kept", [0, 1, 10, 30])
def test_a_last_line_that_is_cut_off_says_nothing(
    journal: Journal, tmp_path: Path, kept: int
) -> None:
    journal.begun(1)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    journal.ended(1, COMPLETED)

    last = file.read_bytes().removeprefix(whole)
    file.write_bytes(whole + last[:kept])

    assert read(tmp_path, WORKER) == {1: None}


def test_a_last_line_without_its_end_of_line_is_cut_off(journal: Journal, tmp_path: Path) -> None:
    journal.ended(12, COMPLETED)
    spoil(tmp_path, b"\n", b"")

    assert read(tmp_path, WORKER) == {}


@pytest.mark.parametrize("rubbish", [b'{"begun": {"begun": 2}', b"\0" * 12, b"\xff"])
def test_a_line_spoilt_by_a_full_disk_does_not_hide_the_others(
    journal: Journal, tmp_path: Path, rubbish: bytes
) -> None:
    journal.ended(1, COMPLETED)
    journal.begun(2)
    journal.begun(3)
    spoil(tmp_path, b'{"begun": 2}', rubbish)

    assert read(tmp_path, WORKER) == {1: COMPLETED, 3: None}


@pytest.mark.usefixtures("journal")
def test_of_a_worker_that_began_nothing_nothing_is_known(tmp_path: Path) -> None:
    assert read(tmp_path, WORKER) == {}
    assert read(tmp_path, WORKER + 1) == {}
    assert read(tmp_path / "nosuch", WORKER) == {}


def test_what_ends_while_another_thread_writes_what_is_owed_is_not_forgotten(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, write, written = journal.settle, journal._write, threading.Event()
    ending = threading.Thread(target=journal.ended, args=(2, COMPLETED))

    def settle_later() -> None:
        assert written.wait(30)
        settle()

    def write_slowly(text: bytes) -> None:
        monkeypatch.setattr(journal, "_write", write)
        monkeypatch.setattr(journal, "settle", settle_later)
        ending.start()
        ending.join(0.2)
        write(text)

    monkeypatch.setattr(journal, "_write", write_slowly)
    journal.begun(1)
    written.set()
    ending.join(30)

    assert read(tmp_path, 7) == {1: None, 2: COMPLETED}


class Disk:
    """Counts the syncs, and lets them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.broken = False
        self.now = 100.0
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, _descriptor: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        self.syncs += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def durable(folder: Path, disk: Disk) -> Journal:
    return Journal(folder, WORKER, durable=True, monotonic=lambda: disk.now)


def test_short_tasks_share_a_sync(tmp_path: Path, disk: Disk) -> None:
    journal = durable(tmp_path, disk)
    for attempt in range(50):
        journal.begun(attempt)
        journal.ended(attempt, COMPLETED)
    assert disk.syncs == 1

    journal.sync()
    journal.sync()
    assert disk.syncs == 2


def test_what_follows_a_long_task_is_synced_at_once(tmp_path: Path, disk: Disk) -> None:
    journal = durable(tmp_path, disk)
    journal.begun(1)
    disk.now += SYNC_EVERY
    journal.ended(1, COMPLETED)

    assert disk.syncs == 2


def test_what_could_not_be_synced_is_written_again(tmp_path: Path, disk: Disk) -> None:
    journal = durable(tmp_path, disk)
    journal.begun(1)
    journal.ended(1, COMPLETED)
    disk.broken = True
    journal.sync()
    (tmp_path / f"{WORKER}.jsonl").write_bytes(b"")  # as the file server may have it
    disk.broken = False

    journal.begun(2)

    assert read(tmp_path, WORKER) == {1: COMPLETED, 2: None}


def test_nothing_begins_where_the_sync_that_is_due_fails(tmp_path: Path, disk: Disk) -> None:
    disk.broken = True
    with pytest.raises(JournalFault, match="Input/output error"):
        durable(tmp_path, disk).begun(1)


def test_what_is_not_to_last_is_not_synced(tmp_path: Path, disk: Disk) -> None:
    journal = Journal(tmp_path, WORKER, durable=False)
    journal.begun(1)
    journal.sync()

    assert disk.syncs == 0
