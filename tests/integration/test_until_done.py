"""An array that continues itself: the last worker that leaves for lack of time queues the next one."""

import os
import signal

import psutil
import pytest

from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

FLOW = """
import sys
import time
from slurmband import Task

def tasks():
    return [Task(f"t{n}") for n in range(int(sys.argv[2]))]

def run(task):
    time.sleep(float(sys.argv[1]))
"""
SUBMIT = ("submit", "--cluster", "local", "--array", 2, "--until-done")


def chain(band: Band) -> list[tuple[int, int | None]]:
    return band.sql("SELECT id, follows FROM submissions ORDER BY id")


def said(band: Band) -> str:
    logs = (band.folder / "slurmband.sqlite.d" / "logs").glob("*.out")
    return "".join(log.read_text() for log in sorted(logs))


def test_an_array_goes_on_until_all_is_done(band: Band) -> None:
    band.write("flow.py", FLOW)

    band.cli(*SUBMIT, "--time=0:20", "flow.py", "4", "10")
    wait_for(
        lambda: {row["state"] for row in band.json("tasks")} == {"completed"},
        what="all is done",
        seconds=200,
    )

    band.wait_until_over()
    found = chain(band)
    assert len(found) > 1
    assert found == [(n, n - 1 if n > 1 else None) for n in range(1, len(found) + 1)]
    assert "continued as array" in said(band)
    assert {row["attempts"] for row in band.json("tasks")} <= {1, 2}


def test_no_more_arrays_than_allowed(band: Band) -> None:
    band.write("flow.py", FLOW)

    band.cli(*SUBMIT, "--max-submissions", 2, "--time=0:15", "flow.py", "1", "1000")
    wait_for(lambda: "were all it may have" in said(band), what="the cap is reached", seconds=200)

    assert chain(band) == [(1, None), (2, 1)]


def test_what_gets_nowhere_is_not_continued(band: Band) -> None:
    band.write("flow.py", FLOW)

    band.cli(*SUBMIT, "--time=0:12", "flow.py", "600", "4", SLURMBAND_RELEASE_AFTER="0.5")
    wait_for(
        lambda: "completed a task or handed one back" in said(band), what="it is not continued"
    )

    assert chain(band) == [(1, None)]


def test_a_worker_whose_death_nobody_saw_does_not_end_the_chain(band: Band) -> None:
    band.write("flow.py", FLOW)
    band.cli(
        *(*SUBMIT, "--max-submissions", 2, "--time=0:20", "flow.py", "1", "1000"),
        SLURMBAND_HEARTBEAT_INTERVAL="300",  # so the other one hardly looks after it meanwhile
        SLURMBAND_HEARTBEAT_TIMEOUT="900",
    )
    wait_for(
        lambda: len({row["worker"] for row in band.json("tasks") if row["worker"]}) == 2,
        what="both are at work",
    )

    (pid,) = band.sql("SELECT pid FROM workers ORDER BY key LIMIT 1")[0]
    worker = psutil.Process(pid)
    worker.suspend()  # else it would start another guardian
    for guardian in worker.children():
        guardian.kill()
    worker.kill()

    wait_for(lambda: "continued as array" in said(band), what="it goes on", seconds=200)
    assert chain(band) == [(1, None), (2, 1)]


def test_a_warning_long_before_the_end_of_the_job_continues_nothing(band: Band) -> None:
    """As SLURM may give it before it preempts: then it queues the job again, or does not want it."""
    band.write("flow.py", FLOW)
    band.cli(*SUBMIT, "--time=1:00:00", "flow.py", "0.5", "1000")
    wait_for(
        lambda: len({row["worker"] for row in band.json("tasks") if row["worker"]}) == 2,
        what="both are at work",
    )

    for (pid,) in band.sql("SELECT pid FROM workers"):
        os.kill(pid, signal.SIGUSR1)
    band.wait_until_over()

    assert chain(band) == [(1, None)]
    assert {row["reason"] for row in band.json("workers")} == {"drained"}
    assert "this array" not in said(band)


def test_a_stop_ends_the_chain(band: Band) -> None:
    band.write("flow.py", FLOW)
    band.cli(*SUBMIT, "--time=1:00:00", "flow.py", "0.5", "1000")
    wait_for(
        lambda: any(row["state"] == "completed" for row in band.json("tasks")), what="it began"
    )

    band.cli("stop")
    band.wait_until_over()

    assert chain(band) == [(1, None)]
    assert {row["reason"] for row in band.json("workers")} == {"stopped"}
