"""What a task printed is found in the logs that a real SLURM writes."""

from pathlib import Path

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.slurm.conftest import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]

PRINTING = """
import sys, time
from pathlib import Path
from slurmband import Task

def tasks():
    yield Task("bake", priority=1)
    yield Task("serve")

def run(task):
    print("begin of", task.id, task.attempt, flush=True)
    sys.stderr.write(f"careful with {task.id}\\n")
    while not Path("go").exists():
        time.sleep(0.05)
    print("end of", task.id, task.attempt)
"""


def begin(cluster: Band, workers: int, *options: object) -> list[dict[str, str]]:
    """Submit, and wait until every worker is in a task."""
    cluster.write("printing.py", PRINTING)
    cluster.cli("submit", *options, "printing.py")
    found: list[dict[str, str]] = wait_for(
        lambda: busy_workers(cluster, workers), what=f"{workers} workers are busy"
    )
    return found


def lines(cluster: Band, *words: object) -> list[str]:
    """Return what `logs` prints, but for slurmband's own lines."""
    return [
        line for line in cluster.cli("logs", *words).stdout.splitlines() if " INFO " not in line
    ]


def test_a_requeued_elements_log_goes_on_and_is_told_apart(cluster: Band) -> None:
    (first,) = begin(cluster, 1, "--array", 1)
    began = ["begin of bake 1", "careful with bake"]
    wait_for(
        lambda: lines(cluster, "bake") == began, what="it printed, which comes after its claim"
    )

    slurm(cluster, "scontrol", "requeue", first["element"])
    again = f"{first['element']}r1"
    wait_for(
        lambda: [row for row in cluster.json("workers", "bake") if row["worker"] == again],
        what=f"{again} has the task",
        seconds=120,
    )
    (cluster.folder / "go").touch()
    cluster.cli("wait")

    assert lines(cluster, "bake") == ["begin of bake 2", "careful with bake", "end of bake 2"]
    assert lines(cluster, "bake", "--attempt", 1)[:2] == ["begin of bake 1", "careful with bake"]
    assert not [line for line in lines(cluster, "bake", "--attempt", 1) if "bake 2" in line]
    assert "begin of serve 1" in lines(cluster, again)


def test_standard_error_has_a_file_of_its_own_where_sbatch_was_told_so(cluster: Band) -> None:
    (cluster.folder / "go").touch()
    cluster.write("printing.py", PRINTING)
    where = ("--output", "out-%a", "--error", "err-%a")
    cluster.cli("submit", "--array", 1, *where, "--wait", "printing.py")

    rows = cluster.json("logs", "serve")

    assert [(row["stream"], Path(row["log"]).name) for row in rows] == [
        ("out", "out-0"),
        ("err", "err-0"),
    ]
    assert "careful with serve" in lines(cluster, "serve")
    assert "careful with bake" not in lines(cluster, "serve")


def test_of_ranks_that_write_through_srun_the_whole_log_is_named(cluster: Band) -> None:
    (cluster.folder / "go").touch()
    cluster.write("printing.py", PRINTING)
    cluster.cli("submit", "--array", 1, "--workers-per-element", 2, "--wait", "printing.py")

    (row,) = cluster.json("logs", "bake")
    done = cluster.cli("logs", "bake", code=67)

    assert row["begin"] is None
    assert "wrote to a pipe (as under srun)" in done.stderr
    wait_for(
        lambda: "end of bake 1" in lines(cluster, row["worker"]), what="srun wrote it into the log"
    )
