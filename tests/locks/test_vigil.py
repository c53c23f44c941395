"""A waiter gives a holder up only after it saw it still, on time, for the whole lifetime."""

import pytest

from slurmband.locks.vigil import Vigil
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit

LIFETIME = 22.5


class Seen:
    """What a waiter sees: one holder's record and beat, by a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.record = "record"
        self.beat: str | None = "1"
        self.reading_takes = 0.0
        self.vigil = Vigil(self.clock)

    def _look(self) -> object:
        self.clock.forward(self.reading_takes)
        return self.record, self.beat

    def look_for(self, seconds: float, *, every: float = 0.05) -> bool:
        over = self.vigil.over(self._look, LIFETIME)
        end = self.clock() + seconds
        while self.clock() + every <= end:
            self.clock.forward(every)
            over = self.vigil.over(self._look, LIFETIME)
        return over


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.mark.parametrize(("seconds", "over"), [(LIFETIME - 0.1, False), (LIFETIME + 0.1, True)])
def test_a_still_holder_is_given_up_after_its_lifetime(
    seen: Seen, seconds: float, *, over: bool
) -> None:
    assert seen.look_for(seconds) is over


@pytest.mark.parametrize("what", ["beat", "record", "beat file"])
def test_whatever_changes_makes_the_count_start_anew(seen: Seen, what: str) -> None:
    seen.look_for(LIFETIME - 1)

    if what == "record":
        seen.record = "another record"
    else:
        seen.beat = "2" if what == "beat" else None

    assert not seen.look_for(LIFETIME - 1)
    assert seen.look_for(LIFETIME)


def test_a_holder_without_a_beat_file_is_as_still_as_one_that_does_not_beat(seen: Seen) -> None:
    seen.beat = None

    assert seen.look_for(LIFETIME + 0.1)


@pytest.mark.parametrize(("asleep", "over"), [(5.0, True), (6.0, False), (1000.0, False)])
def test_a_waiter_that_was_itself_held_up_starts_anew(
    seen: Seen, asleep: float, *, over: bool
) -> None:
    seen.look_for(LIFETIME - 1)

    seen.clock.forward(asleep)

    assert seen.look_for(0) is over


def test_a_look_that_waited_for_the_file_server_starts_anew(seen: Seen) -> None:
    seen.look_for(LIFETIME - 1)

    seen.reading_takes = 6.0

    assert not seen.look_for(0)
    seen.reading_takes = 0.0
    assert not seen.look_for(LIFETIME - 1)


def test_the_first_look_says_nothing(seen: Seen) -> None:
    assert not seen.vigil.over(lambda: "record", 0.1)
