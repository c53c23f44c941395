"""The main job on this machine: an array of processes, elements numbered as SLURM would."""

import itertools
import os
import signal
from pathlib import Path

import pytest

from tests.integration.band import (
    REPLAY,
    SMALL_TRACE,
    Band,
    busy_pids,
    busy_workers,
    check_history,
    wait_for,
)

pytestmark = pytest.mark.integration

COUNTING = """
import time
from pathlib import Path
from slurmband import Task

def tasks():
    for number in range(30):
        yield Task(f"count-{number}")

def run(task):
    time.sleep(0.05)
"""


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_a_trace_runs_to_its_end(band: Band, mode: str) -> None:
    log = band.folder / "log"

    band.cli(
        *("submit", "--cluster", "local", "--array", 4, "--mode", mode, "--wait"),
        *(REPLAY, SMALL_TRACE, "--scale", 0.02, "--log", log),
    )

    band.wait_until_over()
    check_history(band, SMALL_TRACE, log)
    assert band.json("status")["mode"] == mode
    assert not list(band.folder.glob("*-shm"))
    assert {row["worker"] for row in band.json("workers")} == {"1_0", "1_1", "1_2", "1_3"}
    assert not list((band.folder / "slurmband.sqlite.d" / "beats").iterdir())
    assert not list((band.folder / "slurmband.sqlite.d" / "locks").iterdir())


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_nothing_is_lost_when_workers_are_killed(band: Band, mode: str) -> None:
    log = band.folder / "log"
    options = ("--cluster", "local", "--array", 14, "--mode", mode)
    program = (REPLAY, SMALL_TRACE, "--scale", 1.0, "--log", log)
    band.cli("submit", *options, *program)

    victims: set[int] = set()
    while len(victims) < 10:
        for pid in wait_for(lambda: busy_pids(log) - victims, what="another worker has a task"):
            os.kill(pid, signal.SIGKILL)
            victims.add(pid)
    band.json("reap-dead")
    band.cli("submit", *options, "--wait", *program)
    band.wait_until_over()

    rows = band.json("workers")
    assert {row["pid"] for row in rows if row["state"] == "lost"} >= victims
    check_history(band, SMALL_TRACE, log)


def test_elements_are_numbered_as_slurm_would(band: Band) -> None:
    band.write("count.py", COUNTING)

    band.cli("submit", "--cluster", "local", "--array", "2,5-7", "--wait", "count.py")
    band.cli("submit", "--cluster", "local", "--array", "1", "--wait", "count.py")
    band.wait_until_over()

    rows = band.json("jobs")
    ids = [(row["array_job_id"], row["array_task_id"], row["job_id"]) for row in rows]
    assert ids == [(1, 2, 1), (1, 5, 2), (1, 6, 3), (1, 7, 4), (5, 0, 5)]
    assert [row["array_task_id"] for row in band.json("jobs", "1_[5-6,7%2]")] == [5, 6, 7]
    assert {Path(row["log"]).name for row in rows} == {f"{a}_{i}.out" for a, i, _ in ids}
    assert all(Path(row["log"]).is_file() for row in rows)


def test_sbatchs_own_number_of_tasks_makes_no_workers(band: Band) -> None:
    band.write("count.py", COUNTING)

    band.cli("submit", "--cluster", "local", "--ntasks", 3, "--wait", "count.py")
    band.wait_until_over()

    assert len(band.json("workers")) == 1


def test_a_throttle_is_kept(band: Band) -> None:
    band.write(
        "hold.py",
        "import time\nfrom slurmband import Task\n"
        "def tasks():\n    yield from (Task(str(n)) for n in range(12))\n"
        "def run(task):\n    time.sleep(0.1)\n",
    )

    band.cli("submit", "--cluster", "local", "--array", "6%1", "--wait", "hold.py")
    band.wait_until_over()

    lives = band.sql("SELECT started_at, ended_at FROM workers ORDER BY started_at")
    assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(lives))


