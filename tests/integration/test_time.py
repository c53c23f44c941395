"""Workers know their job's end: they begin what fits, leave when nothing does, stop what overruns."""

import contextlib
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from slurmband import Graphband, Task
from slurmband.domain.pace import Wish
from slurmband.graphband import loop
from slurmband.graphband.orders import BY_A_PERSON
from slurmband.store import listings
from slurmband.store.database import Store
from tests.integration.band import Band

pytestmark = pytest.mark.integration

ATTEMPTS = (
    "SELECT t.id, a.outcome, a.reason FROM attempts a JOIN tasks t ON t.key = a.task ORDER BY a.id"
)


def ends_in(seconds: float) -> str:
    return str(time.time() + seconds)


#: The end is counted from here where it matters: Python may be slow to start.
KINDS = """
import os, time
from slurmband import Task

if "ENDS_IN" in os.environ:
    os.environ["SLURM_JOB_END_TIME"] = str(time.time() + float(os.environ["ENDS_IN"]))

def tasks():
    yield Task("slow-1", kind="slow", priority=2)
    yield Task("slow-2", kind="slow", priority=1)
    for number in range(5):
        yield Task(f"quick-{number}", kind="quick", dependencies={"slow-1"})

def run(task):
    time.sleep(4.0 if task.kind == "slow" else 0.05)
"""


def test_what_no_longer_fits_is_left_to_others_and_shorter_tasks_are_done(band: Band) -> None:
    """After one slow task of 4 s, another one is foreseen to take 8 s at most; 7 s are left."""
    band.write("flow.py", KINDS)

    first = band.worker("flow.py", ENDS_IN="12", SLURMBAND_IDENTIFIER="first")
    assert first.wait(120) == 0

    states = {name: row["state"] for name, row in band.tasks().items()}
    assert states.pop("slow-2") == "ready"
    assert set(states.values()) == {"completed"}
    assert "nothing that is ready fits into the" in band.log()
    assert band.sql("SELECT reason FROM workers") == [("no time left",)]

    band.cli("work", "flow.py", "--quiet")
    assert band.tasks()["slow-2"]["state"] == "completed"
    assert band.tasks()["slow-2"]["attempts"] == 1


LIMITED = """
from slurmband import Task

def tasks():
    yield Task("long", time_limit=3600)
    yield Task("short", time_limit=60)

def run(task):
    pass
"""


def test_of_a_new_kind_a_task_is_taken_to_last_as_long_as_it_may(band: Band) -> None:
    band.write("flow.py", LIMITED)

    band.cli("work", "flow.py", SLURM_JOB_END_TIME=ends_in(600))

    assert band.tasks()["short"]["state"] == "completed"
    # What is known by now: it is over in no time. So the long one fits, too.
    assert band.tasks()["long"]["state"] == "completed"


def test_what_takes_most_of_a_job_is_begun_by_who_has_a_whole_job_for_it(band: Band) -> None:
    band.write("flow.py", LIMITED.replace(", time_limit=3600", "").replace(", time_limit=1", ""))
    band.cli("work", "flow.py", SLURM_JOB_END_TIME=ends_in(-5))
    with contextlib.closing(sqlite3.connect(band.folder / "slurmband.sqlite")) as connection:
        connection.execute("INSERT INTO durations VALUES ('', 1, 400.0, 0.0, 800.0)")
        connection.commit()

    band.cli("work", "flow.py", SLURM_JOB_END_TIME=ends_in(600))

    assert "completed" in {row["state"] for row in band.json("tasks")}


def test_who_has_no_time_left_begins_nothing(band: Band) -> None:
    band.write("flow.py", LIMITED)

    band.cli("work", "flow.py", SLURM_JOB_END_TIME=ends_in(-5))

    assert band.sql(ATTEMPTS) == []
    assert band.sql("SELECT reason FROM workers") == [("no time left",)]


