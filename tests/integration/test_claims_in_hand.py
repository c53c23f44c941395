"""Workers that hold several claims: what is not begun is charged to nobody and keeps nobody waiting."""

import os
import signal
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

QUICK = {"SLURMBAND_HEARTBEAT_INTERVAL": "0.2", "SLURMBAND_HEARTBEAT_TIMEOUT": "1"}
#: Short tasks, of which a worker soon takes many at a time; and one among them that is not short.
SHORT = """
import ctypes, os, time
from pathlib import Path
from slurmband import Task

def tasks():
    yield from (Task(f"t{n:03}") for n in range(200))

def run(task):
    with open("ran", "a") as ran:
        ran.write(f"{task.id} {os.getpid()}\\n")
    if task.id == "t100" and task.attempt == 1:
        Path("long").write_text(str(os.getpid()))
        if Path("busy").exists():
            ctypes.PyDLL(None).sleep(600)   # a C call that does not let go of the interpreter
        while not Path("go").exists():
            time.sleep(0.02)
"""


def in_the_long_task(band: Band) -> int:
    """Return the pid of the worker that has begun it."""
    return int(wait_for(lambda: read(band.folder / "long"), what="the long task began"))


def read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def ended(band: Band) -> dict[str, list[tuple[str, str | None]]]:
    """Return how each attempt of each task ended, oldest first."""
    found = defaultdict(list)
    rows = "SELECT t.id, outcome, reason FROM attempts AS a JOIN tasks AS t ON t.key = a.task"
    for task, outcome, reason in band.sql(f"{rows} ORDER BY a.id"):
        found[task].append((outcome, reason))
    return dict(found)


def times_run(band: Band) -> Counter[str]:
    return Counter(line.split()[0] for line in read(band.folder / "ran").splitlines())


def test_a_worker_killed_with_many_claims_is_charged_for_the_one_that_it_began(band: Band) -> None:
    band.write("short.py", SHORT)
    (band.folder / "busy").touch()  # or it would hand back what it holds
    band.worker("short.py", log="first", **QUICK)
    pid = in_the_long_task(band)

    os.kill(pid, signal.SIGKILL)
    assert band.worker("short.py", log="second", **QUICK).wait(timeout=120) == 0

    found = ended(band)
    assert found.pop("t100") == [("killed", "killed"), ("completed", None)]
    again = [task for task, ends in found.items() if len(ends) > 1]
    assert len(again) > 3
    assert all(found[task] == [("released", "not begun"), ("completed", None)] for task in again)
    assert times_run(band) == {f"t{n:03}": 1 + (n == 100) for n in range(200)}


def test_what_a_worker_holds_goes_back_when_its_task_turns_out_to_be_long(band: Band) -> None:
    band.write("short.py", SHORT)
    first = band.worker("short.py", log="first", **QUICK)
    in_the_long_task(band)

    second = band.worker("short.py", log="second", **QUICK)
    wait_for(
        lambda: len(times_run(band)) == 200, what="all others ran while one is in the long task"
    )
    (band.folder / "go").touch()

    assert (first.wait(timeout=60), second.wait(timeout=60)) == (0, 0)
    found = ended(band)
    again = [task for task, ends in found.items() if len(ends) > 1]
    assert len(again) > 3
    assert all(found[task] == [("released", "not begun"), ("completed", None)] for task in again)
    assert times_run(band) == {f"t{n:03}": 1 for n in range(200)}
    assert [row["state"] for row in band.tasks().values()] == ["completed"] * 200


def test_a_frozen_worker_begins_nothing_more_of_what_it_held(band: Band) -> None:
    band.write("short.py", SHORT)
    (band.folder / "busy").touch()
    frozen = band.worker("short.py", log="first", **QUICK)
    pid = in_the_long_task(band)
    os.kill(pid, signal.SIGSTOP)
    second = band.worker("short.py", log="second", **QUICK)
    wait_for(lambda: times_run(band)["t100"] == 2, what="the long task began anew")
    assert second.wait(timeout=60) == 0
    ran = times_run(band)

    (band.folder / "go").touch()
    os.kill(pid, signal.SIGTERM)  # to end the C call
    os.kill(pid, signal.SIGCONT)

    frozen.wait(timeout=60)
    assert times_run(band) == ran == {f"t{n:03}": 1 + (n == 100) for n in range(200)}
