"""Files that stay unwritable or unreadable: what is owed is kept, and no answer is not taken for one."""

import errno
import os
from itertools import count
from pathlib import Path

import pytest

from slurmband.domain.attempts import Ending, Outcome
from slurmband.errors import DatabaseFault, JournalFault
from slurmband.liveness import guardian, journal
from slurmband.liveness.beats import Beats, Watch
from slurmband.liveness.heartbeat import Heartbeat
from slurmband.liveness.journal import Journal
from slurmband.liveness.notice import Notice
from slurmband.locks.generations import GenerationLock, marker
from slurmband.locks.host import HostLock
from slurmband.locks.ladder import Ladder
from slurmband.store.database import Store
from tests.integration.band import wait_for

pytestmark = pytest.mark.integration

WORKER = 7
COMPLETED = Ending(Outcome.COMPLETED)
FULL = Path("/dev/full")


class Failing:
    """A function of `os` that fails for some files, until it is told otherwise."""

    def __init__(self, name: str, error: int, *, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = getattr(os, name)
        self._error = error
        self._of = of
        self.on = True
        monkeypatch.setattr(os, name, self)

    def __call__(self, path: object, *args: object, **how: object) -> object:
        if self.on and self._of in str(path):
            raise OSError(self._error, os.strerror(self._error), str(path))
        return self._real(path, *args, **how)


@pytest.fixture
def book(tmp_path: Path) -> Journal:
    """Make a journal on a disk that is full."""
    (tmp_path / f"{WORKER}.jsonl").symlink_to(FULL)
    return Journal(tmp_path, WORKER, durable=False)


def make_room(folder: Path) -> None:
    (folder / f"{WORKER}.jsonl").unlink()


# --- the journal --------------------------------------------------------------------------------


def test_what_ended_is_owed_until_it_can_be_written(book: Journal, tmp_path: Path) -> None:
    book.ended(1, COMPLETED)
    with pytest.raises(JournalFault, match="No space left"):
        book.settle()

    make_room(tmp_path)
    book.settle()

    assert journal.read(tmp_path, WORKER) == {1: COMPLETED}


def test_what_is_owed_comes_before_what_begins(book: Journal, tmp_path: Path) -> None:
    book.ended(1, COMPLETED)

    make_room(tmp_path)
    book.begun(2)

    assert journal.read(tmp_path, WORKER) == {1: COMPLETED, 2: None}


def test_a_begin_that_was_refused_is_not_written_later(book: Journal, tmp_path: Path) -> None:
    with pytest.raises(JournalFault):
        book.begun(1)

    make_room(tmp_path)
    book.ended(2, COMPLETED)

    assert journal.read(tmp_path, WORKER) == {2: COMPLETED}


def test_a_line_that_was_cut_off_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Journal(tmp_path, WORKER, durable=False)
    book.begun(1)
    write = os.write

    def half(descriptor: int, text: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(descriptor, text[:9])

    def full(_descriptor: int, _text: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    book.ended(1, COMPLETED)
    monkeypatch.setattr(os, "write", write)
    book.begun(2)

    assert journal.read(tmp_path, WORKER) == {1: COMPLETED, 2: None}


# --- beats --------------------------------------------------------------------------------------


def test_a_beat_that_could_not_be_written_is_no_beat(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        guardian.write_beat(str(FULL), 1)
    with pytest.raises(FileNotFoundError):
        guardian.write_beat(str(tmp_path / "gone"), 1)


def test_who_cannot_write_its_beats_knows_that_others_may_suspect_it(tmp_path: Path) -> None:
    file, full, looks = tmp_path / "1", tmp_path / "full", count()
    file.write_text("0\n")
    full.symlink_to(FULL)
    heartbeat = Heartbeat(
        file,
        interval=0.02,
        timeout=60.0,
        release=["true"],
        release_after=1e6,
        monotonic=lambda: 2.0 * next(looks),
    )
    try:
        wait_for(lambda: file.read_text() != "0\n", what="a beat")
        full.replace(file)
        wait_for(lambda: not heartbeat.fresh(), what="it knows that nobody sees its beats")
        assert not heartbeat.lost

        full.write_text("0\n")
        full.replace(file)
        wait_for(heartbeat.fresh, what="it beats again")
    finally:
        heartbeat.stop()


def test_a_beat_that_cannot_be_read_is_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    beats = Beats(tmp_path)
    for worker in (1, 2):
        beats.start(worker)
    watch = Watch(beats, lambda: clock[0])
    watch.look([1, 2], longest_gap=100.0)
    broken = Failing("open", errno.EIO, of=str(tmp_path / "1"), monkeypatch=monkeypatch)

    clock[0] = 50.0
    assert watch.look([1, 2], longest_gap=100.0) == {2: 50.0}
    broken.on = False
    clock[0] = 60.0

    assert watch.look([1, 2], longest_gap=100.0) == {1: 0.0, 2: 60.0}


# --- notices and locks --------------------------------------------------------------------------


def test_who_cannot_tell_the_waiting_goes_on(tmp_path: Path) -> None:
    Notice(FULL).ring(1)
    Notice(tmp_path / "gone").ring(1)

    assert Notice(tmp_path / "gone").look() == b""


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_successor_that_cannot_be_looked_for_is_not_ruled_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """Or a sleeper would believe its late commit."""
    stem = str(tmp_path / "db")
    lock = GenerationLock(stem, 1)
    lock.lock()
    broken = Failing("stat", error, of=marker(stem, 2), monkeypatch=monkeypatch)

    assert not lock.still_mine()

    broken.on = False
    assert lock.still_mine()
    lock.unlock()


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE])
def test_a_lock_that_could_not_be_given_back_is_given_back_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    stem = str(tmp_path / "db")
    lock = GenerationLock(stem, 1)
    ladder = Ladder(HostLock(tmp_path), lock, timeout=5.0)
    with ladder.hold():
        broken = Failing("open", error, of=".lock", monkeypatch=monkeypatch)
    assert os.listdir(tmp_path) != []
    broken.on = False

    with ladder.hold() as still_mine:
        assert still_mine()

    assert os.listdir(tmp_path) == []


def test_a_file_that_fails_is_a_fault_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "a.sqlite", mode="shared", create=True)
    broken = Failing("link", errno.EDQUOT, of="db.", monkeypatch=monkeypatch)

    with pytest.raises(DatabaseFault, match=r"quota exceeded.*Look whether the disk"), store.read():
        pass

    broken.on = False
    with store.read():
        pass
