"""The database's lock: whoever may be alive keeps it, and the others go on in the next generation."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flufl.lock import NotLockedError, TimeOutError

from slurmband.clock import SystemClock
from slurmband.locks import generations
from slurmband.locks.generations import GenerationLock, announce, lock_file, marker
from tests.locks.holder import Holder, wait_for
from tests.locks.test_link_lock import foreign, left

pytestmark = pytest.mark.integration

PATIENCE = 60.0


class Fast(SystemClock):
    """A clock by which a wait takes no time; `each_wait` happens at each."""

    def __init__(self, each_wait: Callable[[], object] = lambda: None) -> None:
        self.time = 0.0
        self._each_wait = each_wait

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self._each_wait()


@pytest.fixture
def stem(tmp_path: Path) -> str:
    return str(tmp_path / "db")


def lock_of(stem: str, clock: SystemClock | None = None) -> GenerationLock:
    return GenerationLock(stem, 1, patience=PATIENCE, clock=clock)


def test_a_lock_that_was_given_back_leaves_nothing_and_no_new_generation(stem: str) -> None:
    lock = lock_of(stem)

    lock.lock()
    assert lock.still_mine()
    lock.unlock()

    assert left(Path(stem)) == []
    assert lock.generation == 1


def test_a_holder_that_is_still_for_too_long_is_left_behind(stem: str) -> None:
    sleeper, clock = lock_of(stem), Fast()
    sleeper.lock()
    other = lock_of(stem, clock)

    other.lock()

    assert (other.generation, other.still_mine()) == (2, True)
    assert PATIENCE <= clock.time < 1.1 * PATIENCE
    assert not sleeper.still_mine()
    with pytest.raises(NotLockedError):
        sleeper.unlock()
    assert other.still_mine()


def test_who_cannot_wait_that_long_ends_no_generation(stem: str) -> None:
    lock_of(stem).lock()

    with pytest.raises(TimeOutError):
        lock_of(stem, Fast()).lock(timeout=PATIENCE / 2)

    assert not Path(marker(stem, 2)).exists()


def test_a_holder_that_changes_its_lock_keeps_it(stem: str) -> None:
    holder = lock_of(stem)
    holder.lock()
    assert holder.held is not None
    claim = holder.held

    with pytest.raises(TimeOutError):
        lock_of(stem, Fast(lambda: holder.tick(claim))).lock(timeout=3 * PATIENCE)

    assert holder.still_mine()
    holder.unlock()


def test_a_lock_that_is_held_for_long_changes_by_itself(
    stem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "TICK_EVERY", 0.01)
    holder = lock_of(stem)
    holder.lock()
    before = Path(lock_file(stem, 1)).read_text()

    wait_for(lambda: len(Path(lock_file(stem, 1)).read_text()) > len(before) + 10)

    assert holder.still_mine()
    holder.unlock()
    assert left(Path(stem)) == []


def test_a_change_that_comes_after_the_lock_was_given_back_makes_nothing(stem: str) -> None:
    holder = lock_of(stem)
    holder.lock()
    assert holder.held is not None
    claim = holder.held
    holder.unlock()

    holder.tick(claim)

    assert holder.held is None
    assert left(Path(stem)) == []


def test_the_thread_that_changes_it_takes_no_signals(stem: str) -> None:
    lock = lock_of(stem)
    (thread,) = [t for t in threading.enumerate() if t.name == "slurmband-lock"][-1:]

    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()

    blocked = int(status.partition("SigBlk:\t")[2].split()[0], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        assert blocked & (1 << (number - 1))
    assert not lock.still_mine()


def test_the_lock_of_a_killed_holder_is_taken_within_its_generation(stem: str) -> None:
    with Holder(Path(stem), kind="generation") as holder:
        holder.kill()

    lock = lock_of(stem)
    lock.lock(timeout=0)

    assert lock.generation == 1
    lock.unlock()
    assert left(Path(stem)) == []


def test_the_lock_of_a_node_that_is_gone_ends_its_generation(stem: str) -> None:
    foreign(Path(lock_file(stem, 1)), boot="another-boot")

    lock = lock_of(stem, Fast())
    lock.lock()

    assert lock.generation == 2


def test_of_two_that_end_a_generation_at_once_one_holds_the_next(stem: str) -> None:
    lock_of(stem).lock()
    first = lock_of(stem, Fast())

    class Late(GenerationLock):
        def give_up(self, why: str) -> None:
            first.lock()  # ends the same generation while this one is about to
            super().give_up(why)

    second = Late(stem, 1, patience=PATIENCE, clock=Fast())
    with pytest.raises(TimeOutError):
        second.lock(timeout=1.5 * PATIENCE)

    assert (first.generation, first.still_mine(), second.generation) == (2, True, 2)
    assert not Path(marker(stem, 3)).exists()


def test_who_takes_the_lock_of_an_old_generation_goes_on_to_the_newest(stem: str) -> None:
    for number in (2, 3):
        announce(stem, number, "for a test")

    lock = lock_of(stem)
    lock.lock(timeout=0)

    assert lock.generation == 3
    assert not Path(lock_file(stem, 1)).exists()
    lock.unlock()
    assert left(Path(stem)) == ["db.2", "db.3"]


def test_who_waits_at_an_old_generation_goes_on_when_the_next_is_announced(stem: str) -> None:
    lock_of(stem).lock()
    lock = lock_of(stem, Fast(lambda: announce(stem, 2, "by another")))

    lock.lock(timeout=5)

    assert (lock.generation, lock.still_mine()) == (2, True)


def test_a_sleeper_that_wakes_up_takes_its_old_lock_away_and_goes_on(stem: str) -> None:
    sleeper, other = lock_of(stem), lock_of(stem, Fast())
    sleeper.lock()
    other.lock()

    with pytest.raises(NotLockedError):
        sleeper.unlock()
    assert not Path(lock_file(stem, 1)).exists()
    other.unlock()
    sleeper.lock(timeout=0)

    assert (sleeper.generation, sleeper.still_mine()) == (2, True)


def test_an_interrupt_while_going_on_leaves_neither_claim_nor_lock(stem: str) -> None:
    lock_of(stem).lock()
    lock_of(stem, Fast()).lock()  # generation 2 is held, too
    before = left(Path(stem))

    def press_ctrl_c() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lock_of(stem, Fast(press_ctrl_c)).lock()

    assert left(Path(stem)) == before


def test_a_file_that_is_no_lock_of_ours_is_given_up_too(stem: str) -> None:
    Path(lock_file(stem, 1)).write_text("a lock of another program")

    lock = lock_of(stem, Fast())
    lock.lock()

    assert lock.generation == 2
