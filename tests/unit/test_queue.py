"""squeue's word is evidence only where it is clear, and is asked for once for many and not too often."""

import pytest

from slurmband.domain.attempts import Reason
from slurmband.domain.workers import Element
from slurmband.errors import QueueUnknown
from slurmband.slurm.command import Reply
from slurmband.slurm.queue import ASK_EVERY, JobState, SlurmQueue
from tests.fakes.clock import HandClock
from tests.fakes.commands import FakeRun, says

pytestmark = pytest.mark.unit

FIRST = Element("c", 36, 0, 37)
SECOND = Element("c", 36, 1, 36)
AGAIN = Element("c", 36, 0, 37, restarts=1)
PLAIN = Element("c", None, None, 40)
REFUSED = says("", stderr="slurm_load_jobs error: Invalid job id specified\n", returncode=1)
NO_CONTROLLER = says("", stderr="Unable to contact slurm controller\n", returncode=1)
TOO_LATE = says("", stderr="squeue did not answer in 30 s", returncode=None)


def queue(*replies: Reply) -> SlurmQueue:
    return SlurmQueue(monotonic=HandClock(), run=FakeRun(*replies))


def row(element: Element, state: str, restarts: int | str = 0) -> str:
    """Write the line that squeue has for it."""
    array, index = element.array_job_id, element.array_task_id
    if array is None:
        return f"{element.job_id}|N/A|{element.job_id}|{state}|{restarts}|\n"
    return f"{array}|{index}|{element.job_id}|{state}|{restarts}|\n"


def state_of(element: Element, state: str, restarts: int = 0) -> Reason | None:
    return queue(says(row(element, state, restarts))).ended([element]).get(element)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("BOOT_FAIL", Reason.NODE_FAILURE),
        ("CANCELLED", Reason.CANCELLED),
        ("CANCELLED by 1000", Reason.CANCELLED),
        ("COMPLETED", Reason.JOB_OVER),
        ("DEADLINE", Reason.TIME_LIMIT),
        ("FAILED", Reason.JOB_OVER),
        ("NODE_FAIL", Reason.NODE_FAILURE),
        ("OUT_OF_MEMORY", Reason.OUT_OF_MEMORY),
        ("PREEMPTED", Reason.PREEMPTED),
        ("TIMEOUT", Reason.TIME_LIMIT),
        ("PENDING", Reason.REQUEUED),
        ("REQUEUED", Reason.REQUEUED),
        ("REQUEUE_HOLD", Reason.REQUEUED),
    ],
)
def test_a_job_that_is_over_is_over_for_a_reason(state: str, reason: Reason) -> None:
    assert state_of(FIRST, state) is reason


