"""The way to the lock: threads take turns, and who waits in vain is told for whom."""

import fcntl
import os
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from flufl.lock import Lock

from slurmband.errors import LockTimeout, UsageError
from slurmband.locks.host import HostLock
from slurmband.locks.ladder import Ladder
from slurmband.locks.link import LinkLock
from tests.locks.holder import Holder, wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.lock"


@pytest.fixture
def host(tmp_path: Path) -> HostLock:
    return HostLock(tmp_path / "a.sqlite", directory=tmp_path)


def wait(ladder: Ladder) -> None:
    with ladder.hold():
        pass


def free(lock: HostLock) -> bool:
    """Whether a process of its own could have the lock at once."""
    assert lock.file is not None
    child = os.fork()
    if child == 0:
        descriptor = os.open(lock.file, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("with_host_lock", [True, False], ids=["host lock", "no host lock"])
@pytest.mark.parametrize("shared", [False, True], ids=["local", "shared"])
def test_threads_of_one_process_take_turns(
    path: Path, host: HostLock, *, shared: bool, with_host_lock: bool
) -> None:
    if not with_host_lock:
        assert host.file is not None
        host.file.mkdir()  # in the way
    ladder = Ladder(host, LinkLock(str(path)) if shared else None)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with ladder.hold():
                inside.append(1)
                os.sched_yield()
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (len(most), max(most)) == (100, 1)


def test_all_rungs_are_held_inside_and_free_after(path: Path, host: HostLock) -> None:
    ladder = Ladder(host, LinkLock(str(path)))

    with ladder.hold() as still_mine:
        inside = (still_mine(), path.exists(), free(host))

    assert inside == (True, True, False)
    assert (path.exists(), free(host)) == (False, True)


def test_an_exception_gives_every_rung_back(path: Path, host: HostLock) -> None:
    with pytest.raises(ZeroDivisionError), Ladder(host, LinkLock(str(path))).hold():
        raise ZeroDivisionError

    assert (path.exists(), free(host)) == (False, True)


def test_without_a_lock_of_all_nodes_it_is_always_still_held(host: HostLock) -> None:
    with Ladder(host).hold() as still_mine:
        assert still_mine()


@pytest.mark.parametrize("stock", [False, True], ids=["ours", "stock flufl"])
def test_a_lock_that_was_taken_away_is_not_still_mine(
    path: Path, host: HostLock, *, stock: bool
) -> None:
    lock = Lock(str(path)) if stock else LinkLock(str(path))
    thief = LinkLock(str(path))

    with Ladder(host, lock).hold() as still_mine:
        assert still_mine()
        path.unlink()
        thief.lock()
        assert not still_mine()

    assert thief.still_mine()


def test_who_waits_in_vain_is_told_who_holds_the_lock(path: Path, host: HostLock) -> None:
    with Holder(path) as holder:
        with pytest.raises(LockTimeout, match=f"by pid {holder.pid} on") as told:
            wait(Ladder(host, LinkLock(str(path)), timeout=0.2))

        assert str(holder.pid) in told.value.holder
        assert free(host)


def test_a_stock_lock_that_is_held_is_told_too(path: Path, host: HostLock) -> None:
    with Holder(path, "stock"), pytest.raises(LockTimeout, match="another process"):
        wait(Ladder(host, Lock(str(path)), timeout=1))


def test_the_host_lock_is_free_when_its_holder_dies(tmp_path: Path) -> None:
    database = tmp_path / "a.sqlite"
    lock = HostLock(database, directory=tmp_path)

    with Holder(database, "host") as holder:
        assert not free(lock)
        holder.kill()
        wait_for(lambda: free(lock))

    with lock.hold():
        assert not free(lock)


def test_the_host_lock_does_not_stay_with_a_child_that_was_forked_inside(host: HostLock) -> None:
    ready, done = os.pipe()
    with host.hold():
        child = os.fork()
        if child == 0:
            os.close(done)
            os.read(ready, 1)  # lives until the parent closes its end
            os._exit(0)

    try:
        assert free(host)
    finally:
        os.close(done)
        os.close(ready)
        os.waitpid(child, 0)


def test_two_spellings_of_a_path_are_one_host_lock(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sub")

    assert HostLock(tmp_path / "sub/a").file == HostLock(tmp_path / "link/a").file
    assert HostLock(tmp_path / "sub/a").file != HostLock(tmp_path / "sub/b").file


@pytest.mark.parametrize("spoilt", ["a symlink", "no directory"])
def test_where_no_host_lock_can_be_had_it_goes_on_without(tmp_path: Path, spoilt: str) -> None:
    folder = tmp_path / "locks"
    lock = HostLock(tmp_path / "a.sqlite", directory=folder)
    assert lock.file is not None
    if spoilt == "a symlink":
        folder.mkdir()
        lock.file.symlink_to(tmp_path / "elsewhere")
    else:
        folder.write_text("in the way")

    with lock.hold():
        pass

    assert not (tmp_path / "elsewhere").exists()


def test_who_waits_in_vain_behind_a_process_of_this_node_is_told(host: HostLock) -> None:
    told = pytest.raises(LockTimeout, match="another process of this node")

    with host.hold(), told, host.hold(0.05):
        pass


def test_a_host_lock_that_does_not_come_free_is_waited_for_once(
    path: Path, host: HostLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder, hold, waits = (
        Ladder(host, LinkLock(str(path)), patience=0.05),
        host.hold,
        list[object](),
    )

    def noting(timeout: float | None = None, **how: Any) -> AbstractContextManager[bool]:
        waits.append(timeout)
        return hold(timeout, **how)

    monkeypatch.setattr(host, "hold", noting)
    with hold():  # as of a process that was stopped inside
        for _ in range(3):
            with ladder.hold() as still_mine:
                assert still_mine()
    for _ in range(2):  # it goes on, and gives it back
        wait(ladder)

    assert waits == [0.05, 0.0, 0.0, 0.0, 0.05]


# --- held for the user's code -------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True], ids=["local", "shared"])
def test_under_a_guard_its_own_thread_goes_on_and_others_wait(
    path: Path, host: HostLock, *, shared: bool
) -> None:
    ladder = Ladder(host, LinkLock(str(path)) if shared else None, timeout=0.1)
    told: list[str] = []

    def other() -> None:
        try:
            wait(ladder)
        except LockTimeout as error:
            told.append(error.holder)

    with ladder.guard() as guarding:
        with ladder.hold() as still_mine:
            assert still_mine is guarding
        assert (still_mine(), free(host)) == (True, False)  # what was inside gave nothing back
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(60)

    assert told == ["another thread of this process"]
    assert free(host)
    wait(ladder)


def test_after_a_guard_the_ladder_is_climbed_again(path: Path, host: HostLock) -> None:
    ladder = Ladder(host, LinkLock(str(path)))
    with ladder.guard():
        pass

    with ladder.hold():
        assert (path.exists(), free(host)) == (True, False)


def test_a_thread_that_would_wait_for_its_own_guard_is_told(path: Path, host: HostLock) -> None:
    other = Ladder(host, LinkLock(str(path)))

    with Ladder(host).guard(), pytest.raises(UsageError, match="this thread holds"):
        wait(other)

    wait(other)


def test_a_guard_of_another_process_is_waited_for(path: Path, host: HostLock) -> None:
    with host.hold(signed=True):
        child = os.fork()
        if child == 0:
            try:
                wait(Ladder(HostLock(path, directory=path.parent), timeout=0.1))  # another database
                wait(Ladder(host, timeout=0.1))
            except LockTimeout:
                os._exit(7)
            finally:
                os._exit(1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_child_that_leaves_its_parents_guard_gives_nothing_back(
    path: Path, host: HostLock
) -> None:
    guard = Ladder(host, LinkLock(str(path))).guard()
    still_mine = guard.__enter__()
    child = os.fork()
    if child == 0:
        try:
            guard.__exit__(None, None, None)
            os._exit(0)
        finally:
            os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (still_mine(), free(host)) == (True, False)
    with pytest.raises(UsageError, match="this thread holds"):  # it is still signed
        wait(Ladder(host))
    guard.__exit__(None, None, None)
    assert (path.exists(), free(host)) == (False, True)


def test_a_stopped_process_of_this_node_keeps_nobody_from_the_lock_for_ever(
    path: Path, host: HostLock, tmp_path: Path
) -> None:
    with Holder(tmp_path / "a.sqlite", "host") as holder:
        holder.stop()
        ladder = Ladder(host, LinkLock(str(path)), patience=0.2)

        with ladder.hold() as still_mine:
            assert still_mine()
