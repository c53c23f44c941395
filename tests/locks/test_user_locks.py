"""A lock of the user's: whose it is, when it is lost, and what its holder learns of that."""

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flufl.lock import NotLockedError, TimeOutError

from slurmband.errors import LockLost, LockTimeout, UsageError
from slurmband.locks.held import Held
from slurmband.locks.link import LinkLock
from slurmband.locks.user import NoLock, UserLock
from slurmband.locks.watched import RIGHT, Signs, WatchedLock, beats_in
from slurmband.locks.ways import FileWay
from tests.fakes.clock import HandClock
from tests.locks.holder import Holder

pytestmark = pytest.mark.integration

LIFETIME = 22.5


class Side:
    """One process as far as its locks are concerned: what it holds, and who it is as a worker."""

    def __init__(
        self,
        path: Path,
        beats: dict[int, str],
        *,
        worker: int | None = None,
        lifetime: float = LIFETIME,
    ) -> None:
        self.clock = HandClock()
        self.held = Held()
        self.held.worker_is(worker)
        self.signs = Signs(self.held.worker, beats.get, lifetime)
        self.way = FileWay(path, self.signs, clock=self.clock)

    def lock(self, timeout: float | None = None) -> UserLock:
        return UserLock(self.way, self.held, timeout=timeout)


class Beating(HandClock):
    """A clock at whose every sleep something else happens, too."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self.happens = happens

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.happens()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "task.lock"


@pytest.fixture
def beats() -> dict[int, str]:
    return {7: "41"}


def left(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def in_thread(action: Callable[[], object]) -> None:
    """Run `action` in a thread of its own; raise here what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


