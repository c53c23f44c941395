"""squeue's word is taken only where it is clear."""

import pytest

from slurmband.domain.workers import Element
from slurmband.errors import QueueUnknown
from slurmband.slurm.command import Reply, run
from slurmband.slurm.queue import SlurmQueue
from slurmband.slurm.words import JobState
from tests.fakes.commands import FakeRun, says

pytestmark = pytest.mark.unit

FIRST = Element("c", 36, 0, 37)
SECOND = Element("c", 36, 1, 36)
PLAIN = Element("c", None, None, 40)
REFUSED = says("", stderr="slurm_load_jobs error: Invalid job id specified\n", returncode=1)
NO_CONTROLLER = says("", stderr="Unable to contact slurm controller\n", returncode=1)
TOO_LATE = says("", stderr="squeue did not answer in 30 s", returncode=None)


def queue(*replies: Reply) -> SlurmQueue:
    return SlurmQueue(FakeRun(*replies))


def row(element: Element, state: str, restarts: int | str = 0, derived: int = 0) -> str:
    """Write the line that squeue has for it."""
    array, index = element.array_job_id, element.array_task_id
    if array is None:
        return f"{element.job_id}|N/A|{element.job_id}|{state}|{restarts}|{derived}|\n"
    return f"{array}|{index}|{element.job_id}|{state}|{restarts}|{derived}|\n"


def test_one_question_asks_for_all() -> None:
    run = FakeRun(says(row(FIRST, "CANCELLED") + row(SECOND, "RUNNING", 2) + row(PLAIN, "FAILED")))

    states = SlurmQueue(run).states(["36_0", "36_1", "36_0", "40"])

    assert states == {
        "36_0": JobState("CANCELLED", 0),
        "36_1": JobState("RUNNING", 2),
        "40": JobState("FAILED", 0),
    }
    assert len(run.asked) == 1
    assert run.asked[0][run.asked[0].index("-j") + 1] == "36_0,36_1,40"


def test_a_pending_element_is_known_by_its_index_since_all_show_the_arrays_raw_id() -> None:
    pending = "36|0|36|PENDING|1|0|\n36|1|36|PENDING|1|0|\n"

    assert queue(says(pending)).states(["36_0", "36_1"]) == dict.fromkeys(
        ("36_0", "36_1"), JobState("PENDING", 1)
    )


@pytest.mark.parametrize(("status", "is_it"), [(0, False), (253, True), (768, False), (9, False)])
def test_a_step_that_ran_out_of_memory_shows_in_the_exit_status(
    status: int, *, is_it: bool
) -> None:
    states = queue(says(row(FIRST, "FAILED", derived=status))).states(["36_0"])

    assert states == {"36_0": JobState("FAILED", 0, is_it)}


def test_that_a_job_is_not_known_is_an_answer() -> None:
    assert queue(REFUSED).states(["36_0"]) == {}
    assert queue(says("")).states(["36_0"]) == {}


@pytest.mark.parametrize("reply", [NO_CONTROLLER, TOO_LATE])
def test_a_call_that_fails_is_none(reply: Reply) -> None:
    assert queue(reply).states(["36_0"]) is None


@pytest.mark.parametrize(
    "line",
    [
        *("", "36", "36|0|37|TIMEOUT|0|0", "36|0|37|TIMEOUT|N/A|0|", "36|0|37||0|0|"),
        "slurm: a site's banner",
    ],
)
def test_a_line_that_is_none_of_squeues_says_nothing_and_spoils_nothing(line: str) -> None:
    states = queue(says(f"{line}\n{row(SECOND, 'RUNNING', 2)}")).states(["36_0", "36_1"])

    assert states == {"36_1": JobState("RUNNING", 2)}


def test_spaces_around_fields_do_not_matter() -> None:
    states = queue(says(" 36 | 0 |37 | RUNNING |1| 0|\n")).states(["36_0"])

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

    SlurmQueue(run).array_with_comment("slurmband-ab")

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
    assert queue(reply).are_queued([36, 40]) is queued


def test_a_question_that_cannot_be_asked_is_not_answered() -> None:
    """Of some ten thousand workers that died together the ids are longer than a word may be."""
    reply = run(["true", "5252132_1," * 20_000])

    assert reply.returncode is None
    assert reply.stderr == "true could not be started: Argument list too long"
