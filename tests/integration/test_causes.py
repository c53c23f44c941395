"""Why workers died is asked of SLURM's commands: once for all, and again for what was not known then."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slurmband.domain.attempts import Reason
from slurmband.domain.processes import Fate
from slurmband.liveness.inquiry import ASK_EVERY, causes_for
from slurmband.liveness.reaper import Reaper, Report
from slurmband.store.database import Store
from tests.fakes.commands import FakeSlurm, installed
from tests.integration.band import Band, wait_for
from tests.store.builders import Bench, element, task

pytestmark = pytest.mark.integration

HOLDING = """
import time
from pathlib import Path
from slurmband import Task

def tasks():
    yield Task("only")

def run(task):
    Path("began").touch()
    while True:
        time.sleep(0.05)
"""
MANY = 30


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    environ: dict[str, str] = {}
    fake = installed(tmp_path, environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return fake


def bench_of(folder: Path, dead: int) -> Bench:
    """Make a band in which so many workers hold a task each, and are dead."""
    bench = Bench(Store(folder / "slurmband.sqlite", mode="local", create=True))
    bench.register(*(task(f"t{n}") for n in range(dead)), killed=0)
    for n in range(dead):
        bench.claim(bench.arrive(element(array_task_id=n, job_id=37 + n)))
    return bench


def reap_together(database: Path, now: float, *, count: int = 6) -> list[Report]:
    """Let so many workers look after the dead at one moment, each as a process of its own would."""

    def reap(_number: int) -> Report:
        store = Store(database, mode="local")
        causes = causes_for(store, lambda: now)
        reaper = Reaper(store, lambda _: {}, causes.of, lambda _: Fate.GONE, lambda: now)
        try:
            return reaper.run_once()
        finally:
            store.close()

    with ThreadPoolExecutor(count) as together:
        return list(together.map(reap, range(count)))


def queue_of(state: str, restarts: int = 0) -> str:
    return "".join(f"36|{n}|{37 + n}|{state}|{restarts}|0|\n" for n in range(MANY))


def test_all_that_died_are_asked_about_once_by_one_of_many(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    bench = bench_of(tmp_path, MANY)
    slurm.set(queue=queue_of("RUNNING"))

    reap_together(tmp_path / "slurmband.sqlite", now=1000.0)
    reap_together(tmp_path / "slurmband.sqlite", now=1000.0 + ASK_EVERY - 1)
    assert slurm.called == ["squeue"]
    assert bench.rows("SELECT DISTINCT status, reason, unexplained FROM workers") == [
        ("lost", "killed", 1)
    ]

    slurm.set(queue=queue_of("OUT_OF_MEMORY"))
    reports = reap_together(tmp_path / "slurmband.sqlite", now=1000.0 + ASK_EVERY)
    reap_together(tmp_path / "slurmband.sqlite", now=2000.0)

    assert slurm.called == ["squeue", "squeue"]
    asked = slurm.state["calls"][-1]
    assert len(asked[asked.index("-j") + 1].split(",")) == MANY
    assert sum(len(report.explained) for report in reports) == MANY
    assert bench.rows("SELECT DISTINCT reason, unexplained FROM workers") == [("out of memory", 0)]
    bench.store.close()


def test_accounting_is_asked_in_one_call_why_all_were_requeued(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    bench = bench_of(tmp_path, MANY)
    rows = "36_{}|2026-11-22T00:36:25|PREEMPTED|0:0\n36_{}|2026-11-22T00:36:45|RUNNING|0:0\n"
    slurm.set(
        queue=queue_of("RUNNING", 1), accounts="".join(rows.format(n, n) for n in range(MANY))
    )

    reap_together(tmp_path / "slurmband.sqlite", now=1000.0, count=1)

    assert slurm.called == ["squeue", "sacct"]
    assert bench.rows("SELECT DISTINCT reason, unexplained FROM workers") == [("preempted", 0)]
    bench.store.close()


def test_who_is_not_explained_for_long_is_given_up(tmp_path: Path, slurm: FakeSlurm) -> None:
    bench = bench_of(tmp_path, 1)
    slurm.set(squeue="down")

    for minute in range(12):
        reap_together(tmp_path / "slurmband.sqlite", now=1000.0 + 60 * minute, count=1)

    assert len(slurm.called) == 11  # ten minutes, and the first
    assert bench.rows("SELECT reason, unexplained FROM workers") == [("killed", 0)]
    bench.store.close()


def test_a_band_on_this_machine_asks_nobody(tmp_path: Path, slurm: FakeSlurm) -> None:
    bench = Bench(Store(tmp_path / "slurmband.sqlite", mode="local", create=True))
    bench.register(task("only"))
    bench.arrive(element(cluster="local"))

    reap_together(tmp_path / "slurmband.sqlite", now=1000.0, count=1)

    assert slurm.called == []
    assert bench.rows("SELECT reason, unexplained FROM workers") == [("killed", 0)]
    bench.store.close()


# --- as people see it ---------------------------------------------------------------------------------


def test_a_person_learns_what_killed_a_worker_when_slurm_knows(band: Band) -> None:
    fake = installed(band.folder, band.environ)
    band.write("holding.py", HOLDING)
    ids = {"JOB_ID": "37", "ARRAY_JOB_ID": "36", "ARRAY_TASK_ID": "1", "CLUSTER_NAME": "thunder"}
    process = band.worker("holding.py", **{f"SLURM_{name}": value for name, value in ids.items()})
    wait_for((band.folder / "began").exists, what="the task began")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    fake.set(queue="36|1|37|COMPLETING|0|0|\n")
    (lost,) = band.json("reap-dead")
    assert (lost["verdict"], lost["reason"], lost["tasks"]) == ("lost", "killed", ["only (killed)"])
    assert "`slurmband reap-dead` asks SLURM again why 1 worker died" in band.cli("status").stdout

    fake.set(queue="36|1|37|PREEMPTED|0|0|\n")
    (would,) = band.json("reap-dead", "--dry-run")
    assert (would["verdict"], would["reason"]) == ("would be explained", Reason.PREEMPTED)
    said = band.cli("reap-dead").stdout

    assert "explained" in said
    assert "only (released)" in said
    assert band.json("reap-dead") == []
    (attempt,) = band.json("where", "only")
    assert (attempt["outcome"], attempt["reason"]) == ("released", "preempted")
    status = band.json("status")
    assert status["unexplained"] == 0
    assert [(row["command"], row["n"]) for row in status["questions"]] == [("squeue", 3)]
    assert status["questions"][0]["asked"].endswith("Z")
    assert "asked     squeue 3 times, last at" in band.cli("status", "--verbose").stdout
    assert "squeue" not in band.cli("status").stdout


def test_before_anything_was_asked_status_says_so(band: Band) -> None:
    band.write("holding.py", HOLDING)
    band.cli("submit", "--cluster", "local", "--array", "0-0", "holding.py")

    assert "asked     SLURM was asked nothing" in band.cli("status", "-v").stdout