def in_child(action: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def enter(lock: UserLock) -> None:
    with lock:
        pass


# --- one holder ---------------------------------------------------------------------------------


def test_it_is_held_inside_and_leaves_no_file(path: Path, beats: dict[int, str]) -> None:
    lock = Side(path, beats).lock()

    with lock as entered:
        inside = (entered is lock, lock.still_mine(), lock.is_locked, path.exists())

    assert inside == (True, True, True, True)
    assert (lock.still_mine(), left(path)) == (False, [])


def test_an_exception_gives_it_back(path: Path, beats: dict[int, str]) -> None:
    with pytest.raises(ZeroDivisionError), Side(path, beats).lock():
        raise ZeroDivisionError

    assert left(path) == []


def test_threads_take_turns(path: Path, beats: dict[int, str]) -> None:
    side = Side(path, beats)
    side.way = FileWay(path, side.signs)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(10):
            with side.lock():
                inside.append(1)
                os.sched_yield()
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (len(most), max(most), left(path)) == (40, 1, [])


def test_another_thread_of_the_process_waits_in_vain_and_is_told(
    path: Path, beats: dict[int, str]
) -> None:
    side = Side(path, beats)

    with side.lock(), pytest.raises(LockTimeout, match=f"by pid {os.getpid()} on"):
        in_thread(lambda: enter(side.lock(timeout=1)))


@pytest.mark.parametrize("timeout", [0.1, timedelta(milliseconds=100)])
def test_who_waits_in_vain_is_told_for_whom(
    path: Path, beats: dict[int, str], timeout: float | timedelta
) -> None:
    path.parent.mkdir()
    with Holder(path) as holder, pytest.raises(LockTimeout, match=f"by pid {holder.pid} on"):
        Side(path, beats).lock().lock(timeout=timeout)


@pytest.mark.parametrize("same_side", [True, False], ids=["same object", "another object"])
def test_a_thread_that_takes_it_twice_is_told_and_keeps_it(
    path: Path, beats: dict[int, str], *, same_side: bool
) -> None:
    side = Side(path, beats)
    other = side if same_side else Side(path, beats)

    with side.lock() as lock:
        with pytest.raises(UsageError, match=r"this thread holds the lock .* already"):
            enter(other.lock())
        assert lock.still_mine()

    assert left(path) == []


def test_what_is_not_held_cannot_be_given_back(path: Path, beats: dict[int, str]) -> None:
    side = Side(path, beats)

    with pytest.raises(UsageError, match="does not hold"):
        side.lock().unlock()
    with side.lock():
        with pytest.raises(UsageError, match="does not hold"):
            in_thread(side.lock().unlock)
        assert side.lock().still_mine()


def test_a_child_that_was_forked_inside_holds_nothing_and_gives_nothing_back(
    path: Path, beats: dict[int, str]
) -> None:
    side = Side(path, beats, worker=7)

    def child() -> None:
        assert not lock.still_mine()
        assert side.held.worker() is None
        lock.__exit__(None, None, None)

    with side.lock() as lock:
        assert in_child(child) == 0
        assert lock.still_mine()


def test_a_child_waits_for_its_parent_and_then_has_it(path: Path, beats: dict[int, str]) -> None:
    side = Side(path, beats)

    def child() -> None:
        with pytest.raises(LockTimeout):
            side.lock(timeout=0).lock()
        path.unlink()  # the parent would give it back
        with side.lock() as mine:
            assert mine.still_mine()

    lock = side.lock()
    lock.lock()

    assert in_child(child) == 0
    assert not lock.still_mine()


# --- losing it ----------------------------------------------------------------------------------


def test_the_lock_of_a_frozen_worker_is_taken_after_its_lifetime(
    path: Path, beats: dict[int, str]
) -> None:
    frozen, waiter = Side(path, beats, worker=7), Side(path, beats)
    lock = frozen.lock()
    lock.lock()

    in_thread(waiter.lock(timeout=LIFETIME + 5).lock)

    assert LIFETIME <= sum(waiter.clock.slept) < LIFETIME + 1
    assert not lock.still_mine()


def test_of_two_whose_patience_ends_at_once_one_breaks_the_lock(
    path: Path, beats: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, first, second = Side(path, beats, worker=7), Side(path, beats), Side(path, beats)
    frozen.lock().lock()
    quick, rename = first.lock(), os.rename

    def slow(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        with pytest.raises(LockTimeout):  # it saw the same for as long, and leaves it to the other
            in_thread(second.lock(timeout=1.5 * LIFETIME).lock)
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow)
    in_thread(quick.lock)

    assert second.clock.slept
    assert len([name for name in left(path) if RIGHT in name]) == 0


def test_a_breaker_that_freezes_leaves_it_to_the_next(path: Path, beats: dict[int, str]) -> None:
    frozen, waiter = Side(path, beats, worker=7), Side(path, beats)
    lock = frozen.lock()
    lock.lock()
    (claim,) = [name for name in left(path) if name != path.name]
    (
        path.parent / f"{claim}{RIGHT}0"
    ).touch()  # another waiter's, and nothing was heard of it since

    in_thread(waiter.lock().lock)

    assert 2 * LIFETIME <= sum(waiter.clock.slept) < 2 * LIFETIME + 2
    assert not lock.still_mine()


def test_a_lock_that_changed_hands_before_the_right_to_break_it_was_had_is_left_alone(
    path: Path, beats: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    late = Side(path, beats)
    holder = WatchedLock(str(path), Side(path, beats, worker=7).signs)
    following = WatchedLock(str(path), Side(path, beats).signs)
    holder.lock()
    may_break = WatchedLock._may_break

    def slow(lock: WatchedLock, record: str) -> bool:
        monkeypatch.setattr(WatchedLock, "_may_break", may_break)
        holder.unlock()
        in_thread(following.lock)
        monkeypatch.setattr(WatchedLock, "_take_away", lambda *_: pytest.fail("taken away"))
        return may_break(lock, record)

    monkeypatch.setattr(WatchedLock, "_may_break", slow)
    with pytest.raises(LockTimeout):
        in_thread(late.lock(timeout=2 * LIFETIME).lock)

    monkeypatch.undo()
    assert following.still_mine()
    following.unlock()


@pytest.mark.parametrize("last", [20, 60])
def test_a_lock_is_kept_for_as_long_as_its_worker_beats(
    path: Path, beats: dict[int, str], last: int
) -> None:
    holder, waiter = Side(path, beats, worker=7), Side(path, beats)

    def beat() -> None:
        passed = int(clock() - 1000.0)
        beats[7] = str(min(passed // 15, last // 15))

    clock = Beating(beat)
    waiter.way = FileWay(path, waiter.signs, clock=clock)
    with pytest.raises(LockLost), holder.lock():  # it learns it at the end
        in_thread(waiter.lock().lock)

    assert sum(clock.slept) == pytest.approx(last // 15 * 15 + LIFETIME, abs=1)


def test_the_lifetime_is_the_holders_and_not_the_waiters(path: Path, beats: dict[int, str]) -> None:
    slow, waiter = Side(path, beats, worker=7, lifetime=90.0), Side(path, beats)

    with slow.lock() as lock:
        with pytest.raises(LockTimeout):
            in_thread(waiter.lock(timeout=80).lock)
        assert lock.still_mine()


@pytest.mark.parametrize("worker_before", [None, 7], ids=["never one", "no more"])
def test_a_holder_without_beats_is_waited_for_for_ever(
    path: Path, beats: dict[int, str], worker_before: int | None
) -> None:
    holder, waiter = Side(path, beats, worker=worker_before), Side(path, beats)

    with holder.lock() as lock:
        holder.held.worker_is(None)
        beats.clear()
        with pytest.raises(LockTimeout):
            in_thread(waiter.lock(timeout=10 * LIFETIME).lock)
        assert lock.still_mine()


def test_a_holder_that_became_a_worker_is_watched_by_its_beats(
    path: Path, beats: dict[int, str]
) -> None:
    holder, waiter = Side(path, beats), Side(path, beats)
    holder.lock().lock()

    holder.held.worker_is(7)
    in_thread(waiter.lock(timeout=LIFETIME + 5).lock)

    assert not holder.lock().still_mine()


def test_a_worker_that_goes_on_as_another_is_watched_by_its_new_beats(
    path: Path, beats: dict[int, str]
) -> None:
    holder, waiter = Side(path, beats, worker=7), Side(path, beats)
    clock = Beating(lambda: beats.update({8: str(int(clock()))}))
    waiter.way = FileWay(path, waiter.signs, clock=clock)
    with holder.lock() as lock:
        holder.held.worker_is(8)
        del beats[7]

        with pytest.raises(LockTimeout):
            in_thread(waiter.lock(timeout=3 * LIFETIME).lock)

        assert lock.still_mine()


def test_a_thread_that_takes_it_while_the_worker_leaves_does_not_name_it(
    path: Path, beats: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side(path, beats, worker=7)
    take = side.way.take

    def slow(timeout: float | None) -> object:
        grip = take(timeout)
        side.held.worker_is(None)  # before the taking is known
        return grip

    monkeypatch.setattr(side.way, "take", slow)
    with side.lock():
        assert beats_in(path.read_text()) is None


def test_the_lock_of_a_killed_worker_is_taken_at_once_and_leaves_nothing(
    path: Path, beats: dict[int, str]
) -> None:
    def child() -> None:
        Side(path, beats, worker=7).lock().lock()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(child) == -signal.SIGKILL
    assert len(left(path)) == 2
    successor = Side(path, beats)

    with successor.lock():
        assert successor.clock.slept == []

    assert left(path) == []


def test_who_lost_it_is_told_at_the_end_and_the_new_holder_keeps_it(
    path: Path, beats: dict[int, str]
) -> None:
    frozen, thief = Side(path, beats, worker=7), Side(path, beats, worker=9)
    beats[9] = "1"

    with pytest.raises(LockLost, match=rf"{path.name} was .* do the work again"), frozen.lock():
        in_thread(thief.lock().lock)

    assert beats_in(path.read_text()) == (9, LIFETIME)
    assert len(left(path)) == 2


def test_an_error_inside_is_not_hidden_by_the_loss(path: Path, beats: dict[int, str]) -> None:
    frozen, thief = Side(path, beats, worker=7), Side(path, beats)

    with pytest.raises(ZeroDivisionError) as told, frozen.lock():  # noqa: PT012
        in_thread(thief.lock().lock)
        raise ZeroDivisionError

    assert "was taken from this process" in told.value.__notes__[0]


def test_a_worker_that_freezes_within_its_unlock_does_not_harm_the_new_holder(
    path: Path, beats: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    signs = Signs(lambda: 7, beats.get, LIFETIME)
    sleeper = WatchedLock(str(path), signs)
    successor = WatchedLock(str(path), signs, clock=HandClock())
    sleeper.lock()
    rename = os.rename

    def slow(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        in_thread(successor.lock)  # after the sleeper's check, and before its removal
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow)
    with pytest.raises(NotLockedError):
        sleeper.unlock()

    assert successor.still_mine()
    successor.unlock()
    assert left(path) == []


def test_a_worker_that_beats_again_before_the_break_keeps_its_lock(
    path: Path, beats: dict[int, str]
) -> None:
    holder, waiter = Side(path, beats, worker=7), Side(path, beats)

    def wake() -> None:
        if clock() > 1000.0 + LIFETIME - 1:
            beats[7] = "42"

    clock = Beating(wake)
    waiter.way = FileWay(path, waiter.signs, clock=clock)
    with holder.lock() as lock:
        with pytest.raises(LockTimeout):
            in_thread(waiter.lock(timeout=LIFETIME + 5).lock)
        assert lock.still_mine()


def test_a_lock_given_back_while_a_breaker_had_it_in_hand_is_not_put_back(
    path: Path, beats: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    signs = Signs(lambda: 7, beats.get, LIFETIME)
    sleeper = WatchedLock(str(path), signs)
    successor = WatchedLock(str(path), signs, clock=HandClock())
    sleeper.lock()
    rename = os.rename

    def slow(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        in_thread(successor.lock)
        rename(source, target)
        with pytest.raises(NotLockedError):
            successor.unlock()  # it cannot see that it is about to be put back

    monkeypatch.setattr(os, "rename", slow)
    with pytest.raises(NotLockedError):
        sleeper.unlock()

    assert left(path) == []


def test_the_database_lock_is_never_taken_from_a_silent_worker(
    path: Path, beats: dict[int, str]
) -> None:
    holder = Side(path, beats, worker=7)
    clock = HandClock()

    with holder.lock() as lock:
        with pytest.raises(TimeOutError):
            LinkLock(str(path), clock=clock).lock(timeout=10 * LIFETIME)
        assert lock.still_mine()


# --- the record ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "beats"),
    [
        ("", None),
        ("\nthread 3\n", None),
        ("\nthread 3\nbeats none\n", None),
        ("\nthread 3\nbeats 12 22.5\n", (12, 22.5)),
        ("\nthread 3\nbeats 12 22.5\nbeats none\n", None),
        ("\nthread 3\nbeats none\nbeats 13 1.5\n", (13, 1.5)),
        ("\nthread 3\nbeats none\nbeats 13 1", None),
    ],
)
def test_the_last_whole_line_says_who_beats(notes: str, beats: tuple[int, float] | None) -> None:
    assert beats_in(f"/a\nb/locks/x.lock|n|1|p{notes}") == beats


def test_a_claim_that_is_gone_is_not_made_anew_to_name_a_worker(
    path: Path, beats: dict[int, str]
) -> None:
    path.parent.mkdir()
    lock = WatchedLock(str(path), Signs(lambda: 7, beats.get, LIFETIME))
    lock.lock()
    Path(lock.claimfile).unlink()

    lock.tell_worker()

    assert left(path) == [path.name]


def test_a_lock_in_a_folder_with_a_newline_is_a_lock(tmp_path: Path, beats: dict[int, str]) -> None:
    lock = Side(tmp_path / "a\nb" / "x.lock", beats).lock()

    with lock:
        assert lock.still_mine()


# --- none ---------------------------------------------------------------------------------------


def test_of_a_disabled_band_a_lock_does_nothing() -> None:
    lock = NoLock()

    with lock as entered, lock:
        assert entered.still_mine()
        lock.lock(timeout=0)
        lock.unlock()

    assert (lock.lockfile, lock.holder, lock.is_locked) == ("", "nobody", True)
