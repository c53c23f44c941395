"""What the end of an attempt does to its task, and whose fault the end of a worker is."""

import pytest

from slurmband.domain.attempts import Outcome, Reason, Tally, event_after
from slurmband.domain.states import Event

pytestmark = pytest.mark.unit


def tally(
    *,
    still_open: int = 0,
    completed: bool = False,
    failures: int = 0,
    deaths: int = 0,
    failed_retries: int = 0,
    killed_retries: int = 0,
) -> Tally:
    return Tally(still_open, completed, failures, deaths, failed_retries, killed_retries)


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


def test_failures_and_deaths_have_budgets_of_their_own() -> None:
    both = tally(failures=2, deaths=1, failed_retries=2, killed_retries=1)

    assert event_after(Outcome.FAILED, both) is Event.RETRY
    assert event_after(Outcome.KILLED, both) is Event.RETRY


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


CHARGED = {"killed", "out of memory", "time limit", "silent", "job over"}
NOT_CHARGED = {
    "preempted",
    "node failure",
    "cancelled",
    "requeued",
    "drained",
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