def test_several_workers_in_an_element_are_ranks(band: Band) -> None:
    band.write("count.py", COUNTING)

    band.cli(
        "submit",
        "--cluster",
        "local",
        "--array",
        2,
        "--workers-per-element",
        2,
        "--wait",
        "count.py",
    )
    band.wait_until_over()

    workers = {row["worker"] for row in band.json("workers")}
    assert workers == {"1_0.0", "1_0.1", "1_1.0", "1_1.1"}
    assert len(band.json("jobs")) == 2


def test_a_program_with_its_own_loop_is_submitted_after_two_dashes(band: Band) -> None:
    band.write(
        "own.py",
        "from slurmband import Graphband, Task\n"
        "for task in Graphband([Task('a'), Task('b', dependencies={'a'})], wait=True):\n"
        "    print('did', task.id)\n",
    )

    band.cli("submit", "--cluster", "local", "--array", 2, "--wait", "--", "python", "own.py")

    assert {row["state"] for row in band.json("tasks")} == {"completed"}


def test_workers_that_never_registered_a_task_are_no_success(band: Band) -> None:
    done = band.cli(
        *("submit", "--cluster", "local", "--array", 1, "--wait"),
        *("--", "python", "-c", "raise SystemExit(3)"),
        code=69,
    )

    assert "its workers registered no task" in done.stderr


def test_a_tasks_failure_is_kept_with_its_traceback_and_retry_mends_it(band: Band) -> None:
    band.write(
        "flaky.py",
        "from pathlib import Path\nfrom slurmband import Task\n"
        "def tasks():\n"
        "    yield Task('good')\n    yield Task('bad')\n    yield Task('after', dependencies={'bad'})\n"
        "def run(task):\n"
        "    if task.id == 'bad' and not Path('mended').exists():\n"
        "        raise ValueError('no such luck')\n",
    )
    submit = ("submit", "--cluster", "local", "--array", 2, "--wait", "flaky.py")

    failed = band.cli(*submit, code=69)
    before = band.tasks()
    (band.folder / "mended").touch()
    reset = band.json("retry")
    band.cli(*submit)

    assert "slurmband tasks --state failed" in failed.stderr
    assert {name: row["state"] for name, row in before.items()} == {
        "good": "completed",
        "bad": "failed",
        "after": "blocked",
    }
    assert before["bad"]["reason"] == "ValueError: no such luck"
    head, place, *_ = before["bad"]["error"].splitlines()
    assert head == "Traceback (most recent call last):"
    assert f'"{band.folder / "flaky.py"}"' in place  # it begins in the user's own file
    assert before["after"]["reason"] == "needs 'bad', which is failed"
    assert reset == {"reset": ["bad"]}
    assert {row["state"] for row in band.json("tasks")} == {"completed"}


def test_retries_within_the_budget_need_nobody(band: Band) -> None:
    band.write(
        "third.py",
        "from slurmband import Task\n"
        "def tasks():\n    yield Task('stubborn')\n"
        "def run(task):\n    assert task.attempt == 3\n",
    )

    band.cli(
        *("submit", "--cluster", "local", "--array", 1, "--max-failed-retries", 2),
        *("--wait", "third.py"),
    )

    assert [row["outcome"] for row in band.json("where", "stubborn")] == [
        "failed",
        "failed",
        "completed",
    ]


def test_cancelling_an_array_releases_what_its_workers_hold(band: Band) -> None:
    band.write(
        "long.py",
        "import time\nfrom slurmband import Task\n"
        "def tasks():\n    yield from (Task(str(n)) for n in range(4))\n"
        "def run(task):\n    time.sleep(600)\n",
    )
    band.cli("submit", "--cluster", "local", "--array", 2, "long.py", SLURMBAND_RELEASE_AFTER="0.5")
    busy = wait_for(lambda: busy_workers(band, 2), what="both workers are busy")

    controller = int(Path(f"/proc/{busy[0]['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(controller, signal.SIGTERM)

    wait_for(lambda: band.json("status")["workers"]["alive"] == 0, what="the workers left")
    assert {row["state"] for row in band.json("tasks")} == {"ready"}
    assert {row["reason"] for row in band.json("workers")} == {"drained"}
    outcomes = band.sql("SELECT DISTINCT outcome FROM attempts")
    assert outcomes == [("released",)]
