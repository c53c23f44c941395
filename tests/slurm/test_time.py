"""What the workers of a real array know of their jobs' end, and what becomes of a task at the end."""

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.slurm.conftest import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]

HOLDING = """
import time
from pathlib import Path
from slurmband import Task

def tasks():
    return [Task(f"t{n}") for n in range(30)]

def run(task):
    while not Path("go").exists():
        time.sleep(0.05)
"""


def test_one_worker_asks_for_the_time_limit_and_all_know_when_their_job_ends(
    cluster: Band,
) -> None:
    cluster.write("flow.py", HOLDING)

    cluster.cli("submit", "--array", "3", "--time", "7", "flow.py")
    wait_for(lambda: busy_workers(cluster, 3), what="all three have come while there is work")
    wait_for(lambda: all(lasting(cluster)), what="each knows when its job ends")
    (cluster.folder / "go").touch()
    cluster.cli("wait")

    assert cluster.sql("SELECT time_limit FROM submissions") == [(420.0,)]
    assert len(lasting(cluster)) == 3
    assert all(400 < seconds <= 420 for seconds in lasting(cluster))


def lasting(cluster: Band) -> list[float]:
    """Return how long each worker had from its start to the end of its job; 0: it does not know."""
    query = "SELECT coalesce(ends_at - started_at, 0) FROM workers"
    return [seconds for (seconds,) in cluster.sql(query)]


LONG = """
import time
from slurmband import Task

def tasks():
    return [Task("long")]

def run(task):
    time.sleep(600)
"""


def test_a_task_at_the_end_of_its_job_is_handed_back(cluster: Band) -> None:
    """The shortest limit that SLURM knows is a minute."""
    cluster.environ["SLURMBAND_RELEASE_AFTER"] = "2"
    cluster.write("flow.py", LONG)
    cluster.cli("submit", "--time", "1", "--signal", "B:USR1@1", "flow.py")

    wait_for(
        lambda: not slurm(cluster, "squeue", "-h").strip(), what="the job is over", seconds=200
    )

    (task,) = cluster.json("tasks")
    assert (task["state"], task["reason"]) == ("ready", "time limit")
    assert cluster.sql("SELECT walls, overruns, deaths FROM tasks") == [(1, 0, 0)]


SHORT = """
import time
from slurmband import Task

def tasks():
    return [Task(f"t{n}") for n in range(12)]

def run(task):
    time.sleep(8)
"""


def test_an_array_queues_its_successor_from_a_compute_node(cluster: Band) -> None:
    """A minute, twice: the second array does what the first one had no time for."""
    cluster.write("flow.py", SHORT)

    cluster.cli("submit", "--time", "1", "--until-done", "--signal", "B:USR1@1", "flow.py")
    wait_for(
        lambda: {row["state"] for row in cluster.json("tasks")} == {"completed"},
        what="all is done",
        seconds=250,
    )

    rows = cluster.sql("SELECT id, follows, status FROM submissions")
    assert len(rows) > 1
    assert rows == [(n, n - 1 if n > 1 else None, "queued") for n in range(1, len(rows) + 1)]


def test_the_throttle_of_a_running_array_is_changed(cluster: Band) -> None:
    cluster.write("flow.py", LONG)
    (job,) = cluster.cli("submit", "--array", "4%1", "--parsable", "flow.py").stdout.split()

    cluster.cli("scale", job, "3")

    assert "ArrayTaskThrottle=3" in slurm(cluster, "scontrol", "show", "job", job)
    cluster.cli("scale", "99999999", "3", code=68)
