"""What squeue and sacct say of the ends of jobs is understood as a real SLURM meant it, and not more."""

import pytest

from slurmband.domain.attempts import Reason
from slurmband.domain.death import Answer
from slurmband.domain.workers import Element
from slurmband.slurm.causes import Causes
from slurmband.slurm.command import Reply
from slurmband.slurm.words import JobState
from tests.fakes.commands import FakeRun, says

pytestmark = pytest.mark.unit

FIRST = Element("c", 36, 0, 37)
SECOND = Element("c", 36, 1, 36)
AGAIN = Element("c", 36, 0, 37, restarts=1)
PLAIN = Element("c", None, None, 40)
RANK = Element("c", 36, 0, 37, step=0, rank=3)

#: SLURM 22.05.8: squeue -h -r -t all -O ArrayJobID,ArrayTaskID,JobID,State,RestartCnt,DerivedEC
SQUEUE = """\
36|0|37|{}|0|0|
"""
REQUEUED = "36|0|37|PENDING|1|0|\n"
FORGOTTEN = says("", stderr="slurm_load_jobs error: Invalid job id specified\n", returncode=1)
NO_CONTROLLER = says("", stderr="Unable to contact slurm controller\n", returncode=1)
#: SLURM 22.05.8: sacct -X -P -D -n -o JobID,Submit,State,DerivedExitCode
SACCT = """\
36_0|2026-11-22T00:36:45|{then}|0:0
36_0|2026-11-22T00:36:25|{first}|0:0
36_1|2026-11-22T00:36:25|CANCELLED by 1000|0:0
"""
NO_ACCOUNTING = says("", stderr="Slurm accounting storage is disabled\n", returncode=1)
NO_DATABASE = says(
    "", stderr="sacct: error: Problem talking to the database: Connection refused\n", returncode=1
)


def always(_command: str) -> bool:
    return True


def asking(*replies: Reply) -> Causes:
    return Causes(always, FakeRun(*replies))


def lives(first: str, then: str = "RUNNING") -> Reply:
    return says(SACCT.format(first=first, then=then))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("BOOT_FAIL", Reason.NODE_FAILURE),
        ("CANCELLED", Reason.CANCELLED),
        ("CANCELLED by 1000", Reason.CANCELLED),
        ("CANCELLED+", Reason.CANCELLED),
        ("COMPLETED", Reason.JOB_OVER),
        ("DEADLINE", Reason.TIME_LIMIT),
        ("FAILED", Reason.JOB_OVER),
        ("NODE_FAIL", Reason.NODE_FAILURE),
        ("OUT_OF_MEMORY", Reason.OUT_OF_MEMORY),
        ("PREEMPTED", Reason.PREEMPTED),
        ("REVOKED", Reason.JOB_OVER),
        ("TIMEOUT", Reason.TIME_LIMIT),
    ],
)
def test_a_job_that_is_over_is_over_for_a_reason(state: str, reason: Reason) -> None:
    run = FakeRun(says(SQUEUE.format(state)))

    assert Causes(always, run).of([FIRST]) == {FIRST: Answer(reason, final=True)}
    assert len(run.asked) == 1  # of that, sacct has nothing to add


@pytest.mark.parametrize("state", ["PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"])
def test_a_job_that_is_to_run_again_is_requeued(state: str) -> None:
    assert JobState(state, 0).ending_of(FIRST) is Reason.REQUEUED


@pytest.mark.parametrize(
    "state", ["RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "A_NEW_ONE", "-"]
)
def test_any_other_state_is_no_evidence(state: str) -> None:
    assert asking(says(SQUEUE.format(state))).of([FIRST]) == {FIRST: Answer()}


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETED", "TIMEOUT"])
def test_a_job_that_slurm_restarted_since_is_requeued_whatever_it_does_now(state: str) -> None:
    assert JobState(state, 1).ending_of(FIRST) is Reason.REQUEUED


def test_the_incarnation_after_a_requeue_is_not_taken_for_the_one_before() -> None:
    assert JobState("RUNNING", 1).ending_of(AGAIN) is None
    assert JobState("TIMEOUT", 1).ending_of(AGAIN) is Reason.TIME_LIMIT


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED"])
def test_a_step_out_of_memory_explains_a_rank_of_it_and_not_a_whole_job(state: str) -> None:
    over = JobState(state, 0, step_out_of_memory=True)

    assert over.ending_of(RANK) is Reason.OUT_OF_MEMORY
    assert over.ending_of(FIRST) is not Reason.OUT_OF_MEMORY
    assert JobState("RUNNING", 0, step_out_of_memory=True).ending_of(RANK) is None


# --- earlier lives, and forgotten jobs ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason"), [("PREEMPTED", Reason.PREEMPTED), ("NODE_FAIL", Reason.NODE_FAILURE)]
)
def test_why_a_job_was_requeued_is_asked_of_sacct(state: str, reason: Reason) -> None:
    run = FakeRun(says(REQUEUED + "36|1|36|RUNNING|0|0|\n"), lives(state))

    found = Causes(always, run).of([FIRST, SECOND])

    assert found == {FIRST: Answer(reason, final=True), SECOND: Answer()}
    assert run.asked[1][run.asked[1].index("-j") + 1] == "36_0"


