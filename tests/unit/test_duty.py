"""One worker looks after the dead, and another takes over when it no longer does."""

from pathlib import Path

import pytest

from slurmband.liveness.duty import Duty
from slurmband.liveness.notice import Notice
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit

PATIENCE = 60.0
#: By then patience has run out, however it was jittered.
SURELY = 1.5 * PATIENCE


@pytest.fixture
def notice(tmp_path: Path) -> Notice:
    """Make the duty file, which nobody has touched yet."""
    (tmp_path / "duty").touch()
    return Notice(tmp_path / "duty")


@pytest.fixture
def clock() -> HandClock:
    """Make the clock of all workers."""
    return HandClock()


@pytest.fixture
def duty(notice: Notice, clock: HandClock) -> Duty:
    """Make a worker that has just seen the file."""
    return Duty(notice, patience=PATIENCE, monotonic=clock)


def test_nobody_takes_over_before_patience_runs_out(duty: Duty, clock: HandClock) -> None:
    assert not duty.mine()

    clock.forward(PATIENCE - 0.1)

    assert not duty.mine()


def test_who_saw_no_change_for_long_takes_over_and_stays(duty: Duty, clock: HandClock) -> None:
    clock.forward(SURELY)
    taken = duty.mine()
    clock.forward(0.1)

    assert taken
    assert duty.mine()


def test_who_is_on_duty_tells_the_others_at_each_pass(
    duty: Duty, notice: Notice, clock: HandClock
) -> None:
    clock.forward(SURELY)

    seen = [notice.look()]
    for _ in range(3):
        duty.mine()
        seen.append(notice.look())
        clock.forward(1)

    assert len(set(seen)) == 4


def test_who_sees_somebody_on_duty_waits_from_then(
    duty: Duty, notice: Notice, clock: HandClock
) -> None:
    clock.forward(SURELY)
    notice.ring(7)
    seen = duty.mine()
    clock.forward(PATIENCE - 0.1)
    still = duty.mine()
    clock.forward(SURELY)

    assert not seen
    assert not still
    assert duty.mine()


def test_of_two_on_duty_one_stands_back(duty: Duty, notice: Notice, clock: HandClock) -> None:
    clock.forward(SURELY)
    duty.mine()

    notice.ring(7)

    assert not duty.mine()
    clock.forward(PATIENCE - 0.1)
    assert not duty.mine()


def test_of_many_who_wait_only_the_first_takes_over(notice: Notice, clock: HandClock) -> None:
    workers = [Duty(notice, patience=PATIENCE, monotonic=clock) for _ in range(50)]

    clock.forward(SURELY)

    assert [worker.mine() for worker in workers] == [True] + [False] * 49


def test_not_all_lose_patience_at_once(tmp_path: Path, clock: HandClock) -> None:
    files = [tmp_path / str(number) for number in range(60)]
    for file in files:
        file.touch()
    alone = [Duty(Notice(file), patience=PATIENCE, monotonic=clock) for file in files]

    clock.forward(1.25 * PATIENCE)

    assert {duty.mine() for duty in alone} == {True, False}  # but for one chance in 2**59
