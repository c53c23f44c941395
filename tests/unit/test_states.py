"""The table of transitions is whole: it says what the design says, and nothing in it is dead."""

import itertools

import pytest

from slurmband.domain.states import (
    ACTIVE,
    CLAIMABLE,
    ENDED_BADLY,
    TRANSITIONS,
    Event,
    TaskState,
)

pytestmark = pytest.mark.unit

S, E = TaskState, Event
#: What a new task can be: registration decides.
FIRST = {S.WAITING, S.READY, S.BLOCKED}


@pytest.mark.parametrize("event", [event for event in Event if event is not Event.CLAIM])
def test_nothing_but_a_claim_makes_a_task_running(event: Event) -> None:
    assert S.RUNNING not in {to for (_, e), to in TRANSITIONS.items() if e is event}


def test_only_the_claimable_and_the_running_can_be_claimed() -> None:
    assert {state for state, event in TRANSITIONS if event is E.CLAIM} == CLAIMABLE | {S.RUNNING}


def test_only_a_running_task_can_complete() -> None:
    assert {key for key, to in TRANSITIONS.items() if to is S.COMPLETED} == {
        (S.RUNNING, E.COMPLETE)
    }


def test_only_another_fingerprint_takes_back_a_completion() -> None:
    assert [event for state, event in TRANSITIONS if state is S.COMPLETED] == [E.INVALIDATE]


@pytest.mark.parametrize(
    ("event", "to"),
    [
        (E.COMPLETE, S.COMPLETED),
        (E.RETRY, S.READY),
        (E.RELEASE, S.READY),
        (E.FAIL, S.FAILED),
        (E.KILL, S.KILLED),
    ],
)
def test_the_end_of_an_attempt_is_an_event_of_running_tasks_only(
    event: Event, to: TaskState
) -> None:
    assert {key: t for key, t in TRANSITIONS.items() if key[1] is event} == {(S.RUNNING, event): to}


def test_only_a_person_takes_a_running_task_from_its_worker() -> None:
    leaving = {event for state, event in TRANSITIONS if state is S.RUNNING}

    assert leaving == {E.CLAIM, E.COMPLETE, E.RETRY, E.RELEASE, E.FAIL, E.KILL, E.CANCEL}


@pytest.mark.parametrize("state", sorted({S.WAITING, S.READY, S.BLOCKED} | ENDED_BADLY))
def test_a_task_that_has_not_completed_can_always_get_to_run(state: TaskState) -> None:
    assert S.RUNNING in reachable({state})


def test_every_event_is_in_the_table() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_every_state_can_be_reached() -> None:
    assert reachable(FIRST) == set(TaskState)


def test_whatever_has_not_completed_can_be_cancelled() -> None:
    assert {state for state, event in TRANSITIONS if event is E.CANCEL} == set(TaskState) - {
        *(S.COMPLETED, S.CANCELLED),
    }


def test_the_named_sets_of_states_do_not_contradict_each_other() -> None:
    assert CLAIMABLE <= ACTIVE
    assert ACTIVE.isdisjoint(ENDED_BADLY | {S.COMPLETED, S.BLOCKED})
    assert set(TaskState) == ACTIVE | ENDED_BADLY | {S.COMPLETED, S.BLOCKED}


def test_the_table_cannot_be_changed_while_the_program_runs() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[S.COMPLETED, E.CLAIM] = S.RUNNING  # type: ignore[index]  # that is the point


def reachable(states: set[TaskState]) -> set[TaskState]:
    found = set(states)
    for _ in itertools.repeat(None, len(TaskState)):
        found |= {to for (state, _), to in TRANSITIONS.items() if state in found}
    return found
