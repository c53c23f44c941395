"""The lock of all nodes: one holder, taken only from the dead; and what stock flufl.lock does."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flufl.lock import SEP, AlreadyLockedError, Lock, NotLockedError, TimeOutError

from slurmband.clock import SystemClock
from slurmband.locks.link import LinkLock
from tests.locks.holder import Holder

pytestmark = pytest.mark.integration


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.lock"


def left(path: Path) -> list[str]:
    """Return the names of all that lies beside the lock, the lock included."""
    return sorted(entry.name for entry in path.parent.iterdir())


class Interrupted(SystemClock):
    """A clock at which somebody presses Ctrl-C, or at which something else happens."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self.happens = happens
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.happens()


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def foreign(path: Path, *, boot: str, pid: int = 2**22 - 1, namespace: str | None = None) -> str:
    """Write a lock of a process that is gone as far as its pid says; return its claim."""
    space = namespace or os.readlink("/proc/self/ns/pid")
    claim = SEP.join((str(path), "node7", str(pid), f"{boot}+{space}+77+abcd"))
    Path(claim).write_text(claim)
    os.link(claim, path)
    return claim


def this_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


# --- one holder ---------------------------------------------------------------------------------

_COUNT = """
import sys
from pathlib import Path
from slurmband.locks.link import LinkLock
lock, counter = LinkLock(sys.argv[1]), Path(sys.argv[2])
for _ in range(50):
    with lock:
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_of_many_processes_one_is_inside_at_a_time(path: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    command = [sys.executable, "-c", _COUNT, str(path), str(counter)]
    running = [subprocess.Popen(command) for _ in range(6)]

    assert [process.wait(120) for process in running] == [0] * 6
    assert counter.read_text() == "300"
    assert left(path) == ["counter"]


def test_a_lock_that_was_given_back_leaves_nothing(path: Path) -> None:
    lock = LinkLock(str(path))

    lock.lock()
    assert lock.still_mine()
    lock.unlock()

    assert not lock.still_mine()
    assert left(path) == []


def test_a_relative_path_still_names_the_lock_elsewhere(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lock = LinkLock("db.lock")
    lock.lock()
    monkeypatch.chdir("/")

    assert lock.still_mine()
    lock.unlock()
    assert left(path) == []


def test_a_lock_that_is_held_is_not_taken_by_its_own_process_again(path: Path) -> None:
    lock = LinkLock(str(path))
    lock.lock()

    with pytest.raises(AlreadyLockedError):
        lock.lock(timeout=0)

    assert lock.still_mine()
    lock.unlock()
    assert left(path) == []


def test_two_locks_of_one_process_exclude_each_other(path: Path) -> None:
    mine, yours = LinkLock(str(path)), LinkLock(str(path))
    mine.lock()

    with pytest.raises(TimeOutError, match=f"pid {os.getpid()} on"):
        yours.lock(timeout=0)

    assert mine.still_mine()
    mine.unlock()


# --- breaking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 0, 5.0])
def test_the_lock_of_a_killed_holder_is_taken_at_once(path: Path, timeout: float | None) -> None:
    with Holder(path) as holder:
        holder.kill()
    clock = Interrupted(lambda: None)
    lock = LinkLock(str(path), clock=clock)

    lock.lock(timeout=timeout)

    assert lock.still_mine()
    assert clock.slept == []
    lock.unlock()
    assert left(path) == []


def expire(path: Path) -> None:
    os.utime(path, (1, 1))


@pytest.mark.parametrize("old", [False, True], ids=["fresh", "expired long ago"])
def test_the_lock_of_a_living_holder_is_never_broken(path: Path, *, old: bool) -> None:
    with Holder(path) as holder:
        if old:
            expire(path)
        claim = path.read_text()

        with pytest.raises(TimeOutError, match=f"pid {holder.pid} on"):
            LinkLock(str(path)).lock(timeout=0.1)

        assert path.read_text() == claim
        assert len(left(path)) == 2


def test_the_lock_of_a_stopped_holder_is_never_broken(path: Path) -> None:
    with Holder(path) as holder:
        holder.stop()
        expire(path)

        with pytest.raises(TimeOutError):
            LinkLock(str(path)).lock(timeout=0.1)


def test_a_lock_of_stock_flufl_is_never_broken(path: Path) -> None:
    with Holder(path, "stock") as holder:
        holder.kill()
    expire(path)

    with pytest.raises(TimeOutError, match="nobody known"):
        LinkLock(str(path)).lock(timeout=0)


@pytest.mark.parametrize(
    ("boot", "namespace"), [("another-boot", None), (None, "pid:[1]"), ("", None)]
)
def test_a_holder_of_whom_nothing_can_be_proven_keeps_its_lock(
    path: Path, boot: str | None, namespace: str | None
) -> None:
    claim = foreign(path, boot=this_boot() if boot is None else boot, namespace=namespace)
    expire(path)

    with pytest.raises(TimeOutError):
        LinkLock(str(path)).lock(timeout=0)

    assert path.read_text() == claim


def test_a_pid_that_is_somebody_elses_by_now_proves_the_holder_dead(path: Path) -> None:
    foreign(path, boot=this_boot(), pid=os.getpid())
    lock = LinkLock(str(path))

    lock.lock(timeout=0)

    assert lock.still_mine()
    lock.unlock()
    assert left(path) == []


@pytest.mark.parametrize("content", ["", "hello", "a|b|c|d", "a|b|3|x+y+z+w"])
def test_a_file_that_is_no_lock_is_left_alone(path: Path, content: str) -> None:
    path.write_text(content)

    with pytest.raises(TimeOutError):
        LinkLock(str(path)).lock(timeout=0)

    assert path.read_text() == content


def test_a_live_lock_that_a_breaker_caught_is_put_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = foreign(path, boot=this_boot())
    living, late = LinkLock(str(path)), LinkLock(str(path))
    rename = os.rename

    def slow(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        living.lock(timeout=0)  # between the look at the dead lock and the rename
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow)
    with pytest.raises(TimeOutError):
        late.lock(timeout=0)

    assert living.still_mine()
    assert not Path(dead).exists()
    living.unlock()
    assert left(path) == []


def test_a_live_lock_that_comes_back_too_late_does_not_remove_its_successors(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign(path, boot=this_boot())
    robbed, successor, late = (LinkLock(str(path)) for _ in range(3))
    rename = os.rename

    def slow(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        robbed.lock(timeout=0)
        rename(source, target)
        successor.lock(timeout=0)  # while the breaker has the other's lock in hand

    monkeypatch.setattr(os, "rename", slow)
    with pytest.raises(TimeOutError):
        late.lock(timeout=0)

    assert successor.still_mine()
    assert not robbed.still_mine()
    with pytest.raises(NotLockedError):
        robbed.unlock()
    successor.unlock()
    assert left(path) == []


def test_of_two_breakers_one_wins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(path, boot=this_boot())
    first, second = LinkLock(str(path)), LinkLock(str(path))
    rename = os.rename

    def slow(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        first.lock(timeout=0)
        first.unlock()
        rename(source, target)  # nothing there any more

    monkeypatch.setattr(os, "rename", slow)
    second.lock(timeout=0)

    assert second.still_mine()
    second.unlock()
    assert left(path) == []


def test_an_error_of_the_file_server_while_breaking_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = foreign(path, boot=this_boot())

    def fail(_source: str, _target: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        LinkLock(str(path)).lock()

    assert left(path) == sorted([path.name, Path(claim).name])


# --- the file server's moods --------------------------------------------------------------------


def lose_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def forgetful(source: str, target: str) -> None:
        monkeypatch.setattr(os, "link", link)
        link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", forgetful)


def test_a_link_whose_reply_was_lost_is_a_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = LinkLock(str(path))
    lose_reply(monkeypatch)

    lock.lock(timeout=0)

    assert lock.still_mine()
    lock.unlock()
    assert left(path) == []


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE])
def test_a_claim_that_somebody_tidied_away_is_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    lock = LinkLock(str(path))
    link = os.link

    def tidied(source: str, target: str) -> None:
        monkeypatch.setattr(os, "link", link)
        Path(source).unlink()
        raise OSError(number, "gone")

    monkeypatch.setattr(os, "link", tidied)
    lock.lock(timeout=5)

    assert lock.still_mine()
    lock.unlock()


def test_a_link_that_is_refused_leaves_no_claim(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_source: str, _target: str) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(PermissionError):
        LinkLock(str(path)).lock()

    assert left(path) == []


def test_a_directory_that_cannot_be_changed_means_not_mine(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = LinkLock(str(path))
    lock.lock()

    def fail(*_: object) -> int:
        raise OSError(errno.ESTALE, "stale")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        assert not lock.still_mine()
    assert lock.still_mine()
    lock.unlock()


# --- giving back --------------------------------------------------------------------------------


def test_a_lock_that_was_taken_away_is_not_given_back_for_its_new_holder(path: Path) -> None:
    robbed, thief = LinkLock(str(path)), LinkLock(str(path))
    robbed.lock()
    path.unlink()
    thief.lock()

    assert not robbed.still_mine()
    with pytest.raises(NotLockedError):
        robbed.unlock()

    assert thief.still_mine()
    thief.unlock()
    assert left(path) == []


def test_an_old_holder_whose_claim_is_gone_is_not_the_holder(path: Path) -> None:
    lock = LinkLock(str(path))
    lock.lock()

    Path(lock.claimfile).unlink()

    assert not lock.still_mine()


def test_what_is_not_held_is_given_back_only_unconditionally(path: Path) -> None:
    lock = LinkLock(str(path))

    with pytest.raises(NotLockedError):
        lock.unlock()
    lock.unlock(unconditionally=True)


def test_an_unconditional_return_leaves_the_lock_of_another(path: Path) -> None:
    with Holder(path):
        LinkLock(str(path)).unlock(unconditionally=True)

        assert path.exists()


def test_an_interrupt_while_waiting_leaves_neither_claim_nor_lock(path: Path) -> None:
    with Holder(path) as holder:
        before = left(path)

        with pytest.raises(KeyboardInterrupt):
            LinkLock(str(path), clock=Interrupted(press_ctrl_c)).lock()

        assert left(path) == before
        assert str(holder.pid) in path.read_text()


def test_an_interrupt_just_after_the_link_leaves_neither_claim_nor_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def interrupted(source: str, target: str) -> None:
        link(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LinkLock(str(path)).lock()

    assert left(path) == []


def test_a_lock_that_cannot_be_removed_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = LinkLock(str(path))
    lock.lock()
    unlink = os.unlink

    def fail(name: str) -> None:
        if name == str(path):
            raise OSError(errno.EIO, "Input/output error")
        unlink(name)

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(OSError, match="Input/output"):
        lock.unlock()


# --- waiting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.05, timedelta(milliseconds=50)])
def test_a_timeout_may_be_a_fraction_of_a_second(path: Path, timeout: float | timedelta) -> None:
    with Holder(path):
        began = time.monotonic()

        with pytest.raises(TimeOutError):
            LinkLock(str(path)).lock(timeout=timeout)

        assert time.monotonic() - began >= 0.05


def test_nobody_waits_longer_than_asked(path: Path) -> None:
    class HandSet(Interrupted):
        def monotonic(self) -> float:
            return 100.0 + sum(self.slept)

    clock = HandSet(lambda: None)
    with Holder(path), pytest.raises(TimeOutError):
        LinkLock(str(path), clock=clock).lock(timeout=1.0)

    assert 1.0 <= sum(clock.slept) <= 1.05


def test_waits_are_milliseconds_and_grow_to_their_limit(path: Path) -> None:
    def give_up() -> None:
        if len(clock.slept) == 200:
            raise KeyboardInterrupt

    clock = Interrupted(give_up)
    with Holder(path), pytest.raises(KeyboardInterrupt):
        LinkLock(str(path), clock=clock).lock()

    assert all(0.002 <= wait <= 0.05 for wait in clock.slept)
    assert max(clock.slept[:2]) <= 0.004
    assert max(clock.slept) > 0.02


def test_who_waits_gets_the_lock_when_it_is_given_back(path: Path) -> None:
    mine, yours = LinkLock(str(path)), LinkLock(str(path))
    mine.lock()
    yours._clock = Interrupted(mine.unlock)

    yours.lock()

    assert yours.still_mine()
    yours.unlock()


def test_after_a_fork_the_lock_names_the_child_and_waits_for_the_parent(path: Path) -> None:
    lock = LinkLock(str(path))
    lock.lock()

    child = os.fork()
    if child == 0:
        try:
            lock.lock(timeout=0)
        except TimeOutError:
            path.unlink()  # the parent would give it back
            lock.lock(timeout=0)
            os._exit(0 if lock.claimfile.split(SEP)[2] == str(os.getpid()) else 2)
        finally:
            os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not lock.still_mine()


# --- the same on stock flufl.lock: why there is a subclass --------------------------------------


def test_stock_flufl_at_timeout_zero_never_breaks_the_lock_of_the_dead(path: Path) -> None:
    with Holder(path, "stock") as holder:
        holder.kill()
    expire(path)

    with pytest.raises(TimeOutError):
        Lock(str(path)).lock(timeout=0)


def test_stock_flufl_takes_a_lost_reply_for_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Lock(str(path))
    lose_reply(monkeypatch)

    with pytest.raises(AlreadyLockedError):
        lock.lock()

    assert lock.is_locked


def test_stock_flufl_takes_the_lock_of_the_living_by_the_wall_clock(path: Path) -> None:
    class Hasty(Lock):
        def _sleep(self) -> None:
            pass

    with Holder(path, "stock") as holder:
        expire(path)
        thief = Hasty(str(path))

        thief.lock(timeout=5)

        assert thief.is_locked
        assert Path(f"/proc/{holder.pid}").exists()
        thief.unlock()


def test_stock_flufl_breaks_a_live_lock_when_it_looked_too_early(path: Path) -> None:
    living, late = Lock(str(path)), Lock(str(path))
    living.lock()

    late._break()  # decided on by a look at the lock of somebody dead, before `living` took it

    assert not path.exists()


def test_stock_flufl_knows_no_fractions_of_a_second(path: Path) -> None:
    with pytest.raises(TypeError):
        Lock(str(path)).lock(timeout=0.5)  # type: ignore[arg-type,unused-ignore]  # the point


def test_stock_flufl_lets_its_waiters_sleep_for_seconds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 200:
            raise TimeOutError

    with Holder(path, "stock"), monkeypatch.context() as patch:
        patch.setattr(time, "sleep", sleep)
        with pytest.raises(TimeOutError):
            Lock(str(path)).lock()

    assert max(slept) > 1.5
    assert sum(slept) / len(slept) > 0.8  # whoever gives it back and comes again is always quicker


class LastMinuteOfSummer(Lock):
    """Stock flufl.lock five seconds before the clocks go back in Berlin."""

    def _now(self) -> datetime:
        return datetime(2026, 10, 25, 2, 59, 55)  # as flufl has it


AUTUMN = datetime(2026, 10, 25, 0, 59, 55, tzinfo=UTC).timestamp()


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_stock_flufl_holds_an_hour_too_long_when_the_clocks_go_back(path: Path) -> None:
    lock = LastMinuteOfSummer(str(path), lifetime=15)

    lock.lock()

    assert path.stat().st_mtime - AUTUMN == 15 + 3600
    lock.unlock(unconditionally=True)


def test_the_lock_of_the_dead_is_taken_whatever_its_time_says(path: Path) -> None:
    with Holder(path) as holder:
        holder.kill()
    in_an_hour = time.time() + 3600
    os.utime(path, (in_an_hour, in_an_hour))

    lock = LinkLock(str(path))
    lock.lock(timeout=0)

    lock.unlock()


def test_stock_flufl_believes_itself_the_holder_after_a_fork(path: Path) -> None:
    lock = Lock(str(path))
    lock.lock()

    child = os.fork()
    if child == 0:
        os._exit(0 if lock.is_locked else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lock.unlock()
