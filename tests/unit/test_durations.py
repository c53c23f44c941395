"""How long a task is foreseen to take."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmband.domain.durations import Durations

pytestmark = pytest.mark.unit

SECONDS = st.floats(0.001, 1e5)


@given(st.lists(SECONDS, min_size=2, max_size=30), st.integers(0, 30))
def test_what_is_learned_bit_by_bit_is_what_was_seen(took: list[float], cut: int) -> None:
    learned = Durations().with_more(took[:cut]).with_more(took[cut:])

    assert learned.n == len(took)
    assert learned.mean == pytest.approx(statistics.fmean(took))
    deviation = statistics.stdev(took)
    assert learned.foreseen == pytest.approx(learned.mean + 2 * deviation, rel=1e-6)


def test_after_one_task_another_may_take_twice_as_long() -> None:
    assert Durations().with_more([3.0]).foreseen == 6.0
    assert Durations().foreseen == 0.0
