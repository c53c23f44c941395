"""How many tasks a worker takes, and how long its reports may wait: by what a round costs."""

import pytest

from slurmband.domain.pace import LONGEST, MOST, NOTHING, Pace, Wish, called

pytestmark = pytest.mark.unit


def learned(*, task: float, round_: float, rounds: int = 20) -> Pace:
    """Return the pace of a worker that got all it wanted for a while."""
    pace = Pace()
    for _ in range(rounds):
        pace.asked(round_, pace.wish().want)
        pace.ran(task)
    return pace


def test_a_worker_that_knows_nothing_takes_one_task_and_reports_at_once() -> None:
    pace = Pace()

    assert (pace.wish(), pace.patience(awaited=False)) == (Wish(1), 0.0)


@pytest.mark.parametrize(
    ("task", "round_", "want"),
    [
        (60.0, 0.003, 1),
        (1.0, 0.003, 1),
        (1.0, 0.0125, 1),
        (1.0, 0.1, 4),
        (0.1, 0.1, 40),
        (0.0, 0.01, MOST),
    ],
)
def test_rounds_stay_a_small_part_of_the_work(task: float, round_: float, want: int) -> None:
    assert learned(task=task, round_=round_).wish().want == want


def test_from_one_task_it_grows_fourfold_at_most_each_time() -> None:
    pace, wants = Pace(), []
    for _ in range(6):
        wants.append(pace.wish().want)
        pace.asked(0.01, wants[-1])
        pace.ran(0.0001)

    assert wants == [1, 4, 16, 64, MOST, MOST]


def test_who_wants_one_at_a_time_gets_one_at_a_time() -> None:
    pace = Pace(most=1)
    for _ in range(5):
        pace.asked(0.01, pace.wish().want)
        pace.ran(0.0)

    assert pace.wish().want == 1


def test_who_got_less_than_it_wanted_wants_no_more_than_four_times_that() -> None:
    pace = learned(task=0.0001, round_=0.01)

    pace.asked(0.01, 3)

    assert pace.wish().want == 12


def test_a_round_that_gave_nothing_says_nothing_of_how_much_to_take() -> None:
    pace = learned(task=0.0001, round_=0.01)

    pace.asked(0.01, 0)

    assert pace.wish().want == MOST


@pytest.mark.parametrize("rounds", [(10.0, 0.01, 0.01), (0.01, 10.0, 0.01), (0.01, 0.01, 10.0)])
def test_one_round_that_had_to_wait_for_long_says_little_of_the_next(
    rounds: tuple[float, ...],
) -> None:
    pace = Pace()
    for seconds in rounds:
        pace.asked(seconds, 1)
        pace.ran(1.0)

    assert pace.wish().trifle == 1
    assert pace.patience(awaited=False) < 4.0


def test_rounds_that_go_on_taking_long_are_believed() -> None:
    pace = learned(task=1.0, round_=0.01)

    for _ in range(10):
        pace.asked(10.0, 1)

    assert pace.wish().trifle >= 8


def test_long_tasks_after_short_ones_are_soon_taken_one_at_a_time() -> None:
    pace = learned(task=0.0001, round_=0.01)

    pace.ran(10.0)

    assert pace.wish().want == 1


def test_what_others_wait_for_is_reported_sooner() -> None:
    pace = learned(task=0.001, round_=0.01)

    assert pace.patience(awaited=True) == pytest.approx(0.04)
    assert pace.patience(awaited=False) == pytest.approx(0.4)


def test_no_report_waits_for_ever_however_slow_the_rounds_are() -> None:
    assert learned(task=1.0, round_=100.0).patience(awaited=False) == LONGEST


def test_what_is_done_within_a_round_is_a_trifle() -> None:
    assert learned(task=1.0, round_=0.01).wish().trifle == 1
    assert learned(task=0.001, round_=0.0105).wish().trifle == 10


def test_what_is_in_hand_is_not_wanted_again() -> None:
    pace = learned(task=0.1, round_=0.1)

    assert [pace.wish(in_hand).of(10_000, 4) for in_hand in (0, 35, 40, 45)] == [40, 5, 0, 0]
    assert pace.wish(1).of(7, 4) == 0


@pytest.mark.parametrize(
    ("task", "round_", "longest"), [(0.001, 0.01, 1.0), (1.2, 0.1, 4.8), (0.001, 2.0, 8.0)]
)
def test_a_task_is_long_beside_those_before_it(task: float, round_: float, longest: float) -> None:
    assert learned(task=task, round_=round_).longest() == pytest.approx(longest)


@pytest.mark.parametrize(
    ("ready", "workers", "taken"),
    [(0, 4, 1), (1, 4, 1), (8, 4, 1), (9, 4, 2), (16, 4, 2), (1000, 4, 100), (7, 0, 4)],
)
def test_nobody_takes_more_than_a_share_of_half(ready: int, workers: int, taken: int) -> None:
    assert Wish(100).of(ready, workers) == taken


def test_nobody_waits_for_a_fair_share_of_trifles() -> None:
    assert Wish(100, trifle=5).of(8, 4) == 5
    assert Wish(3, trifle=5).of(8, 4) == 3
    assert NOTHING.of(8, 4) == 0


@pytest.mark.parametrize(
    ("ready", "waiting", "share"),
    [
        ([], 10, 0.0),
        ([0], 10, 0.0),
        ([1], 100, 0.02),
        ([30], 100, 0.6),
        ([50], 100, 1.0),
        ([500], 100, 1.0),
        ([1], 0, 1.0),
        ([1], -3, 1.0),
        ([1, 0], 100, 1.0),
        ([0, 0], 100, 0.0),
    ],
)
def test_about_two_workers_are_called_for_a_task(
    ready: list[int], waiting: int, share: float
) -> None:
    assert called(ready, waiting) == pytest.approx(share)
