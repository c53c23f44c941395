"""SLURM is asked by one worker for all, and not too often; and every call is counted."""

import pytest

from slurmband.store import questions
from tests.store.builders import Bench

pytestmark = pytest.mark.unit


def take(bench: Bench, now: float, command: str = "squeue", every: float = 60.0) -> bool:
    with bench.store.transaction() as tx:
        return questions.take(tx, command, every=every, now=now)


def asked(bench: Bench) -> list[tuple[object, ...]]:
    with bench.store.read() as tx:
        return [tuple(row.values()) for row in questions.asked(tx)]


def test_the_right_to_ask_is_had_once_a_minute_by_all_together(bench: Bench) -> None:
    answers = [take(bench, now) for now in (1000.0, 1000.0, 1059.9, 1060.0, 1061.0)]

    assert answers == [True, False, False, True, False]
    assert asked(bench) == [("squeue", 2, 1060.0)]


def test_each_command_has_its_own_minute(bench: Bench) -> None:
    assert take(bench, 1000.0, "squeue")
    assert take(bench, 1000.0, "sacct")
    assert not take(bench, 1001.0, "sacct")

    assert asked(bench) == [("sacct", 1, 1000.0), ("squeue", 1, 1000.0)]


def test_a_person_may_ask_at_any_time_and_is_counted(bench: Bench) -> None:
    take(bench, 1000.0)

    assert take(bench, 1000.0, every=0.0)
    assert take(bench, 1001.0, every=0.0)
    assert not take(bench, 1060.0)

    assert asked(bench) == [("squeue", 3, 1001.0)]


def test_a_clock_that_was_far_ahead_silences_nobody_for_long(bench: Bench) -> None:
    take(bench, 9000.0)

    assert not take(bench, 8940.1)  # a clock may be a little behind
    assert take(bench, 1000.0)

    assert asked(bench) == [("squeue", 2, 1000.0)]
