"""What the end of an attempt does to its task, and whose fault the end of a worker is."""

from dataclasses import replace

import pytest

from slurmband.domain.attempts import (
    Ending,
    Outcome,
    Reason,
    Tally,
    charge_of,
    event_after,
    judged,
)
from slurmband.domain.budgets import Charge
from slurmband.domain.states import Event

pytestmark = pytest.mark.unit


def tally(
    *,
    still_open: int = 0,
    completed: bool = False,
    failures: int = 0,
    deaths: int = 0,
    ooms: int = 0,
    overruns: int = 0,
    failed_retries: int = 0,
    killed_retries: int = 0,
    oom_retries: int = 0,
    time_limit_retries: int = 0,
) -> Tally:
    charged = dict(zip(Charge, (failures, deaths, ooms, overruns), strict=True))
    budgets = (failed_retries, killed_retries, oom_retries, time_limit_retries)
    return Tally(still_open, completed, charged, dict(zip(Charge, budgets, strict=True)))


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_a_budget_of_n_retries_after_failures_is_n_further_attempts(retries: int) -> None:
    events = [
        event_after(Outcome.FAILED, tally(failures=n, failed_retries=retries))
        for n in range(1, retries + 2)
    ]

    assert events == [Event.RETRY] * retries + [Event.FAIL]


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_a_budget_of_n_retries_after_deaths_is_n_further_attempts(retries: int) -> None:
    events = [
        event_after(Outcome.KILLED, tally(deaths=n, killed_retries=retries))
        for n in range(1, retries + 2)
    ]

    assert events == [Event.RETRY] * retries + [Event.KILL]


def test_each_cause_has_a_budget_of_its_own() -> None:
    brink = tally(deaths=1, ooms=1, killed_retries=1, oom_retries=1, time_limit_retries=4)
    spent = {Charge.FAILED: Event.FAIL, Charge.KILLED: Event.KILL}

    assert event_after(Outcome.KILLED, brink) is Event.RETRY
    for charge in Charge:
        beyond = replace(brink, charged={**brink.charged, charge: brink.budgets[charge] + 1})
        assert event_after(Outcome.KILLED, beyond) is spent.get(charge, Event.KILL)


def test_a_task_that_took_three_workers_with_it_is_poisoned_whatever_they_died_of() -> None:
    two = tally(deaths=1, ooms=1, killed_retries=2, oom_retries=2)
    three = replace(two, charged={**two.charged, Charge.OUT_OF_MEMORY: 2})

    assert (two.poisoned, event_after(Outcome.KILLED, two)) == (False, Event.RETRY)
    assert (three.poisoned, event_after(Outcome.KILLED, three)) == (True, Event.KILL)


def test_who_allows_more_deaths_gets_them() -> None:
    assert not tally(deaths=3, killed_retries=5).poisoned
    assert not tally(ooms=3, oom_retries=5).poisoned
    assert tally(deaths=3, ooms=3, killed_retries=5).poisoned


def test_taking_too_long_takes_no_worker_along() -> None:
    assert not tally(overruns=9, time_limit_retries=9).poisoned


@pytest.mark.parametrize(
    ("ending", "charge"),
    [
        (Ending(Outcome.COMPLETED), None),
        (Ending(Outcome.FAILED, "ValueError: 3"), Charge.FAILED),
        (Ending(Outcome.RELEASED, Reason.PREEMPTED), None),
        (Ending(Outcome.RELEASED, Reason.TIME_LIMIT), None),
        (Ending(Outcome.KILLED, Reason.PROCESS_GONE), Charge.KILLED),
        (Ending(Outcome.KILLED, Reason.SILENT), Charge.KILLED),
        (Ending(Outcome.KILLED, Reason.OUT_OF_MEMORY), Charge.OUT_OF_MEMORY),
        (Ending(Outcome.KILLED, Reason.TIME_LIMIT), Charge.TIME_LIMIT),
        (Ending(Outcome.KILLED, Reason.OVERRUN), Charge.TIME_LIMIT),
    ],
)
def test_what_an_end_is_charged_for(ending: Ending, charge: Charge | None) -> None:
    assert charge_of(ending) is charge


def test_only_the_first_time_that_a_job_was_too_short_is_free() -> None:
    at_the_wall = Ending(Outcome.RELEASED, Reason.TIME_LIMIT)

    assert judged(at_the_wall, 0) == at_the_wall
    assert judged(at_the_wall, 1) == Ending(Outcome.KILLED, Reason.TIME_LIMIT)
    for other in (Ending(Outcome.RELEASED, Reason.PREEMPTED), Ending(Outcome.COMPLETED)):
        assert judged(other, 1) == other


@pytest.mark.parametrize("outcome", Outcome)
def test_nothing_happens_to_a_task_while_others_are_in_it(outcome: Outcome) -> None:
    assert event_after(outcome, tally(still_open=1, completed=True, failures=9, deaths=9)) is None


@pytest.mark.parametrize("outcome", Outcome)
def test_one_completion_outweighs_whatever_else_happened(outcome: Outcome) -> None:
    spent = tally(completed=True, failures=9, deaths=9)

    assert event_after(outcome, spent) is Event.COMPLETE


def test_what_is_released_is_handed_back_and_not_retried() -> None:
    assert event_after(Outcome.RELEASED, tally()) is Event.RELEASE


def test_any_number_of_releases_spends_no_budget() -> None:
    before = tally(failures=2, deaths=1, failed_retries=2, killed_retries=1)

    assert event_after(Outcome.RELEASED, before) is Event.RELEASE


@pytest.mark.parametrize(
    ("spent", "event"),
    [
        (tally(failures=1), Event.FAIL),
        (tally(deaths=1), Event.KILL),
        (tally(failures=1, deaths=1), Event.FAIL),
    ],
)
def test_a_release_that_ends_last_does_not_renew_a_spent_budget(spent: Tally, event: Event) -> None:
    assert event_after(Outcome.RELEASED, spent) is event


CHARGED = {"killed", "out of memory", "over its time_limit", "silent", "job over"}
NOT_CHARGED = {
    "time limit",  # the first time
    "no time left",
    "stopped",
    "preempted",
    "node failure",
    "cancelled",
    "requeued",
    "drained",
    "handed back",
    "left",
    "not begun",
}


@pytest.mark.parametrize("word", sorted(CHARGED))
def test_a_death_that_the_task_may_have_caused_is_charged_to_it(word: str) -> None:
    assert Reason(word).charged


@pytest.mark.parametrize("word", sorted(NOT_CHARGED))
def test_what_was_done_to_the_worker_is_not_charged_to_its_task(word: str) -> None:
    assert not Reason(word).charged


def test_of_every_reason_it_is_decided_whether_it_is_charged() -> None:
    assert {reason.value for reason in Reason} == CHARGED | NOT_CHARGED