def test_each_life_of_a_job_ended_in_its_own_way() -> None:
    found = asking(FORGOTTEN, lives("PREEMPTED", "TIMEOUT")).of([FIRST, AGAIN])

    assert found == {
        FIRST: Answer(Reason.PREEMPTED, final=True),
        AGAIN: Answer(Reason.TIME_LIMIT, final=True),
    }


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("REQUEUED", Answer(Reason.REQUEUED, final=True)),
        ("FAILED", Answer(Reason.REQUEUED, final=True)),
        ("RUNNING", Answer(Reason.REQUEUED)),
    ],
)
def test_that_it_was_requeued_stays_where_sacct_knows_no_better(state: str, answer: Answer) -> None:
    assert asking(says(REQUEUED), lives(state)).of([FIRST]) == {FIRST: answer}


@pytest.mark.parametrize("element", [PLAIN, Element("c", 36, 0, 37, restarts=2)])
def test_a_life_that_sacct_does_not_have_is_no_evidence(element: Element) -> None:
    assert asking(FORGOTTEN, lives("TIMEOUT", "TIMEOUT")).of([element]) == {element: Answer()}


def test_what_slurmctld_forgot_is_asked_of_sacct() -> None:
    assert asking(FORGOTTEN, lives("FAILED")).of([FIRST, SECOND]) == {
        FIRST: Answer(Reason.JOB_OVER, final=True),
        SECOND: Answer(Reason.CANCELLED, final=True),
    }


def test_sacct_tells_of_a_step_out_of_memory_too() -> None:
    row = says("36_0|2026-11-22T00:38:15|FAILED|0:125\n")

    assert asking(FORGOTTEN, row).of([RANK]) == {RANK: Answer(Reason.OUT_OF_MEMORY, final=True)}


# --- where there is no answer -------------------------------------------------------------------------


def test_nothing_is_asked_about_nobody() -> None:
    run = FakeRun(says(""))

    assert Causes(always, run).of([]) == {}
    assert run.asked == []


def test_nothing_is_asked_without_the_right_to() -> None:
    run = FakeRun(says(REQUEUED))

    assert Causes(lambda _command: False, run).of([FIRST]) == {}
    assert run.asked == []
    found = Causes(lambda command: command == "squeue", run).of([FIRST])
    assert found == {FIRST: Answer(Reason.REQUEUED)}
    assert [words[0] for words in run.asked] == ["squeue"]


@pytest.mark.parametrize("replies", [[NO_CONTROLLER], []], ids=["no controller", "no squeue"])
def test_no_answer_is_no_evidence(replies: list[Reply]) -> None:
    assert asking(*replies).of([FIRST]) == {}


def test_that_there_is_no_accounting_is_learned_once() -> None:
    run = FakeRun(says(REQUEUED), NO_ACCOUNTING, says(REQUEUED), FORGOTTEN)
    causes = Causes(always, run)

    for _ in range(2):
        assert causes.of([FIRST]) == {FIRST: Answer(Reason.REQUEUED, final=True)}
    assert causes.of([FIRST]) == {FIRST: Answer(None, final=True)}

    assert [words[0] for words in run.asked] == ["squeue", "sacct", "squeue", "squeue"]


def test_accounting_that_is_down_is_asked_again() -> None:
    run = FakeRun(says(REQUEUED), NO_DATABASE, says(REQUEUED), lives("PREEMPTED"))
    causes = Causes(always, run)

    assert causes.of([FIRST]) == {FIRST: Answer(Reason.REQUEUED)}
    assert causes.of([FIRST]) == {FIRST: Answer(Reason.PREEMPTED, final=True)}


def test_a_line_that_is_none_of_saccts_spoils_nothing() -> None:
    told = says("a site's banner\n36_0|2026-11-22T00:36:25|TIMEOUT|0:0\n")

    assert asking(FORGOTTEN, told).of([FIRST]) == {FIRST: Answer(Reason.TIME_LIMIT, final=True)}
