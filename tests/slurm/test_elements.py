"""What an element of a real array is: its ids, its ranks, its signals, its later lives."""

import sys
from pathlib import Path

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.slurm.conftest import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]

HOLDING = """
import ctypes, signal, time
from pathlib import Path
from slurmband import Task

def tasks():
    yield from (Task(f"t{n}") for n in range(4))

def run(task):
    before = signal.getsignal(signal.SIGUSR1)
    def warned(*signal):
        before(*signal)
        Path("warned").touch()
    signal.signal(signal.SIGUSR1, warned)
    while not Path("go").exists():
        if Path("deaf").exists():
            ctypes.PyDLL(None).sleep(600)
        time.sleep(0.05)
"""


def begin(cluster: Band, workers: int, *options: object, **environ: str) -> list[dict[str, str]]:
    """Submit, and wait until every worker is in a task."""
    cluster.write("holding.py", HOLDING)
    cluster.environ.update(environ)
    cluster.cli("submit", *options, "holding.py")
    found: list[dict[str, str]] = wait_for(
        lambda: busy_workers(cluster, workers), what=f"{workers} workers are busy"
    )
    return found


def test_every_listing_knows_both_ids_of_an_element(cluster: Band) -> None:
    begin(cluster, 2, "--array", "3,7")

    rows = cluster.json("jobs")

    array = rows[0]["array_job_id"]
    known = slurm(cluster, "squeue", "-h", "-r", "-o", "%F %K %A %N").split()
    assert {(str(row["array_job_id"]), str(row["array_task_id"])) for row in rows} == set(
        zip(known[0::4], known[1::4], strict=True)
    )
    assert {(str(row["job_id"]), row["node"]) for row in rows} == set(
        zip(known[2::4], known[3::4], strict=True)
    )
    assert {row["state"] for row in rows} == {"running"}
    for row in rows:
        raw, element = row["job_id"], f"{array}_{row['array_task_id']}"
        assert cluster.json("jobs", element) == [row]
        # The array's own id names the whole array, though it is also the raw id of one element.
        assert cluster.json("jobs", raw) == (rows if raw == array else [row])
        (task,) = cluster.json("where", row["task"])
        assert (task["element"], task["job"], task["worker"]) == (element, raw, element)
        assert Path(task["log"]).name == f"{element}.out"
        assert f"worker={element} joined" in Path(task["log"]).read_text()
    assert len(cluster.json("workers", f"{array}_[3-7%1]")) == 2


def test_the_warning_lets_a_worker_finish_what_it_holds(cluster: Band) -> None:
    (row,) = begin(cluster, 1, "--array", 1)

    slurm(cluster, "scancel", "--batch", "--signal=USR1", row["element"])
    wait_for((cluster.folder / "warned").exists, what="the warning arrived")
    (cluster.folder / "go").touch()

    wait_for(lambda: cluster.json("status")["workers"]["left"] == 1, what="it left")
    counts = cluster.json("status")["tasks"]
    assert (counts["completed"], counts["ready"]) == (1, 3)
    assert cluster.json("workers")[0]["reason"] == "drained"


def test_what_a_deaf_worker_holds_is_released_at_scancel(cluster: Band) -> None:
    (cluster.folder / "deaf").touch()
    (row,) = begin(cluster, 1, "--array", 1, SLURMBAND_RELEASE_AFTER="1")

    slurm(cluster, "scancel", row["element"])

    wait_for(lambda: cluster.json("status")["workers"]["alive"] == 0, what="it is gone")
    assert cluster.json("workers")[0]["reason"] == "drained"
    assert cluster.json("status")["tasks"]["ready"] == 4
    assert cluster.sql("SELECT outcome FROM attempts") == [("released",)]


def test_a_requeued_element_is_a_new_incarnation_that_supersedes_the_old(cluster: Band) -> None:
    (first,) = begin(cluster, 1, "--array", 1, SLURMBAND_HEARTBEAT_TIMEOUT="3600")

    slurm(cluster, "scontrol", "requeue", first["element"])

    name = f"{first['element']}r1"
    wait_for(
        lambda: name in [row["worker"] for row in cluster.json("workers")], what=f"{name} joined"
    )
    before, after = cluster.json("workers")
    assert (before["reason"], before["tasks"]) == ("requeued", [])
    assert (after["element"], after["restarts"]) == (first["element"], 1)
    assert cluster.sql("SELECT outcome FROM attempts WHERE id = 1") == [("released",)]
    assert cluster.sql("SELECT sum(deaths) FROM tasks") == [(0,)]


def test_one_srun_starts_several_workers_in_an_element(cluster: Band) -> None:
    rows = begin(cluster, 4, "--array", 2, "--workers-per-element", 2)

    array = cluster.json("jobs")[0]["array_job_id"]
    assert {row["worker"] for row in rows} == {f"{array}_{i}.{rank}" for i in "01" for rank in "01"}
    slurm(cluster, "scancel", "--batch", "--signal=USR1", str(array))  # srun hands it on
    (cluster.folder / "go").touch()

    wait_for(lambda: cluster.json("status")["workers"]["left"] == 4, what="all left")
    assert {row["state"] for row in cluster.json("tasks")} == {"completed"}
    assert {row["reason"] for row in cluster.json("workers")} <= {"drained", "left"}


def test_what_sbatch_refuses_is_told_in_its_words(cluster: Band) -> None:
    cluster.write("holding.py", HOLDING)

    done = cluster.cli("submit", "--partition=nowhere", "holding.py", code=68)

    assert "invalid partition specified: nowhere" in done.stderr
    assert cluster.json("jobs") == []


def test_options_of_sbatch_win_over_the_script(cluster: Band) -> None:
    (cluster.folder / "go").touch()
    cluster.write("holding.py", HOLDING)

    cluster.cli(
        "submit", "--array", 1, "--output", "mine-%a.out", "-J", "named", "--wait", "holding.py"
    )

    assert "joined" in (cluster.folder / "mine-0.out").read_text()
    assert cluster.json("jobs")[0]["log"] == str(cluster.folder / "mine-0.out")
    assert "named" in slurm(cluster, "squeue", "-h", "-t", "all", "-o", "%j")


@pytest.mark.parametrize("template", ["cpu", "preemptible"])
def test_a_template_is_a_valid_script_as_it_stands(cluster: Band, template: str) -> None:
    (cluster.folder / "go").touch()
    cluster.write("holding.py", HOLDING)
    script = cluster.write("job.sh", cluster.cli("templates", "show", template).stdout)
    cluster.environ["SLURMBAND_PYTHON"] = sys.executable
    out = f"--chdir={cluster.folder}"
    slurm(cluster, "sbatch", out, "--array=0-1", str(script), "holding.py")

    wait_for(
        lambda: (
            (cluster.folder / "slurmband.sqlite").exists()
            and cluster.json("status")["tasks"]["completed"] == 4
        ),
        what="the tasks completed",
    )
    assert {row["element"] is not None for row in cluster.json("workers")} == {True}
