"""What squeue says of pending arrays is asked for once, and put into words that say what to do."""

import pytest

from slurmband.slurm.pending import QueuedElement, ask, reasons
from slurmband.slurm.pending_reasons import explain
from tests.fakes.commands import FakeRun, says

pytestmark = pytest.mark.unit

NO_CONTROLLER = says("", stderr="slurm_load_jobs error: Unable to contact\nslurm\n", returncode=1)
TOO_LATE = says("", stderr="squeue did not answer in 30 s", returncode=None)
FORGOTTEN = says("", stderr="slurm_load_jobs error: Invalid job id specified\n", returncode=1)


@pytest.mark.parametrize(
    ("reason", "words", "waits"),
    [
        ("Priority", "jobs of higher priority go first", True),
        ("Resources", "until enough nodes are free", True),
        ("(Resources)", "until enough nodes are free", True),
        ("JobArrayTaskLimit", "as the array allows itself", True),
        ("BeginTime", "not to start before a time", True),
        ("Dependency", "waits for another job", True),
        ("DependencyNeverSatisfied", "never starts", False),
        ("JobHeldUser", "you hold it", False),
        ("JobHeldAdmin", "an administrator holds it", False),
        ("launch_failed_requeued_held", "is held", False),
        ("ReqNodeNotAvail,_UnavailableNodes:n[1-3]", "down, drained or reserved", True),
        ("ReqNodeNotAvail, May be reserved for other job", "down, drained or reserved", True),
        (
            "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority",
            "kept for other partitions",
            True,
        ),
        ("PartitionTimeLimit", "more time than its partition gives", False),
        ("PartitionConfig", "what no node of its partition has", False),
        ("BadConstraints", "no node has what it asks for", False),
        ("Licenses", "licence", True),
        ("QOSMaxJobsPerUserLimit", "its QOS is at its limit of running jobs for each user", True),
        ("QOSMaxSubmitJobPerUserLimit", "its limit of queued jobs for each user", True),
        ("AssocMaxSubmitJobLimit", "your account is at its limit of queued jobs", True),
        ("AssocMaxJobsLimit", "your account is at its limit of running jobs", True),
        ("AssocGrpCPUMinutesLimit", "limit of CPU minutes: it is used up", False),
        ("AssocGrpCpuLimit", "your account is at its limit of CPUs", True),
        ("QOSGrpNodeLimit", "its QOS is at its limit of nodes", True),
        ("QOSMaxWallDurationPerJobLimit", "its limit of time for each job", False),
        ("QOSMaxMemoryPerJob", "its limit of memory for each job", False),
        ("QOSMinGRES", "it asks for less", False),
    ],
)
def test_a_pending_reason_is_put_into_plain_words(reason: str, words: str, *, waits: bool) -> None:
    meaning = explain(reason)

    assert meaning is not None
    assert words in meaning.says
    assert meaning.waits is waits
    assert meaning.advice


@pytest.mark.parametrize("reason", ["SomethingNew", "", "AssocSomething"])
def test_a_reason_that_is_not_known_is_not_guessed_at(reason: str) -> None:
    assert explain(reason) is None


def test_one_question_is_asked_for_all_arrays() -> None:
    run = FakeRun(
        says(
            "36|0|RUNNING|2026-11-21T10:00:00|None\n"
            "36|1|PENDING|N/A|Priority\n"
            "40|7|PENDING|2026-11-22T10:00:00|ReqNodeNotAvail,_UnavailableNodes:n1|n2\n"
        )
    )

    queue = ask([40, 36, 36], run=run)

    assert queue.arrays == {
        36: {
            0: QueuedElement("RUNNING", "None", "2026-11-21T10:00:00"),
            1: QueuedElement("PENDING", "Priority"),
        },
        40: {
            7: QueuedElement(
                "PENDING", "ReqNodeNotAvail,_UnavailableNodes:n1|n2", "2026-11-22T10:00:00"
            )
        },
    }
    assert len(run.asked) == 1
    assert run.asked[0][run.asked[0].index("-j") + 1] == "36,40"


def test_no_question_is_asked_about_no_array() -> None:
    run = FakeRun(says(""))

    assert ask([], run=run).arrays == {}
    assert run.asked == []


def test_where_squeue_is_missing_or_does_not_answer_that_is_said() -> None:
    assert ask([36], run=FakeRun()).silence == "there is no squeue on this machine"
    assert ask([36], run=FakeRun(NO_CONTROLLER)).silence == (
        "slurm_load_jobs error: Unable to contact slurm"
    )
    assert ask([36], run=FakeRun(TOO_LATE)).silence == "squeue did not answer in 30 s"


@pytest.mark.parametrize("reply", [FORGOTTEN, says("")])
def test_an_array_that_slurm_does_not_have_is_over(reply: object) -> None:
    queue = ask([36], run=FakeRun(reply))  # type: ignore[arg-type]  # a Reply

    assert (queue.arrays, queue.silence) == ({}, None)


def test_a_line_that_is_none_of_squeues_spoils_nothing() -> None:
    queue = ask(
        [36], run=FakeRun(says("a banner\n36|N/A|PENDING|N/A|None\n36|2|PENDING|N/A|None\n"))
    )

    assert list(queue.arrays[36]) == [2]


def test_reasons_are_counted_of_what_is_pending() -> None:
    elements = [QueuedElement("PENDING", "Priority")] * 2 + [QueuedElement("RUNNING", "None")]

    assert reasons([*elements, QueuedElement("PENDING", "Resources")]) == [
        ("Priority", 2),
        ("Resources", 1),
    ]
