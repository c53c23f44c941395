"""On a real SLURM: a task that overruns is stopped, workers are, and what is left is submitted again."""

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.slurm.conftest import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]

FLOW = """
import time
from pathlib import Path
from slurmband import Task

def tasks():
    yield Task("over", time_limit=1, priority=1)
    yield Task("hold-1")
    yield Task("hold-2")

def run(task):
    while not Path("go").exists():
        time.sleep(0.05)
"""


def test_overrun_then_stop_then_recover(cluster: Band) -> None:
    cluster.environ["SLURMBAND_RELEASE_AFTER"] = "1"
    cluster.write("flow.py", FLOW)
    cluster.cli("submit", "--array", 2, "--max-time-limit-retries", 0, "--mem", "100", "flow.py")

    wait_for(lambda: cluster.tasks()["over"]["state"] == "killed", what="it was stopped")
    assert cluster.tasks()["over"]["reason"] == "over its time_limit"
    wait_for(lambda: busy_workers(cluster, 2), what="both workers are in the other tasks")

    cluster.cli("stop", "--now")
    wait_for(lambda: not slurm(cluster, "squeue", "-h").strip(), what="no job is left")
    assert {row["reason"] for row in cluster.json("workers")} == {"stopped"}
    assert [cluster.tasks()[name]["state"] for name in ("hold-1", "hold-2")] == ["ready"] * 2

    (need,) = cluster.json("recover")
    assert (need["tasks"], need["words"]) == (2, ["--array", "2", "--mem=100", "flow.py"])
    (cluster.folder / "go").touch()
    cluster.cli("recover", "--submit")
    cluster.cli("wait", code=69)

    states = {name: row["state"] for name, row in cluster.tasks().items()}
    assert states == {"over": "killed", "hold-1": "completed", "hold-2": "completed"}
