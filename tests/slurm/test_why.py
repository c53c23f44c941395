"""What a real SLURM says of elements that it does not start, put into words."""

from typing import Any

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.slurm.conftest import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]

HOLDING = """
import time
from slurmband import Task

def tasks():
    yield from (Task(f"t{n}") for n in range(4))

def run(task):
    time.sleep(600)
"""


def reasons(cluster: Band) -> Any:
    (array,) = cluster.json("why", "t3")["answers"][0]["facts"]["arrays"]
    return array["reasons"]


def submit(cluster: Band, *options: object) -> int:
    cluster.write("holding.py", HOLDING)
    return int(cluster.cli("submit", "--parsable", *options, "holding.py").stdout)


def test_an_array_that_is_held_is_released_by_the_command_that_is_proposed(cluster: Band) -> None:
    array = submit(cluster, "--array", 3, "--hold")
    wait_for(lambda: reasons(cluster) == {"JobHeldUser": 3}, what="SLURM says that it is held")

    answer = cluster.json("why")["answers"][0]

    assert answer["headline"] == "Nothing moves: no worker is alive; 3 elements in SLURM's queue."
    assert (
        "you hold it (`scontrol hold`, or sbatch --hold) (SLURM: JobHeldUser)" in answer["evidence"]
    )
    assert answer["command"] == f"scontrol release {array}"
    slurm(cluster, *answer["command"].split())
    wait_for(lambda: busy_workers(cluster, 3), what="the elements started")


def test_elements_that_wait_for_the_arrays_own_limit_say_so(cluster: Band) -> None:
    array = submit(cluster, "--array", "3%1")
    wait_for(lambda: busy_workers(cluster, 1), what="one element runs")

    def pending() -> Any:
        answer = cluster.json("why", f"{array}_2")["answers"][0]
        return answer if answer["facts"].get("reason") == "JobArrayTaskLimit" else None

    answer = wait_for(pending, what="SLURM says why the others are pending")

    assert answer["headline"].startswith(f"{array}_2 is pending: as many of its elements run as")
    assert answer["command"] == f"scontrol update JobId={array} ArrayTaskThrottle=0"
    assert cluster.json("why", "t0")["answers"][0]["cause"] == "running"


def test_an_array_that_is_to_begin_later_begins_by_the_command_that_is_proposed(
    cluster: Band,
) -> None:
    array = submit(cluster, "--array", 1, "--begin=now+1hour")
    wait_for(lambda: reasons(cluster) == {"BeginTime": 1}, what="SLURM says that it is too early")

    answer = cluster.json("why", f"{array}_0")["answers"][0]

    assert any(line.startswith("SLURM expects it to start at 20") for line in answer["evidence"])
    slurm(cluster, *answer["command"].split())
    wait_for(lambda: busy_workers(cluster, 1), what="it started", seconds=120)
