"""Real processes that are killed, stopped and thawed: who beats, what is given back or refused."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmband.domain.attempts import Ending, Outcome
from slurmband.liveness.heartbeat import Heartbeat
from slurmband.store import queries, transitions
from slurmband.store.database import Store
from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

#: The dead are found soon, and nobody is taken for dead that merely waits for a busy machine.
QUICK = {"SLURMBAND_HEARTBEAT_INTERVAL": "0.2", "SLURMBAND_HEARTBEAT_TIMEOUT": "60"}
#: The silent are found soon as well.
WARY = QUICK | {"SLURMBAND_HEARTBEAT_TIMEOUT": "3"}

#: Runs until a file called "go" exists; holding the interpreter, if asked to.
HOLDING = """
import ctypes, os, time
from pathlib import Path
from slurmband import Task

def tasks():
    yield Task("only")

def run(task):
    Path(f"began-{task.attempt}").touch()
    if Path("busy").exists():
        ctypes.PyDLL(None).sleep(600)   # a C call that does not let go of the interpreter
    while not Path("go").exists():
        time.sleep(0.02)
    with open("done", "a") as done:
        done.write(f"{task.attempt}\\n")
"""


#: The same, and once more.
TWO = HOLDING.replace(
    'yield Task("only")', 'yield from (Task("only"), Task("next", dependencies=["only"]))'
)


def quick_heartbeat(folder: Path) -> Heartbeat:
    return Heartbeat(
        folder / "beat",
        interval=0.02,
        timeout=60.0,
        release=["true"],
        release_after=1e6,
        monotonic=time.monotonic,
    )


def beat_of(band: Band, worker: int = 1) -> str:
    return (band.folder / "slurmband.sqlite.d" / "beats" / str(worker)).read_text()


def guardian_of(pid: int) -> int | None:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread or a child that ends while we look
            for child in children.read_text().split():
                if b"guardian.py" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    return None


def begin(band: Band, *, log: str = "out", **environ: str) -> int:
    """Start a worker, wait until it is in its task, and return its pid."""
    process = band.worker("holding.py", log=log, **(QUICK | environ))
    wait_for((band.folder / "began-1").exists, what="the task began")
    return process.pid


def test_a_worker_that_holds_the_interpreter_goes_on_beating(band: Band) -> None:
    band.write("holding.py", HOLDING)
    (band.folder / "busy").touch()
    begin(band)

    first = beat_of(band)

    wait_for(lambda: beat_of(band) != first, what="another beat")


def test_a_worker_that_cannot_listen_is_released_by_its_guardian(band: Band) -> None:
    band.write("holding.py", HOLDING)
    (band.folder / "busy").touch()
    pid = begin(band, SLURMBAND_RELEASE_AFTER="0.3")

    os.kill(pid, signal.SIGTERM)  # to the worker alone, deep in a C call

    assert band.started[-1].wait(timeout=120) == -signal.SIGKILL
    (task,) = band.json("tasks")
    (worker,) = band.json("workers")
    assert (task["state"], task["reason"]) == ("ready", "drained")
    assert (worker["state"], worker["reason"]) == ("left", "drained")
    assert band.sql("SELECT deaths, failures FROM tasks") == [(0, 0)]


def test_a_worker_that_can_listen_finishes_what_fits(band: Band) -> None:
    band.write(
        "holding.py", HOLDING.replace('yield Task("only")', 'yield Task("only"); yield Task("b")')
    )
    pid = begin(band)

    os.kill(pid, signal.SIGUSR1)
    (band.folder / "go").touch()

    assert band.started[-1].wait(timeout=120) == 0
    assert {t: row["state"] for t, row in band.tasks().items()} == {
        "only": "completed",
        "b": "ready",
    }
    assert "leaves: SIGUSR1" in band.log()


def test_the_warning_does_not_kill_a_worker_that_is_not_up_yet(band: Band) -> None:
    band.write("holding.py", HOLDING)
    script = band.write("start.sh", "trap '' USR1\nkill -USR1 $$\nexec \"$@\"\n")
    (band.folder / "go").touch()

    worker = [sys.executable, "-m", "slurmband", "work", "holding.py"]
    done = subprocess.run(["bash", script, *worker], cwd=band.folder, env=band.environ, check=False)

    assert done.returncode == 0
    assert band.tasks()["only"]["state"] == "completed"


def test_a_guardian_that_dies_alone_is_started_again(band: Band) -> None:
    band.write("holding.py", HOLDING)
    pid = begin(band)
    guardian = wait_for(lambda: guardian_of(pid), what="a guardian")

    os.kill(guardian, signal.SIGKILL)

    another = wait_for(
        lambda: (g := guardian_of(pid)) not in (None, guardian) and g, what="another guardian"
    )
    before = beat_of(band)
    wait_for(lambda: beat_of(band) != before, what="a beat of the new guardian")
    blocked = Path(f"/proc/{another}/status").read_text().partition("SigBlk:\t")[2].split()[0]
    assert int(blocked, 16) == 0  # it hears the signals that its worker cannot


def test_a_guardian_dies_with_its_worker(band: Band) -> None:
    band.write("holding.py", HOLDING)
    pid = begin(band)
    guardian = wait_for(lambda: guardian_of(pid), what="a guardian")

    os.kill(pid, signal.SIGKILL)
    band.started[-1].wait()

    wait_for(lambda: not Path(f"/proc/{guardian}").exists(), what="the guardian ended")


@contextlib.contextmanager
def held_up(band: Band) -> Iterator[None]:
    """Have a worker be held up when it is about to report, by a file that does not answer."""
    begin(band, SLURMBAND_HEARTBEAT_TIMEOUT="1")
    notice, kept = band.folder / "slurmband.sqlite.d" / "notice", band.folder / "kept"
    notice.rename(kept)
    os.mkfifo(notice)  # to open or read it takes until somebody writes
    (band.folder / "go").touch()
    wait_for(lambda: "held up for" in band.log(), what="it is held up")
    yield
    with notice.open("r+b", buffering=0) as pipe:
        kept.replace(notice)
        pipe.write(b"go on".ljust(1000))
        wait_for(lambda: "next" in band.log(), what="it goes on")


def test_others_go_on_without_a_worker_that_is_held_up(band: Band) -> None:
    band.write("holding.py", TWO)
    judged: list[dict[str, object]] = [{}]

    with held_up(band):
        while judged[0].get("reason") is None:
            judged = band.json("reap-dead") or judged
        assert judged[0]["reason"] == "silent"
        assert band.tasks()["only"]["state"] == "completed"  # as its journal says

    assert band.started[0].wait(120) == 0
    assert (band.folder / "done").read_text() == 2 * "1\n"
    assert "going on as a new incarnation" in band.log()


def test_a_worker_that_was_held_up_beats_again(band: Band) -> None:
    band.write("holding.py", TWO)

    with held_up(band):
        (band.folder / "go").unlink()
        silent = beat_of(band)

    wait_for(lambda: beat_of(band) != silent, what="another beat")
    (band.folder / "go").touch()
    assert band.started[0].wait(120) == 0
    assert "incarnation" not in band.log()


def test_a_guardian_that_begins_in_silence_is_silent(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    file.touch()
    heartbeat = quick_heartbeat(tmp_path)

    def stands_still() -> bool:
        before = file.read_text()
        time.sleep(0.5)
        return file.read_text() == before

    wait_for(lambda: file.read_text() != "", what="a beat")
    heartbeat.hold_back()
    wait_for(stands_still, what="it is silent")
    first, silent = heartbeat.guardian_pid, file.read_text()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: heartbeat.guardian_pid != first, what="another guardian")
    wait_for(stands_still, what="this one is silent, too")
    heartbeat.go_on()

    wait_for(lambda: file.read_text() != silent, what="a beat")
    heartbeat.stop()


def test_a_guardian_that_begins_while_its_worker_leaves_is_ended(tmp_path: Path) -> None:
    (tmp_path / "beat").touch()
    heartbeat = quick_heartbeat(tmp_path)
    first, start = heartbeat.guardian_pid, heartbeat._start
    begins, leaving = threading.Event(), threading.Event()

    def start_slowly() -> "subprocess.Popen[bytes]":
        begins.set()
        assert leaving.wait(30)
        return start()

    heartbeat._start = start_slowly  # type: ignore[method-assign]  # to leave just then
    os.kill(first, signal.SIGKILL)
    assert begins.wait(30)
    threading.Timer(0.2, leaving.set).start()
    heartbeat.stop()

    assert heartbeat.guardian_pid != first
    assert not Path(f"/proc/{heartbeat.guardian_pid}").exists()


def test_a_killed_workers_task_is_taken_up_by_one_that_waits(band: Band) -> None:
    band.write("holding.py", HOLDING)
    pid = begin(band)
    other = band.worker("holding.py", log="other", **QUICK)
    wait_for(lambda: "joined" in band.log("other"), what="the other joined")

    os.kill(pid, signal.SIGKILL)
    wait_for((band.folder / "began-2").exists, what="the second attempt began")
    (band.folder / "go").touch()

    assert other.wait(timeout=120) == 0
    rows = band.json("where", "only")
    assert [(row["outcome"], row["reason"]) for row in rows] == [
        ("killed", "killed"),
        ("completed", None),
    ]


def test_a_frozen_worker_is_lost_and_its_late_report_refused(band: Band) -> None:
    band.write("holding.py", HOLDING)
    pid = begin(band, log="frozen", **WARY)
    other = band.worker("holding.py", log="other", **WARY)
    os.kill(pid, signal.SIGSTOP)
    wait_for((band.folder / "began-2").exists, what="the second attempt began")

    (band.folder / "go").touch()
    assert other.wait(timeout=120) == 0
    os.kill(pid, signal.SIGCONT)

    assert band.started[0].wait(timeout=120) == 0
    assert "was judged lost (silent)" in band.log("frozen")
    assert "task=only attempt=1: the report was refused" in band.log("frozen")
    rows = band.json("where", "only")
    assert [row["outcome"] for row in rows] == ["killed", "completed"]
    assert rows[0]["reason"] == "silent"


def test_a_frozen_worker_is_found_by_one_that_is_in_a_long_task(band: Band) -> None:
    band.write("holding.py", HOLDING.replace('Task("only")', 'from (Task("a"), Task("b"))'))
    pid = begin(band, log="frozen", **WARY)
    held = [name for name, row in band.tasks().items() if row["state"] == "running"]
    other = band.worker("holding.py", log="other", **WARY)
    wait_for(
        lambda: all(row["state"] == "running" for row in band.tasks().values()),
        what="both tasks began",
    )

    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: band.tasks()[held[0]]["state"] == "ready", what="the frozen one was found")

    (band.folder / "go").touch()
    assert other.wait(timeout=120) == 0
    os.kill(pid, signal.SIGCONT)
    assert band.started[0].wait(timeout=120) == 0
    assert [row["outcome"] for row in band.json("where", held[0])] == ["killed", "completed"]


def test_a_frozen_worker_whose_task_still_runs_elsewhere_changes_nothing(band: Band) -> None:
    band.write("holding.py", HOLDING)
    pid = begin(band, log="frozen", **WARY)
    other = band.worker("holding.py", log="other", **WARY)
    os.kill(pid, signal.SIGSTOP)
    wait_for((band.folder / "began-2").exists, what="the second attempt began")
    os.kill(other.pid, signal.SIGSTOP)  # so that the first to finish is the sleeper

    (band.folder / "go").touch()
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: "refused" in band.log("frozen"), what="the report was refused")
    os.kill(other.pid, signal.SIGCONT)

    wait_for(lambda: band.tasks()["only"]["state"] == "completed", what="the task completed")
    assert [row["outcome"] for row in band.json("where", "only")].count("completed") == 1


def test_a_claim_that_was_taken_from_a_living_worker_is_refused_and_it_goes_on(band: Band) -> None:
    band.write("holding.py", HOLDING)
    begin(band)
    store = Store(band.folder / "slurmband.sqlite")
    with store.transaction() as tx:
        (held,) = queries.open_claims(tx, 1)
        transitions.close(tx, held, Ending(Outcome.RELEASED, "by hand"), now=1.0)

    (band.folder / "go").touch()

    assert band.started[-1].wait(timeout=120) == 0
    assert "task=only attempt=1: the report was refused" in band.log()
    rows = band.json("where", "only")
    assert [(row["outcome"], row["worker"]) for row in rows] == [
        ("released", rows[0]["worker"]),
        ("completed", rows[0]["worker"]),
    ]


def test_work_that_ended_but_was_not_reported_is_not_done_again(band: Band) -> None:
    band.write("holding.py", HOLDING)
    pid = begin(band)
    # Whoever holds the database keeps the worker from reporting, not from finishing.
    blocker = band.start(
        "-c",
        "import time\nfrom slurmband.store.database import Store\n"
        "with Store('slurmband.sqlite').transaction():\n"
        "    open('holding-db', 'w').close()\n    time.sleep(600)\n",
    )
    wait_for((band.folder / "holding-db").exists, what="the database is held")

    (band.folder / "go").touch()
    journal = band.folder / "slurmband.sqlite.d" / "journals" / "1.jsonl"
    wait_for(lambda: '"ended"' in journal.read_text(), what="the journal has the end")
    os.kill(pid, signal.SIGKILL)
    blocker.kill()
    blocker.wait()
    found = band.json("reap-dead")

    assert [row["tasks"] for row in found] == [["only (completed)"]]
    assert (band.folder / "done").read_text() == "1\n"
    assert band.tasks()["only"]["state"] == "completed"


def test_a_dry_run_judges_and_changes_nothing(band: Band) -> None:
    band.write("holding.py", HOLDING)
    pid = begin(band)
    os.kill(pid, signal.SIGKILL)
    band.started[-1].wait()

    (row,) = band.json("reap-dead", "--dry-run")

    assert (row["verdict"], row["reason"]) == ("would be lost", "killed")
    assert band.json("status")["workers"]["alive"] == 1
    assert band.tasks()["only"]["state"] == "running"


def test_a_living_worker_is_never_judged(band: Band) -> None:
    band.write("holding.py", HOLDING)
    begin(band)

    assert band.json("reap-dead") == []

    assert band.json("status")["workers"]["alive"] == 1


def test_a_task_that_kills_its_workers_is_stopped(band: Band) -> None:
    band.write(
        "poison.py",
        "import os, signal\nfrom slurmband import Task\n"
        "def tasks():\n    yield Task('poison')\n"
        "def run(task):\n    os.kill(os.getpid(), signal.SIGKILL)\n",
    )

    for _ in range(3):
        band.worker("poison.py", SLURMBAND_MAX_KILLED_RETRIES="1", **QUICK).wait()
        band.cli("reap-dead")

    task = band.tasks()["poison"]
    assert (task["state"], task["attempts"]) == ("killed", 2)