@pytest.mark.parametrize(
    "state", ["RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "A_NEW_ONE", ""]
)
def test_any_other_state_is_no_evidence(state: str) -> None:
    assert state_of(FIRST, state) is None


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETED", "TIMEOUT"])
def test_a_job_that_slurm_restarted_since_is_requeued_whatever_it_does_now(state: str) -> None:
    assert state_of(FIRST, state, restarts=1) is Reason.REQUEUED


def test_the_incarnation_after_a_requeue_is_not_taken_for_the_one_before() -> None:
    assert state_of(AGAIN, "RUNNING", restarts=1) is None
    assert state_of(AGAIN, "TIMEOUT", restarts=1) is Reason.TIME_LIMIT


def test_one_question_asks_for_all() -> None:
    run = FakeRun(says(row(FIRST, "CANCELLED") + row(SECOND, "RUNNING") + row(PLAIN, "FAILED")))

    ended = SlurmQueue(monotonic=HandClock(), run=run).ended([FIRST, SECOND, AGAIN, PLAIN])

    assert ended == {FIRST: Reason.CANCELLED, AGAIN: Reason.CANCELLED, PLAIN: Reason.JOB_OVER}
    assert len(run.asked) == 1
    assert run.asked[0][run.asked[0].index("-j") + 1] == "36_0,36_1,40"


def test_a_pending_element_is_known_by_its_index_since_all_show_the_arrays_raw_id() -> None:
    pending = "36|0|36|PENDING|1|\n36|1|36|PENDING|1|\n"

    assert queue(says(pending)).ended([FIRST, SECOND]) == dict.fromkeys(
        (FIRST, SECOND), Reason.REQUEUED
    )


def test_no_question_is_asked_about_nobody() -> None:
    run = FakeRun(says(""))

    assert SlurmQueue(monotonic=HandClock(), run=run).ended([]) == {}
    assert run.asked == []


@pytest.mark.parametrize("first", [says(row(FIRST, "TIMEOUT")), NO_CONTROLLER, TOO_LATE])
def test_slurm_is_not_asked_again_too_soon_even_if_it_did_not_answer(first: Reply) -> None:
    clock, run = HandClock(), FakeRun(first, says(row(FIRST, "TIMEOUT")))
    asking = SlurmQueue(monotonic=clock, run=run)

    asking.ended([FIRST])
    clock.forward(ASK_EVERY - 0.1)
    too_soon = asking.ended([FIRST])
    clock.forward(0.1)
    in_time = asking.ended([FIRST])

    assert too_soon == {}
    assert in_time == {FIRST: Reason.TIME_LIMIT}
    assert len(run.asked) == 2


def test_a_job_that_slurm_does_not_know_is_no_evidence() -> None:
    assert queue(says(row(SECOND, "TIMEOUT"))).ended([FIRST, PLAIN]) == {}


@pytest.mark.parametrize("reply", [REFUSED, NO_CONTROLLER, TOO_LATE])
def test_a_call_that_fails_is_no_evidence(reply: Reply) -> None:
    assert queue(reply).ended([FIRST]) == {}


def test_a_machine_without_squeue_is_no_evidence() -> None:
    assert queue().ended([FIRST]) == {}


@pytest.mark.parametrize(
    "line",
    ["", "36", "36|0|37|TIMEOUT", "36|0|37|TIMEOUT|N/A|", "36|0|37||0|", "slurm: a site's banner"],
)
def test_a_line_that_is_none_of_squeues_says_nothing_and_spoils_nothing(line: str) -> None:
    states = queue(says(f"{line}\n{row(SECOND, 'RUNNING', 2)}")).states(["36_0", "36_1"])

    assert states == {"36_1": JobState("RUNNING", 2)}


def test_spaces_around_fields_do_not_matter() -> None:
    states = queue(says(" 36 | 0 |37 | RUNNING |1|\n")).states(["36_0"])

    assert states == {"36_0": JobState("RUNNING", 1)}


# --- by comment, and by id ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "array"),
    [
        ("35|other\n36|slurmband-ab\n", 36),
        ("36|my own words slurmband-ab\n", 36),
        ("36|a|b slurmband-ab\n", 36),
        ("36|slurmband-ab\n36|slurmband-ab\n", 36),
        ("36|slurmband-a\n", None),
        ("36|(null)\n", None),
        ("", None),
    ],
)
def test_an_array_is_found_by_its_token(listed: str, array: int | None) -> None:
    assert queue(says(listed)).array_with_comment("slurmband-ab") == array


def test_only_jobs_of_this_user_and_those_of_every_state_are_looked_through() -> None:
    run = FakeRun(says(""))

    SlurmQueue(monotonic=HandClock(), run=run).array_with_comment("slurmband-ab")

    assert {"--me", "-t", "all"} <= set(run.asked[0])


@pytest.mark.parametrize("reply", [NO_CONTROLLER, TOO_LATE])
def test_a_call_that_fails_says_nothing_about_an_array(reply: Reply) -> None:
    with pytest.raises(QueueUnknown):
        queue(reply).array_with_comment("slurmband-ab")


@pytest.mark.parametrize(
    ("reply", "queued"),
    [
        (says("PENDING\nRUNNING\n"), True),
        (says(""), False),
        (says("\n"), False),
        (REFUSED, False),
        (NO_CONTROLLER, True),
        (TOO_LATE, True),
    ],
    ids=["listed", "not listed", "an empty line", "long forgotten", "no controller", "no answer"],
)
def test_an_array_is_over_only_where_slurm_says_so(reply: Reply, *, queued: bool) -> None:
    assert queue(reply).is_queued(36) is queued
