"""A person lets workers leave: after the task in hand, or at once; all of them, or some."""

import json
import signal
from pathlib import Path

import pytest

from slurmband.domain.graph import check
from slurmband.domain.pace import Wish
from slurmband.domain.task import Task
from slurmband.domain.workers import Stop
from slurmband.graphband.life import Life
from slurmband.graphband.options import Options
from slurmband.store import stopping
from slurmband.store.database import Store
from tests.fakes.clock import HandClock
from tests.integration.band import Band, busy_workers, wait_for

pytestmark = pytest.mark.integration

FLOW = """
import sys
import time
from pathlib import Path
from slurmband import Task

def tasks():
    return [Task(f"t{n}") for n in range(6)]

def run(task):
    while not Path("go").exists():
        time.sleep(0.05)
"""


#: Hands its task back when it is asked to leave; the second attempt completes.
SAVING = """
import sys, time
from slurmband import Task

def tasks():
    yield Task("long")

def run(task, band):
    if "now" in sys.argv:
        band.hand_back()
    while task.attempt == 1:
        time.sleep(0.05)
        try:
            if band.draining:
                band.hand_back()
        except Exception:
            pass
"""


def begin(band: Band, workers: int, **environ: str) -> None:
    band.write("flow.py", FLOW)
    for number in range(workers):
        band.worker("flow.py", SLURMBAND_IDENTIFIER=f"w{number}", **environ)
    wait_for((band.folder / "slurmband.sqlite").exists, what="the database is made")
    wait_for(lambda: busy_workers(band, workers), what="the workers are busy")


def reasons(band: Band) -> dict[str, str]:
    return {row["worker"]: row["reason"] for row in band.json("workers")}


def test_all_leave_after_the_task_in_hand_and_new_ones_at_once(band: Band) -> None:
    begin(band, 2)

    said = band.cli("stop").stdout
    assert "2 workers asked to leave after the task in hand" in said
    late = band.worker("flow.py", SLURMBAND_IDENTIFIER="late")
    assert late.wait(120) == 0
    (band.folder / "go").touch()
    for process in band.started:
        assert process.wait(120) == 0

    assert reasons(band) == dict.fromkeys(["w0", "w1", "late"], "stopped")
    states = [row["state"] for row in band.json("tasks")]
    assert sorted(states) == ["completed"] * 2 + ["ready"] * 4

    band.cli("submit", "--cluster", "local", "--wait", "flow.py")
    assert {row["state"] for row in band.json("tasks")} == {"completed"}


def test_only_those_named_leave(band: Band) -> None:
    begin(band, 2)

    told = json.loads(band.cli("stop", "w0", "--json").stdout)
    assert told == {"how": "drain", "workers": ["w0"]}
    (band.folder / "go").touch()
    for process in band.started:
        assert process.wait(120) == 0

    assert reasons(band) == {"w0": "stopped", "w1": "left"}
    assert {row["state"] for row in band.json("tasks")} == {"completed"}


def test_now_hands_back_the_task_in_hand(band: Band) -> None:
    begin(band, 1, SLURMBAND_RELEASE_AFTER="0.5")

    band.cli("stop", "--now")
    assert band.started[0].wait(120) == -9  # it did not listen

    assert reasons(band) == {"w0": "stopped"}
    assert {row["state"] for row in band.json("tasks")} == {"ready"}
    assert band.sql("SELECT outcome, reason FROM attempts") == [("released", "stopped")]


@pytest.mark.parametrize("ask", ["stop", "signal"])
def test_a_task_that_has_saved_itself_is_handed_back(band: Band, ask: str) -> None:
    band.write("flow.py", SAVING)
    worker = band.worker("flow.py")
    wait_for((band.folder / "slurmband.sqlite").exists, what="the database is made")
    wait_for(lambda: busy_workers(band, 1), what="the worker is busy")

    if ask == "stop":
        band.cli("stop")
    else:
        worker.send_signal(signal.SIGUSR1)

    assert worker.wait(120) == 0
    handed_back = ("released", "handed back")
    assert band.sql("SELECT outcome, reason FROM attempts") == [handed_back]
    band.cli("submit", "--cluster", "local", "--wait", "flow.py")
    found = band.sql("SELECT outcome, reason FROM attempts")
    assert found == [handed_back, ("completed", None)]
    assert band.sql("SELECT failures, deaths, walls FROM tasks") == [(0, 0, 0)]


def test_who_is_not_to_leave_cannot_hand_back(band: Band) -> None:
    band.write("flow.py", SAVING)

    band.cli("work", "flow.py", "now")

    (row,) = band.json("tasks")
    assert row["state"] == "failed"
    assert "nobody asked this worker to leave" in row["error"]


def test_a_loop_of_ones_own_that_hands_back_ends_well(band: Band) -> None:
    text = """
import os, signal
from slurmband import Graphband, Task

with Graphband([Task("long"), Task("other")], db="slurmband.sqlite") as band:
    for task in band:
        os.kill(os.getpid(), signal.SIGUSR1)
        band.hand_back()
print("well")
"""
    band.write("own.py", text)

    assert band.start("own.py").wait(120) == 0

    assert "well" in band.log()
    assert band.sql("SELECT outcome, reason FROM attempts") == [("released", "handed back")]
    assert {row["state"] for row in band.json("tasks")} == {"ready"}


def test_who_waits_for_work_leaves_as_well(band: Band) -> None:
    band.write("flow.py", FLOW.replace("range(6)", "range(1)"))
    for name in ("busy", "idle"):
        band.worker("flow.py", SLURMBAND_IDENTIFIER=name)
    wait_for((band.folder / "slurmband.sqlite").exists, what="the database is made")
    wait_for(lambda: len(band.json("workers")) == 2, what="both have joined")
    wait_for(lambda: busy_workers(band, 1), what="one is busy")
    idle = next(row["worker"] for row in band.json("workers") if not row["tasks"])

    band.cli("stop", idle)

    wait_for(lambda: reasons(band)[idle] == "stopped", what="the idle one left")


def test_who_is_not_there_cannot_be_stopped(band: Band) -> None:
    band.write("flow.py", FLOW)
    (band.folder / "go").touch()
    band.cli("work", "flow.py")

    band.cli("stop", "nobody", code=64)


def test_who_was_asked_to_leave_is_given_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "slurmband.sqlite", mode="local", create=True)
    life = Life(store, check([Task("bake")]), Options(identifier="alice"), HandClock(), None)
    with store.transaction() as tx:
        stopping.stop(tx, ["alice"], Stop.DRAIN)

    found = life.round((), wish=Wish(1))

    assert (found.stop, found.claims) == (Stop.DRAIN, [])
    life.abandon()
    store.close()
