"""What killed a worker on a real SLURM, with its cgroups, its preemption and its accounting."""

import os
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.slurm.conftest import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(400)]

#: A task of each name, for a worker with that label. It lasts, or eats memory once it may; the second
#: time it ends.
CAUSES = """
import subprocess, sys, time
from pathlib import Path
from slurmband import Task

def tasks():
    for name in sys.argv[1:]:
        yield Task(name, requirements=frozenset([name]), on_oom="mem:+50%")

def run(task):
    began = Path(f"{task.id}.began")
    if began.exists():
        return
    began.touch()
    eaten = []
    while not Path("stop").exists():
        if task.id == "program" and Path("eat").exists():
            eat = "import itertools; [bytearray(10_000_000) for _ in itertools.count()]"
            subprocess.run([sys.executable, "-c", eat], check=True)
        if task.id == "memory" and Path("eat").exists():
            eaten.append(bytearray(10_000_000))
        time.sleep(0.01)
"""
#: Where each worker runs: n1 is preempted, n2 fails.
PLACES = {
    "memory": ("-w", "n3", "--mem", "200"),
    "program": ("-w", "n3", "--mem", "200"),
    "kill": ("-w", "n3"),
    "cancel": ("-w", "n3"),
    "requeue": ("-w", "n3"),
    "node": ("-w", "n2"),
    "node-for-good": ("-w", "n2", "--no-requeue"),
    "preempt": ("-w", "n1"),
    "preempt-for-good": ("-w", "n1", "-p", "cheap"),
}
RELEASED = "released"


def begin(cluster: Band, places: dict[str, tuple[str, ...]]) -> dict[str, dict[str, Any]]:
    """Submit a worker for each task; return the workers by task, once all are in it."""
    cluster.write("causes.py", CAUSES)
    cluster.environ["SLURMBAND_RELEASE_AFTER"] = "600"  # that SLURM kills, and nobody leaves before
    for name, options in places.items():
        cluster.cli(
            *("submit", "--array", 1, "--labels", name, "--mem", "300", *options),
            *("causes.py", *places),
        )
    rows = wait_for(lambda: busy_workers(cluster, len(places)), what="all are in their task")
    for name in places:
        wait_for((cluster.folder / f"{name}.began").exists, what=f"{name} began")
    (cluster.folder / "eat").touch()
    return {row["tasks"][0]: row for row in rows}