@pytest.mark.parametrize("why", ["no time left", "stopped"])
def test_a_program_that_loops_while_there_is_more_ends_when_it_is_to_leave(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "no time left":
        monkeypatch.setenv("SLURM_JOB_END_TIME", ends_in(-5))
    database = tmp_path / "slurmband.sqlite"
    band: Graphband[None] = Graphband(
        [Task("bake"), Task("boil")], db=database, tqdm_kwargs={"disable": True}
    )

    begun: list[str] = []
    while band.has_more_jobs and len(begun) < 5:
        begun.append(why)
        for _ in band:
            if why == "stopped":
                band._loop.drain.ask(BY_A_PERSON)

    assert begun == [why]
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT reason FROM workers").fetchall() == [(why,)]


ENDLESS = """
import signal
import sys
import threading
import time
from slurmband import Task

def tasks():
    yield Task("endless", time_limit=0.5)
    yield Task("other", priority=-1)

def run(task):
    if task.id == "other":
        return
    if "deaf" in sys.argv:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    try:
        time.sleep(600)
    except Exception:
        pass
"""


def test_a_task_that_takes_too_long_is_stopped_and_charged_and_its_worker_goes_on(
    band: Band,
) -> None:
    band.write("flow.py", ENDLESS)

    band.cli("work", "flow.py")

    overrun = ("endless", "killed", "over its time_limit")
    assert band.sql(ATTEMPTS) == [overrun, overrun, ("other", "completed", None)]
    assert band.tasks()["endless"]["state"] == "killed"
    assert band.sql("SELECT overruns, deaths FROM tasks WHERE id = 'endless'") == [(2, 0)]
    assert len(band.json("workers")) == 1
    assert "time.sleep(600)" in band.tasks()["endless"]["error"]


@pytest.mark.timeout(0)  # which has an alarm of its own
@pytest.mark.parametrize("place", ["_log", "end_task"])
def test_an_alarm_stops_nothing_but_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Also where it would ring just before the task's code, or just after it has failed."""
    plain = getattr(loop, place) if place == "_log" else getattr(loop.Loop, place)

    def slow(*given: object) -> None:
        time.sleep(0.3)
        plain(*given)

    monkeypatch.setattr(loop if place == "_log" else loop.Loop, place, slow)

    def run(task: Task[None]) -> None:
        raise ValueError(task.id)

    db = tmp_path / "slurmband.sqlite"
    Graphband([Task("quick", time_limit=0.2)], db=db).run(run)

    with contextlib.closing(Store(db)) as store, store.read() as tx:
        (attempt,) = listings.attempt_rows(tx, "quick")
    assert attempt["reason"] == "ValueError: quick"


def test_what_cannot_be_interrupted_is_ended_with_its_worker(band: Band) -> None:
    band.write("flow.py", ENDLESS)

    deaf = band.start(
        *("-m", "slurmband", "work", "flow.py", "deaf"),
        SLURMBAND_RELEASE_AFTER="0.5",
        SLURMBAND_MAX_TIME_LIMIT_RETRIES="0",
    )

    assert deaf.wait(120) == -9
    assert band.sql(ATTEMPTS) == [("endless", "killed", "over its time_limit")]
    assert band.tasks()["endless"]["state"] == "killed"
    assert band.sql("SELECT status, reason FROM workers") == [("left", "over its time_limit")]


LONG = """
import time
from slurmband import Task

def tasks():
    return [Task("long")]

def run(task):
    time.sleep(600)
"""


def test_a_job_too_short_for_a_task_is_not_charged_once_and_then_it_is(band: Band) -> None:
    band.write("flow.py", LONG)
    submit = ("submit", "--cluster", "local", "--time", "0:10", "--max-time-limit-retries", "0")
    at_the_wall = {"SLURMBAND_RELEASE_AFTER": "0.5"}

    for state in ("ready", "killed"):
        band.cli(*submit, "--wait", "flow.py", code=69, **at_the_wall)
        assert band.tasks()["long"]["state"] == state

    assert band.sql(ATTEMPTS) == [
        ("long", "released", "time limit"),
        ("long", "killed", "time limit"),
    ]


def test_an_element_of_this_machine_is_told_its_end(band: Band) -> None:
    band.write(
        "flow.py",
        "import os, json\nfrom slurmband import Task\n"
        "def tasks(): return [Task('look')]\n"
        "def run(task): print('END', os.environ['SLURM_JOB_END_TIME'], flush=True)\n",
    )
    began = time.time()

    band.cli("submit", "--cluster", "local", "--time=1:00:00", "--wait", "flow.py")

    (row,) = band.json("workers")
    with open(row["log"], encoding="utf-8") as log:
        end = float(log.read().partition("END ")[2].split()[0])
    assert began + 3590 < end < time.time() + 3601
    assert band.sql("SELECT ends_at FROM workers") == [(end,)]


def test_a_time_that_is_none_queues_nothing(band: Band) -> None:
    band.write("flow.py", LONG)

    refused = band.cli("submit", "--cluster", "local", "--time", "soon", "flow.py", code=64)

    assert "cannot read the time 'soon'" in refused.stderr
    assert not (band.folder / "slurmband.sqlite").exists()


def test_what_was_taken_in_advance_and_no_longer_fits_is_handed_back(tmp_path: Path) -> None:
    database = tmp_path / "slurmband.sqlite"
    made: Graphband[None] = Graphband(
        [Task("bake"), Task("boil")], db=database, tqdm_kwargs={"disable": True}
    )
    with made as band:
        loop, tasks = band._loop, iter(band)
        assert next(tasks).id == "bake"
        keeping = {loop.held.attempt} if loop.held else set()
        (boil,) = loop.begun().round((), wish=Wish(1), keeping=keeping).claims
        loop._hand.add([replace(boil, foreseen=100.0)])
        loop._time.learn(time.time() + 50.0)
        assert [task.id for task in tasks] == ["boil"]  # it is known by then how quick they are

    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute(ATTEMPTS).fetchall() == [
            ("bake", "completed", None),
            ("boil", "released", "no time left"),
            ("boil", "completed", None),
        ]
