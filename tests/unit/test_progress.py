"""A band is over when nothing will change any more by itself, whatever became of its tasks."""

import pytest

from slurmband.domain.states import TaskState
from slurmband.submission.wait import Progress

pytestmark = pytest.mark.unit


def progress(growing: bool | None = None, **counts: int) -> Progress:
    found = {state: counts.get(state.value, 0) for state in TaskState}
    return Progress(found, workers=0, growing=growing)


@pytest.mark.parametrize("state", ["completed", "failed", "killed", "blocked", "cancelled"])
def test_a_band_whose_tasks_have_all_ended_is_over(state: str) -> None:
    assert progress(**{state: 2}).over


@pytest.mark.parametrize("state", ["waiting", "ready", "running", "invalidated"])
def test_a_band_is_not_over_while_a_task_may_still_run(state: str) -> None:
    assert not progress(completed=1, **{state: 1}).over


def test_a_band_is_not_over_before_its_graph_is_registered() -> None:
    assert not progress().over


def test_a_growing_band_is_over_at_its_recorded_end() -> None:
    assert not progress(growing=True, completed=1).over
    assert progress(growing=False).over