def first_attempts(cluster: Band, names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return how the first attempt at each task is written down."""
    rows = cluster.sql(
        "SELECT tasks.id, outcome, reason FROM attempts JOIN tasks ON tasks.key = task WHERE number = 1"
    )
    return {name: (outcome, reason) for name, outcome, reason in rows if name in names}


def reap_until(
    cluster: Band, wanted: dict[str, tuple[str, str]], *, conf: Path | None = None
) -> None:
    """Reap until every first attempt is written down as wanted, and SLURM has no more to say."""

    def reaped() -> bool:
        cluster.cli("reap-dead", SLURM_CONF=str(conf or cluster.environ["SLURM_CONF"]))
        ((unexplained,),) = cluster.sql("SELECT count(*) FROM workers WHERE unexplained = 1")
        return unexplained == 0 and first_attempts(cluster, wanted) == wanted

    try:
        wait_for(reaped, what="all are explained", seconds=200)
    except AssertionError:
        assert first_attempts(cluster, wanted) == wanted
        raise


def preempt(cluster: Band, node: str) -> str:
    """Let something more urgent take a whole node; return its id."""
    return slurm(
        cluster,
        *("sbatch", "--parsable", "-p", "urgent", "-w", node, "--exclusive", "-o", "/dev/null"),
        *("--wrap", "sleep 600"),
    ).strip()


def counted(cluster: Band, column: str) -> set[str]:
    """Return the tasks that are charged for something."""
    return {row[0] for row in cluster.sql(f"SELECT id FROM tasks WHERE {column} > 0")}


def test_each_cause_is_found_and_charged_as_what_it_is(whole_cluster: Band) -> None:
    cluster = whole_cluster
    workers = begin(cluster, PLACES)

    os.kill(workers["kill"]["pid"], signal.SIGKILL)
    slurm(cluster, "scancel", workers["cancel"]["element"])
    slurm(cluster, "scontrol", "requeue", workers["requeue"]["element"])
    slurm(cluster, "scontrol", "update", "nodename=n2", "state=down", "reason=test")
    preempt(cluster, "n1")
    reap_until(
        cluster,
        {
            "memory": ("killed", "out of memory"),
            "program": ("killed", "out of memory"),
            "kill": ("killed", "killed"),
            "cancel": (RELEASED, "cancelled"),
            "requeue": (RELEASED, "requeued"),
            "node": (RELEASED, "node failure"),
            "node-for-good": (RELEASED, "node failure"),
            "preempt": (RELEASED, "preempted"),
            "preempt-for-good": (RELEASED, "preempted"),
        },
    )
    slurm(cluster, "scontrol", "update", "nodename=n2", "state=resume")

    assert (counted(cluster, "ooms"), counted(cluster, "deaths")) == (
        {"memory", "program"},
        {"kill"},
    )
    required = cluster.sql("SELECT requirements FROM tasks WHERE ooms > 0 ORDER BY id")
    assert required == [('["mem>=300M", "memory"]',), ('["mem>=300M", "program"]',)]
    assert "--mem=300M" in [word for need in cluster.json("recover") for word in need["words"]]
    asked = {row["command"]: row["n"] for row in cluster.json("status", "--now")["questions"]}
    assert asked.keys() == {"squeue", "sacct"}


def test_without_accounting_a_preempted_worker_is_requeued_and_costs_nothing(
    whole_cluster: Band,
) -> None:
    cluster = whole_cluster
    conf = Path(cluster.environ["SLURM_CONF"])
    other = conf.with_name("without-accounting.conf")
    other.write_text(
        conf.read_text().replace("accounting_storage/slurmdbd", "accounting_storage/none")
    )
    places = {name: PLACES[name] for name in ("preempt", "preempt-for-good")}
    begin(cluster, places)

    preempt(cluster, "n1")
    wanted = {"preempt": (RELEASED, "requeued"), "preempt-for-good": (RELEASED, "preempted")}
    reap_until(cluster, wanted, conf=other)

    assert counted(cluster, "deaths") == set()


def test_one_of_several_workers_in_an_element_ran_out_of_memory(whole_cluster: Band) -> None:
    cluster = whole_cluster
    cluster.environ["SLURMBAND_RELEASE_AFTER"] = "600"
    cluster.write("causes.py", CAUSES.replace('"memory"', '"big"'))
    (cluster.folder / "eat").touch()
    cluster.cli(
        *("submit", "--array", 1, "--workers-per-element", 2, "-n", 2, "--labels", "big,small"),
        *("--mem", 300, "causes.py", "big", "small"),
    )
    wait_for((cluster.folder / "big.began").exists, what="it began")

    def lost() -> bool:
        cluster.cli("reap-dead")
        return first_attempts(cluster, ["big"]) == {"big": ("killed", "killed")}

    wait_for(lost, what="one of them died")
    (cluster.folder / "stop").touch()  # the other one goes on, and does what is left

    reap_until(cluster, {"big": ("killed", "out of memory")})

    assert {row["state"] for row in cluster.json("tasks")} == {"completed"}


def test_the_time_limit_is_found_and_free_once(whole_cluster: Band) -> None:
    cluster = whole_cluster
    begin(cluster, {"time": ("-w", "n3", "--time", "1", "--signal", "B:USR1@1")})

    wait_for(
        lambda: (
            "TIMEOUT" in slurm(cluster, "squeue", "-h", "-t", "all", "-n", "slurmband", "-o", "%T")
        ),
        what="its time was over",
        seconds=150,
    )
    reap_until(cluster, {"time": (RELEASED, "time limit")})

    assert counted(cluster, "walls") == {"time"}
    assert counted(cluster, "overruns") == set()
