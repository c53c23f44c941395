"""Who waits for the node's lock leaves word of what it wants, and goes when the holder has done it."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slurmband.locks.host import HostLock
from slurmband.locks.ladder import Ladder
from slurmband.locks.link import LinkLock
from tests.locks.holder import Holder, wait_for

pytestmark = pytest.mark.integration


@dataclass
class Note:
    """An errand that the test does."""

    left: threading.Event = field(default_factory=threading.Event)
    done: bool = False

    def leave(self) -> None:
        self.left.set()

    def is_done(self) -> bool:
        return self.done


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.lock"


@pytest.fixture
def host(path: Path) -> HostLock:
    return HostLock(path, directory=path.parent)


@pytest.fixture(params=[None, 30.0], ids=["for ever", "for a while"])
def patience(request: pytest.FixtureRequest) -> float | None:
    """Wait in the kernel's queue, or by looking again and again."""
    return request.param  # type: ignore[no-any-return]


class Waiting:
    """A thread that wants the lock for an errand."""

    def __init__(self, host: HostLock, note: Note, patience: float | None) -> None:
        self.got: bool | None = None
        self._thread = threading.Thread(target=self._wait, args=(host, note, patience))
        self._thread.start()

    def _wait(self, host: HostLock, note: Note, patience: float | None) -> None:
        with host.hold(patience, errand=note) as self.got:
            pass

    def end(self) -> bool | None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.got


def test_where_the_lock_is_free_no_word_is_left(host: HostLock, patience: float | None) -> None:
    note = Note(done=True)

    with host.hold(patience, errand=note) as ours:
        assert ours
    assert not note.left.is_set()


def test_what_the_holder_did_need_not_be_done(host: HostLock, patience: float | None) -> None:
    note = Note()
    with host.hold():
        waiting = Waiting(host, note, patience)
        assert note.left.wait(30)
        note.done = True

    assert waiting.end() is False


def test_what_the_holder_did_not_do_is_ours_to_do(host: HostLock, patience: float | None) -> None:
    note = Note()
    with host.hold():
        waiting = Waiting(host, note, patience)
        assert note.left.wait(30)

    assert waiting.end() is True


def test_who_looks_again_goes_before_the_lock_is_free(host: HostLock) -> None:
    note = Note()
    with host.hold():
        waiting = Waiting(host, note, 30.0)
        assert note.left.wait(30)
        note.done = True

        assert waiting.end() is False


def test_after_an_errand_that_was_done_the_lock_is_free(
    host: HostLock, path: Path, patience: float | None
) -> None:
    note = Note()
    with host.hold():
        waiting = Waiting(host, note, patience)
        assert note.left.wait(30)
        note.done = True
    waiting.end()

    with Holder(path, "host"):
        pass


# --- the ladder -----------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["local", "shared"])
def ladder(path: Path, host: HostLock, request: pytest.FixtureRequest) -> Ladder:
    return Ladder(host, LinkLock(str(path)) if request.param else None)


def test_in_its_turn_a_thread_climbs_on(ladder: Ladder, host: HostLock, path: Path) -> None:
    with ladder.turn() as ours:
        assert ours
        assert not path.exists()
        for _ in range(2):
            with ladder.hold() as still_mine:
                assert still_mine()
                assert path.exists() is (ladder.link is not None)
        note = Note()
        waiting = Waiting(host, note, None)
        assert note.left.wait(30)

    assert waiting.end() is True


def test_another_thread_waits_for_the_end_of_a_turn(ladder: Ladder) -> None:
    order: list[str] = []

    def climb() -> None:
        with ladder.hold():
            order.append("climbed")

    thread = threading.Thread(target=climb)
    with ladder.turn():
        thread.start()
        thread.join(0.2)
        order.append("turn over")
    thread.join(30)

    assert order == ["turn over", "climbed"]


def test_after_a_turn_the_ladder_is_climbed_again(ladder: Ladder, host: HostLock) -> None:
    with ladder.turn(), ladder.hold():
        pass

    note = Note()
    with ladder.hold():
        waiting = Waiting(host, note, None)
        assert note.left.wait(30)
    assert waiting.end() is True


def test_under_a_guard_it_is_always_ones_turn(ladder: Ladder) -> None:
    with ladder.guard(), ladder.turn(Note(done=True)) as ours, ladder.hold() as still_mine:
        assert ours
        assert still_mine()


def test_the_turn_of_a_stopped_process_is_not_waited_for_for_ever(path: Path) -> None:
    ladder = Ladder(HostLock(path, directory=path.parent), LinkLock(str(path)), patience=0.2)
    note = Note()
    with Holder(path, "host") as holder:
        holder.stop()

        with ladder.turn(note) as ours, ladder.hold() as still_mine:
            assert ours
            assert still_mine()

    assert note.left.is_set()


def test_whose_errand_is_done_does_not_climb(ladder: Ladder, host: HostLock) -> None:
    note, got = Note(), list[bool]()

    def take_a_turn() -> None:
        with ladder.turn(note) as ours:
            got.append(ours)

    thread = threading.Thread(target=take_a_turn)
    with host.hold():
        thread.start()
        wait_for(note.left.is_set)
        note.done = True
    thread.join(30)

    assert got == [False]
