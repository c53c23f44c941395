"""Workers that hold several claims: what is not begun is charged to nobody and keeps nobody waiting."""

import os
import signal
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

#: The dead are found soon, and nobody is taken for dead that merely waits for a busy machine.
QUICK = {"SLURMBAND_HEARTBEAT_INTERVAL": "0.2", "SLURMBAND_HEARTBEAT_TIMEOUT": "60"}
#: The silent are found soon as well.
WARY = QUICK | {"SLURMBAND_HEARTBEAT_TIMEOUT": "3"}
#: Claims that a worker holds beside the long task.
MANY = 8
#: Short tasks, of which a worker soon takes many at a time; the first one that many wait behind is long.
SHORT = f"""
import ctypes, os, time
from pathlib import Path
from slurmband import Task
from slurmband.graphband.hand import Hand

hands = []
take = Hand.take

def take_and_look(hand):
    hands[:] = [hand]
    return take(hand)

Hand.take = take_and_look

def tasks():
    yield from (Task(f"t{{n:03}}") for n in range(200))

def run(task):
    with open("ran", "a") as ran:
        ran.write(task.id + "\\n")
    if len(hands[0]) >= {MANY} and not Path("long").exists():
        Path("long").write_text(f"{{task.id}} {{os.getpid()}}")
        if Path("busy").exists():
            ctypes.PyDLL(None).sleep(600)   # a C call that does not let go of the interpreter
        while not Path("go").exists():
            time.sleep(0.02)
"""


def in_the_long_task(band: Band) -> tuple[str, int]:
    """Return the long task, and the pid of the worker that has begun it."""
    task, pid = wait_for(lambda: read(band.folder / "long"), what="the long task began").split()
    return task, int(pid)


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
    return Counter(read(band.folder / "ran").split())


def times_wanted(*twice: str) -> dict[str, int]:
    return dict.fromkeys((f"t{n:03}" for n in range(200)), 1) | dict.fromkeys(twice, 2)


def assert_handed_back(found: dict[str, list[tuple[str, str | None]]]) -> None:
    """Check that many tasks were handed back before they completed, and that no other thing happened."""
    for *before, last in found.values():
        assert last == ("completed", None)
        assert set(before) <= {("released", "not begun")}
    assert sum(len(ends) > 1 for ends in found.values()) >= MANY


def test_a_worker_killed_with_many_claims_is_charged_for_the_one_that_it_began(band: Band) -> None:
    band.write("short.py", SHORT)
    (band.folder / "busy").touch()  # or it would hand back what it holds
    band.worker("short.py", log="first", **QUICK)
    long, pid = in_the_long_task(band)

    os.kill(pid, signal.SIGKILL)
    assert band.worker("short.py", log="second", **QUICK).wait(timeout=120) == 0

    found = ended(band)
    assert found.pop(long)[-2:] == [("killed", "killed"), ("completed", None)]
    assert_handed_back(found)
    assert times_run(band) == times_wanted(long)


def test_what_a_worker_holds_goes_back_when_its_task_turns_out_to_be_long(band: Band) -> None:
    band.write("short.py", SHORT)
    first = band.worker("short.py", log="first", **QUICK)
    in_the_long_task(band)

    second = band.worker("short.py", log="second", **QUICK)
    wait_for(
        lambda: len(times_run(band)) == 200, what="all others ran while one is in the long task"
    )
    (band.folder / "go").touch()

    assert (first.wait(timeout=120), second.wait(timeout=120)) == (0, 0)
    assert_handed_back(ended(band))
    assert times_run(band) == times_wanted()
    assert [row["state"] for row in band.tasks().values()] == ["completed"] * 200


def test_a_frozen_worker_begins_nothing_more_of_what_it_held(band: Band) -> None:
    band.write("short.py", SHORT)
    (band.folder / "busy").touch()
    frozen = band.worker("short.py", log="first", **WARY)
    long, pid = in_the_long_task(band)
    os.kill(pid, signal.SIGSTOP)
    second = band.worker("short.py", log="second", **WARY)
    wait_for(lambda: times_run(band)[long] == 2, what="the long task began anew")
    assert second.wait(timeout=120) == 0
    ran = times_run(band)

    (band.folder / "go").touch()
    os.kill(pid, signal.SIGTERM)  # to end the C call
    os.kill(pid, signal.SIGCONT)

    frozen.wait(timeout=120)
    assert times_run(band) == ran == times_wanted(long)
