"""A worker that neither begins nor reports what it holds stops beating until it goes on."""

from typing import Any

import pytest

from slurmband.graphband.dues import PATIENCE, Dues
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit

TIMEOUT = 60.0
NEVER_PAUSED = float("-inf")


class Beats:
    """Stands for a heartbeat, of which only this matters; the worker may go on at any moment."""

    def __init__(self, clock: HandClock) -> None:
        self.silent, self.dues = False, Dues(clock, TIMEOUT)
        self.goes_on_meanwhile = False

    def hold_back(self) -> None:
        if self.goes_on_meanwhile:
            self.dues.settle(self.me)
        self.silent = True

    def go_on(self) -> None:
        self.silent = False

    @property
    def me(self) -> Any:
        return self


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def beats(clock: HandClock) -> Beats:
    return Beats(clock)


def test_who_owes_nothing_is_never_held_up(beats: Beats, clock: HandClock) -> None:
    clock.forward(100 * TIMEOUT)

    beats.dues.check(beats.me, paused_at=NEVER_PAUSED)

    assert not beats.silent


def test_who_owes_for_long_is_silent_until_it_goes_on(beats: Beats, clock: HandClock) -> None:
    beats.dues.owe()
    clock.forward(PATIENCE * TIMEOUT)
    beats.dues.check(beats.me, paused_at=NEVER_PAUSED)
    assert not beats.silent

    clock.forward(1.0)
    beats.dues.check(beats.me, paused_at=NEVER_PAUSED)
    assert beats.silent

    beats.dues.settle(beats.me)
    assert not beats.silent


def test_who_tries_again_now_and_then_is_not_held_up(beats: Beats, clock: HandClock) -> None:
    """As with a full disk: it keeps its results, and others must not do them again."""
    beats.dues.owe()
    clock.forward(100 * TIMEOUT)

    beats.dues.check(beats.me, paused_at=clock.monotonic() - TIMEOUT)

    assert not beats.silent


def test_who_goes_on_at_that_very_moment_beats(beats: Beats, clock: HandClock) -> None:
    beats.dues.owe()
    clock.forward(100 * TIMEOUT)
    beats.goes_on_meanwhile = True

    beats.dues.check(beats.me, paused_at=NEVER_PAUSED)

    assert not beats.silent
