"""How long a worker waits before it tries the same again."""

import pytest

from slurmband.errors import CommitUnknown, DatabaseFault
from slurmband.graphband.pauses import AFTER_A_FAULT, Pauses
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit


def paused(pauses: Pauses, clock: HandClock, fault: CommitUnknown | DatabaseFault) -> float:
    begun = clock.monotonic()
    pauses.pause(fault)
    assert pauses.last == begun
    return clock.monotonic() - begun


def test_a_doubt_is_looked_into_soon_and_each_further_one_later() -> None:
    clock = HandClock()
    pauses = Pauses(clock)

    waits = [paused(pauses, clock, CommitUnknown("?")) for _ in range(12)]

    assert all(0.1 * 2**n <= wait <= 2**n for n, wait in enumerate(waits[:4]))
    assert waits[-1] == pytest.approx(AFTER_A_FAULT)


def test_after_a_doubt_that_is_over_the_next_is_the_first_again() -> None:
    clock = HandClock()
    pauses = Pauses(clock)
    for _ in range(12):
        paused(pauses, clock, CommitUnknown("?"))

    pauses.over()

    assert paused(pauses, clock, CommitUnknown("?")) <= 1.0


def test_a_database_that_cannot_be_used_is_given_time() -> None:
    clock = HandClock()

    waited = paused(Pauses(clock), clock, DatabaseFault("band", "full"))

    assert waited == pytest.approx(AFTER_A_FAULT)
