"""A band is over when nothing will change any more by itself, whatever became of its tasks."""

import pytest

from slurmband.domain.states import TaskState
from slurmband.submission.wait import Progress

pytestmark = pytest.mark.unit


def progress(*states: str, growing: bool | None = None) -> Progress:
    found = {state: states.count(state.value) for state in TaskState}
    return Progress(found, workers=0, growing=growing)


@pytest.mark.parametrize("state", ["completed", "failed", "killed", "blocked", "cancelled"])
def test_a_band_whose_tasks_have_all_ended_is_over(state: str) -> None:
    assert progress(state, state).over


@pytest.mark.parametrize("state", ["waiting", "ready", "running", "invalidated"])
def test_a_band_is_not_over_while_a_task_may_still_run(state: str) -> None:
    assert not progress("completed", state).over


def test_a_band_is_not_over_before_its_graph_is_registered() -> None:
    assert not progress().over


def test_a_growing_band_is_over_at_its_recorded_end() -> None:
    assert not progress("completed", growing=True).over
    assert progress(growing=False).over
