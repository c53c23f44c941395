"""slurmband doctor --restore, from the damage to the end of the study."""

from pathlib import Path
from typing import Any

import pytest

from slurmband.domain.budgets import Budgets
from slurmband.domain.graph import check
from slurmband.domain.task import Task
from slurmband.store import registration
from slurmband.store.database import Store
from tests.integration.band import Band, busy_workers, wait_for

pytestmark = pytest.mark.integration

FLOW = """
import os, pathlib, time
from slurmband import Task

def tasks():
    yield Task("a")
    yield Task("b", dependencies={"a"})

def run(task):
    with open(f"ran-{task.id}", "a") as ran:
        ran.write("x")
    while task.id == "b" and not pathlib.Path("go").exists():
        time.sleep(0.05)
"""


@pytest.fixture(params=["local", "shared"])
def band(request: pytest.FixtureRequest, band: Band) -> Band:
    band.environ["SLURMBAND_MODE"] = request.param
    band.write("flow.py", FLOW)
    return band


def back_up(band: Band) -> str:
    store = Store(band.folder / "slurmband.sqlite")
    target = store.layout.backups / "2026-01-31T080000Z.sqlite"
    store.copy(target)
    store.close()
    return target.name


def states(band: Band) -> dict[str, Any]:
    return {name: row["state"] for name, row in band.tasks().items()}


def test_a_study_goes_on_from_a_backup(band: Band) -> None:
    worker = band.worker("flow.py")
    wait_for(lambda: (band.folder / "ran-b").exists(), what="b runs")
    backup = back_up(band)

    refused = band.cli("doctor", "--restore", backup, code=64)
    assert "these workers are alive" in refused.stderr

    (band.folder / "go").touch()
    assert worker.wait(120) == 0
    assert states(band) == {"a": "completed", "b": "completed"}
    (listed,) = band.json("doctor", "--restore")
    assert (listed["backup"], listed["completed"], listed["tasks"]) == (backup, 1, 2)

    said = band.cli("doctor", "--restore", backup).stdout

    assert "with 1 of 2 tasks completed" in said
    assert states(band) == {"a": "completed", "b": "running"}
    # The worker of the backup is gone, and its journal knows that b has ended: it is not done again.
    band.cli("reap-dead")
    assert states(band) == {"a": "completed", "b": "completed"}
    assert (band.folder / "ran-b").read_text() == "x"
    assert by_name(band.json("doctor"))["database"]["level"] == "ok"


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in report["findings"]}


def test_what_began_after_the_backup_runs_again_and_no_old_journal_counts(band: Band) -> None:
    band.cli("submit", "--cluster", "local", "--array", 1, "flow.py", SLURMBAND_MODE=mode(band))
    wait_for(lambda: busy_workers(band, 1), what="a worker is at b")
    (band.folder / "go").touch()
    band.cli("wait")
    band.wait_until_over()
    file = (band.folder / "slurmband.sqlite").resolve()
    before_all = empty_backup(band)
    file.write_bytes(b"\xff" * 9000)

    band.cli("doctor", code=73)
    band.cli("doctor", "--restore", before_all)

    assert states(band) == {"a": "ready", "b": "waiting"}
    band.cli("work", "flow.py")
    assert states(band) == {"a": "completed", "b": "completed"}
    assert ((band.folder / "ran-a").read_text(), (band.folder / "ran-b").read_text()) == (
        "xx",
        "xx",
    )


def mode(band: Band) -> str:
    return band.environ["SLURMBAND_MODE"]


def empty_backup(band: Band) -> Path:
    """Take a backup of the same graph before anybody has worked."""
    store = Store(band.folder / "fresh.sqlite", mode=mode(band), create=True)
    graph = check([Task("a"), Task("b", dependencies=frozenset({"a"}))])
    with store.transaction() as tx:
        registration.register(tx, graph, budgets=Budgets(None, None), new_revision=True, now=1.0)
    target = band.folder / "backup.sqlite"
    store.copy(target)
    store.close()
    return target
