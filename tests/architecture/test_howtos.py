"""What how-to guides show is what their readers get.

The pages are followed with a SLURM that is faked: it queues, and tells what the test says. The test
starts those elements that a page speaks of, and their programs do what the page says of its tasks.
"""

import signal
from collections.abc import Callable

import pytest

from tests.architecture.markdown import ROOT
from tests.architecture.reader import Reader
from tests.fakes.commands import FakeSlurm, installed
from tests.integration.band import Band, busy_workers, wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def slurm(band: Band) -> FakeSlurm:
    return installed(band.folder, band.environ)


@pytest.fixture
def reads(band: Band) -> Callable[..., Reader]:
    """Somebody who follows a page."""
    return lambda name, **instead: Reader(band, ROOT / "docs" / "howto" / f"{name}.md", **instead)


def program(
    band: Band, holds: str, then: str = "while kill -0 $PPID 2>&-; do sleep 0.05; done"
) -> None:
    """Write what the tasks of a page call; in one task it does something else."""
    text = f'#!/bin/sh\ncase "$1" in {holds}) touch "$1"; {then};; esac\n'
    band.write("study.sh", text).chmod(0o755)


def are_begun(band: Band, *tasks: str) -> None:
    """Wait until tasks have called the program."""
    wait_for(lambda: all((band.folder / task).exists() for task in tasks), what=f"{tasks} run")


def dies(
    band: Band, slurm: FakeSlurm, element: str, task: str, state: str, *, node: str = "n1"
) -> None:
    """Let an element die in a task, and SLURM say of what."""
    process = slurm.begin(band, element, node=node)
    are_begun(band, task)
    (band.folder / task).unlink()
    process.kill()
    process.wait()
    slurm.ended(**{element: state})
    band.cli("reap-dead")


