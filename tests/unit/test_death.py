"""What evidence makes a silent worker a lost one, and what does not."""

import pytest

from slurmband.domain.attempts import Reason
from slurmband.domain.death import (
    EXPLICABLE,
    LATE,
    PATIENCE,
    SOON,
    Answer,
    Evidence,
    explained,
    is_settled,
    judge,
)
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


# --- what explains it later -------------------------------------------------------------------------

CAUSES = [
    *(Reason.OUT_OF_MEMORY, Reason.TIME_LIMIT, Reason.PREEMPTED),
    *(Reason.NODE_FAILURE, Reason.CANCELLED),
]


@pytest.mark.parametrize("was", [Reason.PROCESS_GONE, Reason.SILENT, Reason.JOB_OVER])
@pytest.mark.parametrize("told", [*CAUSES, Reason.REQUEUED])
def test_what_slurm_says_is_better_than_what_was_seen(was: Reason, told: Reason) -> None:
    assert explained(was, told, rank=False) is told


@pytest.mark.parametrize("was", sorted(EXPLICABLE))
@pytest.mark.parametrize("told", [None, Reason.JOB_OVER])
def test_that_a_job_is_over_explains_nothing(was: Reason, told: Reason | None) -> None:
    assert explained(was, told, rank=False) is None


@pytest.mark.parametrize("was", [reason for reason in Reason if reason not in EXPLICABLE])
def test_what_says_why_is_not_said_anew(was: Reason) -> None:
    assert explained(was, Reason.PREEMPTED, rank=False) is None


@pytest.mark.parametrize("told", CAUSES)
def test_a_requeue_has_causes_of_which_none_is_charged(told: Reason) -> None:
    better = told not in (Reason.OUT_OF_MEMORY, Reason.TIME_LIMIT)

    assert explained(Reason.REQUEUED, told, rank=False) is (told if better else None)


@pytest.mark.parametrize("told", CAUSES)
def test_what_became_of_its_job_later_did_not_end_one_of_several_workers(told: Reason) -> None:
    expected = told if told is Reason.OUT_OF_MEMORY else None

    assert explained(Reason.PROCESS_GONE, told, rank=True) is expected
    assert explained(Reason.SILENT, told, rank=True) is told


@pytest.mark.parametrize("was", sorted(EXPLICABLE))
@pytest.mark.parametrize("rank", [True, False])
def test_slurms_last_word_settles_it(was: Reason, *, rank: bool) -> None:
    assert is_settled(was, Answer(None, final=True), rank=rank, waited=0.0)


@pytest.mark.parametrize(
    ("was", "rank", "patience"),
    [
        (Reason.PROCESS_GONE, False, SOON),
        (Reason.REQUEUED, False, SOON),
        (Reason.PROCESS_GONE, True, LATE),
        (Reason.SILENT, False, LATE),
    ],
)
def test_slurm_is_not_asked_for_ever(was: Reason, *, rank: bool, patience: float) -> None:
    unknown = Answer()

    assert not is_settled(was, unknown, rank=rank, waited=patience - 0.1)
    assert is_settled(was, unknown, rank=rank, waited=patience)
