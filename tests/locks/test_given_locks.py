"""A flufl.lock object that the user made: taken by threads in turn, kept fresh by the beats."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from flufl.lock import Lock

from slurmband.errors import LockLost, LockTimeout, UsageError
from slurmband.locks.held import Held
from slurmband.locks.user import UserLock
from slurmband.locks.ways import GivenWay
from tests.locks.holder import Holder
from tests.locks.test_link_lock import lose_reply
from tests.locks.test_user_locks import enter, in_child, in_thread

pytestmark = pytest.mark.integration


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.lock"


@pytest.fixture
def stock(path: Path) -> Lock:
    return Lock(str(path))


def wrap(stock: Lock, lifetime: float = 22.5) -> UserLock:
    held = Held()
    way = GivenWay(stock, lifetime)
    held.each_beat.append(way.refresh)
    return UserLock(way, held)


def expires(path: Path) -> float:
    return path.stat().st_mtime


def beat(lock: UserLock) -> None:
    lock._held.beat()


def test_it_is_the_object_that_is_locked(stock: Lock, path: Path) -> None:
    with wrap(stock) as lock:
        assert (stock.is_locked, lock.still_mine(), path.exists()) == (True, True, True)

    assert list(path.parent.iterdir()) == []


def test_threads_take_turns_at_one_object(stock: Lock) -> None:
    lock = wrap(stock)

    with lock, pytest.raises(LockTimeout, match="another thread of this process"):
        in_thread(lambda: lock.lock(timeout=0.05))

    in_thread(lambda: enter(lock))


def test_a_thread_that_takes_it_twice_is_told(stock: Lock) -> None:
    with wrap(stock) as lock, pytest.raises(UsageError, match="already"):
        enter(lock)


def test_who_took_the_object_itself_is_told(stock: Lock) -> None:
    lock = wrap(stock)

    with stock, pytest.raises(UsageError, match="already"):
        enter(lock)

    enter(lock)


def test_who_waits_in_vain_is_told_for_whom(stock: Lock, path: Path) -> None:
    with Holder(path, "stock") as holder:
        lock = wrap(stock)
        with pytest.raises(LockTimeout, match=f"by pid {holder.pid} on"):
            lock.lock(timeout=0)

        with pytest.raises(LockTimeout):  # and can be tried again
            lock.lock(timeout=0)


def test_a_link_whose_reply_was_lost_is_a_lock(
    stock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_reply(monkeypatch)

    with wrap(stock) as lock:
        assert lock.still_mine()


def test_each_beat_renews_what_is_held(stock: Lock, path: Path) -> None:
    with wrap(stock) as lock:
        os.utime(path, (1, 1))

        beat(lock)

        assert expires(path) > 1_000_000


@pytest.mark.parametrize("whose", ["nobody's", "another's"])
def test_a_beat_renews_nothing_that_is_not_held(stock: Lock, path: Path, whose: str) -> None:
    other = Lock(str(path))
    if whose == "another's":
        other.lock()
        os.utime(path, (1, 1))

    beat(wrap(stock))

    assert (path.exists() and expires(path) == 1) is (whose == "another's")
    other.unlock(unconditionally=True)


def test_what_the_user_took_by_the_object_itself_is_renewed_too(stock: Lock, path: Path) -> None:
    lock = wrap(stock)
    with stock:
        os.utime(path, (1, 1))

        beat(lock)

        assert expires(path) > 1_000_000


def test_a_fork_renews_nothing_for_its_parent_and_waits_for_it(stock: Lock, path: Path) -> None:
    lock = wrap(stock)

    def child() -> None:
        beat(lock)
        assert expires(path) == 1
        os.utime(path, (4e9, 4e9))
        with pytest.raises(LockTimeout, match=f"by pid {os.getppid()} on"):
            lock.lock(timeout=0)
        path.unlink()  # the parent would give it back
        with lock:
            assert path.read_text().split("|")[2] == str(os.getpid())

    lock.lock()
    os.utime(path, (1, 1))
    assert in_child(child) == 0
    with pytest.raises(LockLost):
        lock.unlock()


def test_a_beat_that_cannot_renew_ends_nothing(path: Path) -> None:
    class Unwilling(Lock):
        @property
        def is_locked(self) -> bool:
            raise OSError("the file server is away")

    beat(wrap(Unwilling(str(path))))


@pytest.mark.parametrize(("given", "then"), [(10, 22.5), (100, 100)])
def test_a_lifetime_that_no_beat_could_keep_is_raised(path: Path, given: int, then: float) -> None:
    stock = Lock(str(path), lifetime=given)

    with wrap(stock):
        assert stock.lifetime == timedelta(seconds=then)


def test_who_lost_it_is_told_and_can_take_it_again(stock: Lock, path: Path) -> None:
    lock = wrap(stock)

    with pytest.raises(LockLost), lock:
        path.unlink()

    in_thread(lambda: enter(lock))
