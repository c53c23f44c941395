"""What is recorded of why a worker leaves, and what that means for its job and its program."""

import pytest

from slurmband.domain.attempts import Reason
from slurmband.graphband.jobtime import JobTime
from slurmband.graphband.leaving import WARNING, Leaving
from slurmband.graphband.orders import BY_A_PERSON
from slurmband.graphband.signals import Drain
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit

LASTS = 3600.0


def leaving(*, asked_by: str | None = None, gone_by: float = 0.0, no_time: bool = False) -> Leaving:
    """Make that of a worker whose job lasts for an hour, of which some has gone by."""
    clock = HandClock()
    time, drain = JobTime(clock), Drain(lambda _number: None)
    time.learn(clock.now() + LASTS)
    clock.sleep(gone_by)
    made = Leaving(drain, time)
    made.no_time = no_time
    if asked_by is not None:
        drain.ask(asked_by)
    return made


@pytest.mark.parametrize(
    ("asked_by", "no_time", "reason"),
    [
        (None, False, Reason.LEFT),
        (None, True, Reason.NO_TIME),
        ("SIGTERM", False, Reason.DRAINED),
        ("SIGTERM", True, Reason.DRAINED),
        (BY_A_PERSON, True, Reason.STOPPED),
    ],
)
def test_the_strongest_reason_is_recorded(
    asked_by: str | None, no_time: bool, reason: Reason
) -> None:
    assert leaving(asked_by=asked_by, no_time=no_time).reason is reason


@pytest.mark.parametrize(
    ("asked_by", "no_time", "for_good"),
    [(None, False, False), (None, True, True), ("SIGTERM", False, True)],
)
def test_who_was_asked_or_has_no_time_begins_no_other_loop(
    asked_by: str | None, no_time: bool, for_good: bool
) -> None:
    assert leaving(asked_by=asked_by, no_time=no_time).is_for_good is for_good


@pytest.mark.parametrize(
    ("asked_by", "gone_by", "no_time", "for_time"),
    [
        (None, 0.9 * LASTS, False, False),
        (None, 0.1 * LASTS, True, True),
        (WARNING, 0.9 * LASTS, False, True),
        (WARNING, 0.1 * LASTS, False, False),
        ("SIGTERM", 0.1 * LASTS, False, False),
        ("SIGTERM", LASTS, False, True),
        (BY_A_PERSON, LASTS, False, False),
    ],
)
def test_only_the_end_of_a_job_is_a_reason_to_go_on_in_another(
    asked_by: str | None, gone_by: float, no_time: bool, for_time: bool
) -> None:
    found = leaving(asked_by=asked_by, gone_by=gone_by, no_time=no_time)

    assert found.is_for_time(found.reason) is for_time


@pytest.mark.parametrize(
    ("asked_by", "gone_by", "short"),
    [
        ("SIGTERM", LASTS, True),
        (WARNING, LASTS, True),
        ("SIGTERM", 0.1 * LASTS, False),
        ("SIGINT", LASTS, False),
        (BY_A_PERSON, LASTS, False),
    ],
)
def test_what_slurm_interrupts_at_the_end_of_a_job_is_cut_short(
    asked_by: str, gone_by: float, short: bool
) -> None:
    assert leaving(asked_by=asked_by, gone_by=gone_by).cuts_short is short
