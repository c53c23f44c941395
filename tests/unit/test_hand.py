"""What a worker has in hand between two rounds."""

import pytest

from slurmband.domain.attempts import Claim
from slurmband.graphband.endings import NOT_BEGUN
from slurmband.graphband.hand import Hand
from tests.store.builders import COMPLETED, FAILED

pytestmark = pytest.mark.unit

BAKE, BOIL, FRY = (
    Claim(number, name, number, 1, 0, awaited=name == "boil")
    for number, name in enumerate(("bake", "boil", "fry"), 1)
)


@pytest.fixture
def hand() -> Hand:
    made = Hand()
    made.add([BAKE, BOIL, FRY])
    return made


def test_what_came_first_is_taken_first(hand: Hand) -> None:
    assert [hand.take() for _ in range(4)] == [BAKE, BOIL, FRY, None]
    assert not hand


def test_what_was_told_is_forgotten_and_what_came_meanwhile_is_not(hand: Hand) -> None:
    hand.ended(BAKE, COMPLETED)
    reports = hand.reports
    hand.ended(BOIL, COMPLETED)

    hand.told(reports)

    assert hand.reports == ((BOIL, COMPLETED),)
    assert (hand.urgent, hand.awaited) == (False, True)


def test_what_an_incarnation_before_told_takes_no_report_of_the_present_one(hand: Hand) -> None:
    hand.ended(BAKE, COMPLETED)
    reports = hand.reports
    hand.clear()
    hand.ended(BAKE, COMPLETED)  # it looks the same

    hand.told(reports)

    assert hand.reports == ((BAKE, COMPLETED),)


def test_what_is_given_up_is_reported_as_not_begun(hand: Hand) -> None:
    hand.ended(hand.take() or FRY, COMPLETED)

    hand.give_up(NOT_BEGUN)

    assert hand.reports == ((BAKE, COMPLETED), (BOIL, NOT_BEGUN), (FRY, NOT_BEGUN))
    assert (len(hand), hand.attempts) == (0, set())


def test_only_what_went_as_it_should_can_wait(hand: Hand) -> None:
    hand.ended(BAKE, COMPLETED)
    assert (hand.urgent, hand.awaited) == (False, False)

    hand.ended(BOIL, COMPLETED)
    assert (hand.urgent, hand.awaited) == (False, True)

    hand.ended(FRY, FAILED)
    assert hand.urgent


def test_a_new_incarnation_begins_with_nothing(hand: Hand) -> None:
    hand.ended(BAKE, COMPLETED)

    assert hand.clear() == [BAKE]
    assert (hand.reports, len(hand)) == ((), 0)
