"""How a worker learns how long its job lasts, and what it does with that."""

import pytest

from slurmband.graphband.jobtime import JobTime, Limits
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit


def test_without_an_end_there_is_time_for_anything() -> None:
    time = JobTime(HandClock())

    assert (time.left(), time.over, time.allows(1e9)) == (None, False, True)


@pytest.mark.parametrize(("lasts", "to_begin"), [(3600.0, 3570.0), (100.0, 90.0), (-5.0, -5.0)])
def test_some_of_the_time_is_kept_for_the_last_report(lasts: float, to_begin: float) -> None:
    clock = HandClock()
    time = JobTime(clock)

    time.learn(clock.now() + lasts)

    assert time.left() == pytest.approx(to_begin)
    assert time.over == (lasts < 0)


def test_time_goes_by() -> None:
    clock = HandClock()
    time = JobTime(clock)
    time.learn(clock.now() + 100.0)

    clock.sleep(80.0)

    assert time.left() == pytest.approx(10.0)
    assert (time.allows(10.0 - 1e-3), time.allows(11.0)) == (True, False)
    clock.sleep(10.0)
    assert time.over


def test_one_worker_asks_slurm_and_tells_the_others() -> None:
    clock, asked = HandClock(), []
    time = JobTime(clock)
    time.inquire("token", age=60.0)

    def slurm() -> float:
        asked.append(1)
        return 3600.0

    time.ask(slurm)  # nobody said that it is this worker's turn
    question = time.question()
    assert question == Limits("token", 60.0)
    time.heard(question, None, None, ask=True)
    time.ask(slurm)
    time.ask(slurm)
    assert time.left() == pytest.approx(3600 - 60 - 30)

    told = time.question()
    assert told == Limits("token", 60.0, 3600.0)
    assert time.wants_a_round
    time.heard(told, time.news(), None, ask=False)
    assert (time.question(), len(asked), time.wants_a_round) == (None, 1, False)


def test_what_another_worker_asked_is_learned_from_a_round() -> None:
    clock = HandClock()
    time = JobTime(clock)
    time.inquire("token", age=0.0)
    clock.sleep(100.0)

    question = time.question()
    assert question is not None
    assert question.left(600.0) == pytest.approx(600 - 100 - 30)
    time.heard(question, None, 0.0, ask=False)  # somebody is asking
    assert time.left() is None
    time.heard(question, None, 600.0, ask=False)

    assert time.left() == pytest.approx(600 - 100 - 30)
    assert time.ends_at == pytest.approx(clock.now() + 500.0)
    assert time.question() is None


def test_where_slurm_does_not_say_there_is_no_end_and_nobody_asks_again() -> None:
    time = JobTime(HandClock())
    time.inquire("token", age=0.0)
    time.heard(time.question(), None, None, ask=True)

    time.ask(lambda: None)

    told = time.question()
    assert told is not None
    assert told.limit == 0.0
    time.heard(told, None, 0.0, ask=False)
    assert (time.left(), time.question()) == (None, None)


def test_an_end_is_written_down_once_for_each_life() -> None:
    clock = HandClock()
    time = JobTime(clock)

    for _life in range(2):
        time.learn(500.0)
        assert time.wants_a_round
        assert time.news() == 500.0
        time.heard(None, 500.0, None, ask=False)
        assert (time.news(), time.wants_a_round) == (None, False)


def test_in_a_long_task_the_question_is_asked_now_and_then_and_ever_more_rarely() -> None:
    clock = HandClock()
    time = JobTime(clock)
    time.inquire("token", age=0.0)
    due = []

    for second in range(100):
        if time.wants_a_round:
            due.append(second)
            time.heard(time.question(), None, 0.0, ask=False)
        clock.sleep(1.0)

    assert due == [10, 20, 40, 80]


def test_a_warning_in_the_first_half_of_the_time_is_not_for_its_end() -> None:
    clock = HandClock()
    time = JobTime(clock)
    assert time.may_be_warned_of  # its end may be near, as far as is known

    time.learn(clock.now() + 3600.0)

    clock.sleep(1000.0)
    assert not time.may_be_warned_of
    clock.sleep(1000.0)
    assert time.may_be_warned_of


def test_a_warning_of_a_short_job_may_come_at_once() -> None:
    clock = HandClock()
    time = JobTime(clock)

    time.learn(clock.now() + 60.0)

    assert time.may_be_warned_of