def test_a_worker_leaves_what_its_time_is_too_short_for(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("survive-the-time-limit")
    program(band, holds="nothing")

    reader.follow("")
    slurm.begin(band, "36_0", ends_in=1800).wait(60)

    reader.follow("What fits")


def test_a_task_that_takes_too_long_is_stopped(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("survive-the-time-limit", instead={"time_limit=3600": "time_limit=1"})
    program(band, holds="simulate-1")

    reader.follow("")
    slurm.begin(band, "36_0").wait(60)

    reader.follow("Stop a task that takes too long")


def test_a_job_that_is_over_before_its_task_is_charged_from_the_second_time_on(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("survive-the-time-limit")
    program(band, holds="simulate-2")

    reader.follow("")
    dies(band, slurm, "36_4", "simulate-2", "TIMEOUT")
    dies(band, slurm, "36_5", "simulate-2", "TIMEOUT")

    reader.follow("When the job ends before the task")


def test_a_task_outlives_its_job(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    first = "task.attempt == 1 and task.id == 'simulate-0'"  # has no end before it is to leave
    reader = reads("outlive-a-job", instead={"100_000": f"(1e9 if {first} else 5)"})

    def warned() -> None:
        worker = slurm.begin(band, "36_0")
        wait_for(lambda: busy_workers(band, 1), what="the task has begun")
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait(60) == 0

    reader.follow(after={"slurmband submit": warned})

    saved = int((band.folder / "simulate-0.json").read_text())
    assert saved > 0
    assert slurm.begin(band, "36_1").wait(60) == 0
    assert {row["state"] for row in band.json("tasks")} == {"completed"}


def test_an_array_continues_itself(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reads("survive-the-time-limit")  # for its workflow, of which not all fits
    reader = reads("keep-an-array-going")
    program(band, holds="nothing")

    reader.follow(
        "", after={"slurmband submit": lambda: slurm.begin(band, "36_7", ends_in=1800).wait(60)}
    )

    assert band.sql("SELECT array_job_id, follows FROM submissions") == [(36, None), (37, 1)]


def test_an_array_is_stopped_and_scaled(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reads("survive-the-time-limit")
    reader = reads("keep-an-array-going")
    program(band, holds="simulate-*")
    band.cli("submit", "--array", 20, "workflow.py")
    places = {"36_0": "n1", "36_7": "n2", "36_9": "n17"}
    elements = [
        slurm.begin(band, element, node=node, SLURMBAND_RELEASE_AFTER="0.5")
        for element, node in places.items()
    ]
    are_begun(band, "simulate-0", "simulate-1", "simulate-2")

    reader.follow("Stop", "Change how many run at a time")

    assert slurm.state["calls"][-1] == ["scontrol", "update", "JobId=36", "ArrayTaskThrottle=50"]
    for element in elements:
        element.wait(60)
    assert {row["reason"] for row in band.json("workers")} == {"stopped"}


def test_what_ran_out_of_memory_gets_more(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("give-more-memory")
    program(band, holds="fit-7")

    def fails() -> None:
        dies(band, slurm, "36_1", "fit-7", "OUT_OF_MEMORY")
        slurm.begin(band, "36_2").wait(60)

    reader.follow("", after={"slurmband submit": fails})
    reader.follow("Submit what is needed")
    program(band, holds="nothing")
    slurm.begin(band, "37_0").wait(60)

    assert {row["state"] for row in band.json("tasks")} == {"completed"}


def test_what_workers_died_of_is_told(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("why-a-task-died")
    reads("give-more-memory", instead={"range(9)": "(3,)", "fit": "run", "max_oom_retries=3": ""})
    program(band, holds="run-3")
    band.cli("submit", "--array", 8, "workflow.py")
    dies(band, slurm, "36_1", "run-3", "OUT_OF_MEMORY")
    dies(band, slurm, "36_4", "run-3", "COMPLETING", node="n2")
    slurm.set(
        queue="36|4|41|RUNNING|1|0|\n",
        accounts="36_4|2026-11-22T00:36:25|PREEMPTED|0:0\n36_4|2026-11-22T00:36:45|RUNNING|0:0\n",
    )

    reader.follow("When the reason is only known later")
    program(band, holds="nothing")
    slurm.begin(band, "36_7", node="n3").wait(60)

    reader.follow("What is known", "What SLURM can tell")


def test_what_a_task_printed_is_found(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("find-a-tasks-output")

    def runs() -> None:
        slurm.begin(band, "36_1").wait(60)
        later = [slurm.begin(band, "36_1", restarts=2), slurm.begin(band, "36_2", node="n17")]
        for element in later:
            element.wait(60)

    reader.follow("", after={"slurmband submit": runs})
    reader.follow("A task that runs now", "All that a worker printed", "In programs")


def test_a_list_of_commands_is_run_and_its_mistakes_are_told(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("run-a-list-of-commands")
    (band.folder / "data").mkdir()
    band.write("data/one.csv", "1")
    band.write("data/two.csv", "2")
    band.write("fit.py", "")

    reader.follow("", after={"slurmband submit": lambda: slurm.begin(band, "36_0").wait(60)})
    slurm.begin(band, "37_0").wait(60)
    fits = band.json("tasks", "--db", "fits.sqlite")
    assert {row["state"] for row in [*band.json("tasks"), *fits]} == {"completed"}

    reader.follow("Change the list")


def test_why_tells_what_the_guide_says(band: Band, reads: Callable[..., Reader]) -> None:
    reads("find-out-why").follow(
        "",
        "It failed, or something before it did",
        "It waits",
        "It runs, but for how long already?",
        "Nothing moves",
    )


def test_why_puts_slurms_reasons_into_words(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("find-out-why")
    band.cli("submit", "--array", "3%1", "flow.py")
    slurm.set(queued=["36|1|PENDING|N/A|JobArrayTaskLimit"])

    reader.follow("SLURM does not start the workers")


RUNS = """
from slurmband import Task

def tasks():
    yield from (Task(f"run-{n}") for n in range(14))
    yield Task("fit-7", requirements={"gpu"})

def run(task):
    assert task.id != "run-13"
"""


def test_what_failed_is_found_and_retried(
    band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]
) -> None:
    reader = reads("failures-and-retries")
    band.write("workflow.py", RUNS)
    band.cli("submit", "--array", 100, "workflow.py")
    slurm.begin(band, "36_12").wait(60)

    reader.follow("What failed, and why", "Try again", "Retry by itself", "Give tasks up")


def test_who_is_dead_is_found(band: Band, slurm: FakeSlurm, reads: Callable[..., Reader]) -> None:
    reads("survive-the-time-limit")
    reader = reads("dead-workers")
    program(band, holds="simulate-0")
    band.cli("submit", "--array", 3, "workflow.py")
    slurm.begin(band, "36_2", restarts=1, ends_in=1800).wait(60)
    process = slurm.begin(band, "36_1")
    are_begun(band, "simulate-0")
    process.kill()
    process.wait()
    slurm.ended(**{"36_1": "FAILED"})

    reader.follow("Who is there", "Give their tasks back")
