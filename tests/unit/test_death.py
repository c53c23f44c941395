"""What evidence makes a silent worker a lost one, and what does not."""

import pytest

from slurmband.domain.attempts import Reason
from slurmband.domain.death import PATIENCE, Evidence, judge
from slurmband.domain.processes import Fate

pytestmark = pytest.mark.unit

TIMEOUT = 60.0
NOT_GONE = [fate for fate in Fate if fate is not Fate.GONE]
#: What SLURM says that tells why, and not only that the job is over.
TELLING = [reason for reason in Reason if reason is not Reason.JOB_OVER]


def evidence(
    fate: Fate = Fate.UNKNOWN, silence: float | None = 0.0, job: Reason | None = None
) -> Evidence:
    return Evidence(fate, silence, TIMEOUT, job)


@pytest.mark.parametrize("fate", NOT_GONE)
@pytest.mark.parametrize("silence", [None, 0.0, 59.9])
@pytest.mark.parametrize("job", [None, Reason.CANCELLED, Reason.JOB_OVER])
def test_a_worker_heard_within_its_timeout_is_not_even_a_suspect(
    fate: Fate, silence: float | None, job: Reason | None
) -> None:
    heard = evidence(fate, silence, job)

    assert not heard.suspect
    assert judge(heard) is None


@pytest.mark.parametrize("fate", NOT_GONE)
@pytest.mark.parametrize("silence", [60.0, 119.9])
def test_silence_alone_makes_a_suspect_and_not_yet_a_lost_worker(
    fate: Fate, silence: float
) -> None:
    silent = evidence(fate, silence)

    assert silent.suspect
    assert judge(silent) is None


@pytest.mark.parametrize("fate", NOT_GONE)
def test_a_worker_is_lost_when_its_silence_lasted(fate: Fate) -> None:
    assert judge(evidence(fate, PATIENCE * TIMEOUT)) is Reason.SILENT


@pytest.mark.parametrize("silence", [None, 0.0, 1e6])
def test_a_process_that_is_provably_gone_is_lost_at_once(silence: float | None) -> None:
    gone = evidence(Fate.GONE, silence)

    assert gone.suspect
    assert judge(gone) is Reason.PROCESS_GONE


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize("silence", [60.0, 1e6])
@pytest.mark.parametrize("job", TELLING)
def test_of_a_suspect_slurm_says_best_why(fate: Fate, silence: float, job: Reason) -> None:
    assert judge(evidence(fate, silence, job)) is job


@pytest.mark.parametrize("fate", NOT_GONE)
def test_that_its_job_is_over_is_enough_of_a_silent_worker(fate: Fate) -> None:
    assert judge(evidence(fate, 60.0, Reason.JOB_OVER)) is Reason.JOB_OVER


def test_that_the_process_is_gone_says_more_than_that_the_job_is_over() -> None:
    assert judge(evidence(Fate.GONE, None, Reason.JOB_OVER)) is Reason.PROCESS_GONE
