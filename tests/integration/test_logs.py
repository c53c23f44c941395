"""What a task printed is found among all that its worker printed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

#: Each task prints two lines, the second without its end, and one on standard error.
PRINTING = """
import sys
from slurmband import Task

def tasks():
    yield from (Task(name) for name in ("bake", "ice", "serve"))

def run(task):
    print("begin of", task.id)
    sys.stderr.write(f"careful with {task.id}\\n")
    print("end of", task.id, end="")
"""

#: The first task goes on line by line, as files appear.
SLOW = """
import time
from pathlib import Path
from slurmband import Task

def tasks():
    yield Task("bake", priority=1)
    yield Task("ice")

def run(task):
    print("begin of", task.id, flush=True)
    while task.id == "bake" and not Path("go").exists():
        time.sleep(0.02)
    print("end of", task.id)
"""


def submit(band: Band, text: str, *options: object, code: int = 0) -> None:
    band.write("flow.py", text)
    band.cli("submit", "--cluster", "local", *options, "flow.py", code=code)


def logs(band: Band, *words: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
    return band.cli("logs", *words, code=code)


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_each_of_a_workers_tasks_has_its_own_part(band: Band, mode: str) -> None:
    submit(band, PRINTING, "--array", 1, "--wait", "--mode", mode)

    for task in ("bake", "ice", "serve"):
        first, *lines = logs(band, task).stdout.splitlines()
        assert first.endswith(f"task={task} attempt=1 worker=1_0 began")
        assert sorted(lines) == sorted(
            [f"begin of {task}", f"careful with {task}", f"end of {task}"]
        )
    assert "note" not in logs(band, "bake").stderr
    assert logs(band, "bake", "-n", 1).stdout.endswith("end of bake")


def test_where_a_part_stands_can_be_used_by_other_programs(band: Band) -> None:
    submit(band, PRINTING, "--array", 1, "--wait")

    begin, end, log = logs(band, "ice", "--path").stdout.strip().split("\t")
    (row,) = band.json("logs", "ice")

    assert (str(row["begin"]), str(row["end"]), row["log"]) == (begin, end, log)
    part = Path(log).read_bytes()[int(begin) : int(end)]
    assert part.decode() == logs(band, "ice").stdout
    assert logs(band, "1_0", "--path").stdout == f"0\t-\t{log}\n"


def test_whole_logs_are_printed_under_headers(band: Band) -> None:
    submit(band, PRINTING, "--array", 2, "--wait")
    band.wait_until_over()

    whole = logs(band, "1").stdout
    last = logs(band, "1_[0-1]", "--tail", 1).stdout

    for index in (0, 1):
        log = band.folder / "slurmband.sqlite.d" / "logs" / f"1_{index}.out"
        assert f"==> worker 1_{index}: {log} <==\n{log.read_text()}" in whole
        assert f"worker=1_{index} left: left\n" in last
    assert last.count("\n") == 5  # two headers, two lines, and one between them


def test_standard_error_that_goes_elsewhere_is_shown_as_well(band: Band) -> None:
    band.write("flow.py", PRINTING)
    command = f"exec {sys.executable} -m slurmband work --quiet flow.py >out 2>err"
    subprocess.run(["bash", "-c", command], cwd=band.folder, env=band.environ, check=True)

    shown = logs(band, "ice").stdout

    assert shown == (
        f"==> attempt 1 of 'ice': {band.folder}/out <==\nbegin of ice\nend of ice\n"
        f"==> attempt 1 of 'ice': {band.folder}/err <==\ncareful with ice\n"
    )


def test_an_attempt_that_was_killed_is_shown_as_far_as_it_came(band: Band) -> None:
    band.environ |= {"SLURMBAND_HEARTBEAT_INTERVAL": "0.5", "SLURMBAND_HEARTBEAT_TIMEOUT": "20"}
    submit(
        band,
        "import os, signal\nfrom slurmband import Task\n"
        "def tasks():\n    yield Task('bake')\n"
        "def run(task):\n"
        "    print('attempt', task.attempt, flush=True)\n"
        "    if task.attempt == 1:\n        os.kill(os.getpid(), signal.SIGKILL)\n",
        *("--array", 2, "--wait"),
    )

    newest, first = logs(band, "bake").stdout, logs(band, "bake", "--attempt", 1).stdout

    assert newest.splitlines()[1:] == ["attempt 2"]
    assert first.splitlines()[1:] == ["attempt 1"]
    assert [row["outcome"] for row in band.json("where", "bake")] == ["killed", "completed"]


def test_following_ends_with_the_attempt(band: Band) -> None:
    submit(band, SLOW, "--array", 1)
    wait_for(
        lambda: [row for row in band.json("tasks", "bake") if row["state"] == "running"],
        what="the task runs",
    )
    follower = band.start("-m", "slurmband", "logs", "bake", "--follow", "--every", 0.1, log="seen")
    wait_for(lambda: "begin of bake" in band.log("seen"), what="its first line is seen")

    (band.folder / "go").touch()

    assert follower.wait(120) == 0
    _began, *lines = band.log("seen").splitlines()
    assert lines == ["begin of bake", "end of bake"]


def test_a_task_that_is_not_begun_is_waited_for(band: Band) -> None:
    (band.folder / "go").touch()
    band.write("flow.py", SLOW)
    band.cli("submit", "--cluster", "local", "--array", 1, "--wait", "flow.py")
    band.write("flow.py", SLOW.replace('Task("ice")', 'Task("serve")'))
    band.cli("submit", "--cluster", "local", "--dry-run", "flow.py")
    band.start(
        "-c",
        "from flow import tasks\nfrom slurmband import Graphband\nGraphband(tasks()).register()",
    ).wait(120)
    assert "'serve' is ready and has not begun" in logs(band, "serve", code=64).stderr
    follower = band.start("-m", "slurmband", "logs", "serve", "-f", "--every", 0.1, log="seen")
    wait_for(lambda: "has not begun yet; waiting" in band.log("seen"), what="it waits")

    band.cli("submit", "--cluster", "local", "--array", 1, "--wait", "flow.py")

    assert follower.wait(120) == 0
    assert band.log("seen").splitlines()[2:] == ["begin of serve", "end of serve"]


def test_following_a_worker_ends_with_the_worker(band: Band) -> None:
    submit(band, SLOW, "--array", 1)
    wait_for(lambda: band.json("workers"), what="the worker joined")
    follower = band.start("-m", "slurmband", "logs", "1_0", "-f", "--every", 0.1, log="seen")
    wait_for(lambda: "begin of bake" in band.log("seen"), what="its first line is seen")

    (band.folder / "go").touch()

    assert follower.wait(120) == 0
    assert "end of ice" in band.log("seen")
    assert "worker=1_0 left: left" in band.log("seen")


def test_a_worker_that_dies_ends_what_follows_its_task(band: Band) -> None:
    submit(band, SLOW, "--array", 1)
    (row,) = wait_for(
        lambda: [row for row in band.json("workers") if row["tasks"]], what="the task runs"
    )
    follower = band.start("-m", "slurmband", "logs", "bake", "-f", "--every", 0.1, log="seen")
    wait_for(lambda: "begin of bake" in band.log("seen"), what="its first line is seen")

    subprocess.run(["kill", "-KILL", str(row["pid"])], check=True)
    wait_for(
        lambda: band.json("reap-dead") or band.json("where", "bake")[0]["outcome"], what="reaped"
    )

    assert follower.wait(120) == 0
    assert band.log("seen").splitlines()[1:] == ["begin of bake"]


def test_the_attempt_that_is_followed_is_not_left_for_a_later_one(band: Band) -> None:
    submit(
        band,
        SLOW.replace('    print("end', '    assert task.attempt > 1\n    print("end'),
        *("--array", 1, "--max-failed-retries", 1),
    )
    wait_for(
        lambda: band.tasks()["bake"]["state"] == "running",
        what="the task runs",
    )
    follower = band.start("-m", "slurmband", "logs", "bake", "-f", "--every", 0.1, log="seen")
    wait_for(lambda: "begin of bake" in band.log("seen"), what="its first line is seen")

    (band.folder / "go").touch()

    assert follower.wait(120) == 0
    assert band.log("seen").splitlines()[1:] == ["begin of bake"]
    band.cli("wait")
    assert "end of bake" in logs(band, "bake").stdout


def test_lines_of_ranks_that_share_a_log_are_pointed_out(band: Band) -> None:
    submit(band, SLOW, "--array", 1, "--workers-per-element", 2)
    wait_for(lambda: len(band.json("workers")) == 2, what="both have come")  # one may come late
    wait_for(lambda: band.tasks()["bake"]["state"] == "running", what="the task runs")
    (band.folder / "go").touch()
    band.cli("wait")

    done = logs(band, "bake")

    assert "end of bake" in done.stdout
    assert "wrote to the same log meanwhile: lines may be theirs" in done.stderr


def test_the_log_of_a_job_that_never_became_a_worker_is_shown(band: Band) -> None:
    program = ("python", "-c", "print('no module named flour'); raise SystemExit(3)")
    band.cli("submit", "--cluster", "local", "--array", 1, "--wait", "--", *program, code=69)

    assert logs(band, "1_0").stdout == "no module named flour\n"


def test_a_log_that_is_gone_does_not_hide_the_others(band: Band) -> None:
    submit(band, PRINTING, "--array", 1, "--wait")
    submit(band, PRINTING.replace('"serve"', '"serve", "wash"'), "--array", 1, "--wait")
    (row,) = band.json("where", "bake")
    Path(row["log"]).unlink()

    done = logs(band, "bake", "wash", code=67)

    assert "end of wash" in done.stdout
    assert f"the log {row['log']} of attempt 1 of 'bake' cannot be read here" in done.stderr
    assert "Traceback" not in done.stderr
