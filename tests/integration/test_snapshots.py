"""Who only looks takes no lock, and needs no right to write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slurmband.store.database import Store
from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

WORKFLOW = """
import time
from pathlib import Path
from slurmband import Task

def tasks():
    return [Task(f"bake-{number}") for number in range(3)]

def run(task):
    while task.id == "bake-2" and not Path("enough").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def baking(band: Band) -> Band:
    """Return a band in shared mode with a worker in its last task, which has done two."""
    band.write("workflow.py", WORKFLOW)
    band.start(
        *("-m", "slurmband", "work", "workflow.py"),
        SLURMBAND_MODE="shared",
        SLURMBAND_HEARTBEAT_INTERVAL="0.2",
        SLURMBAND_HEARTBEAT_TIMEOUT="20",
    )
    wait_for(
        lambda: (
            (band.folder / "slurmband.sqlite.d/snapshot.json").exists()
            and band.json("status")["tasks"]["completed"] == 2
        ),
        what="two tasks completed, as the snapshot says",
    )
    return band


def test_status_is_read_while_somebody_holds_the_lock(baking: Band) -> None:
    with Store(baking.folder / "slurmband.sqlite").guard():
        status = baking.json("status")

    assert status["as_of"] is not None
    assert (status["mode"], status["generation"]) == ("shared", 1)
    assert status["tasks"]["completed"] == 2
    assert status["tasks"]["running"] == 1
    assert status["workers"]["alive"] == 1


def test_the_end_is_published_at_once(baking: Band) -> None:
    (baking.folder / "enough").touch()

    wait_for(
        lambda: (
            (s := baking.json("status"))["tasks"]["completed"] == 3 and s["workers"]["left"] == 1
        ),
        what="the end in the snapshot",
    )


def test_asked_for_now_it_counts_itself(baking: Band) -> None:
    assert baking.json("status", "--now")["as_of"] is None


def test_without_a_snapshot_it_counts_itself(baking: Band) -> None:
    (baking.folder / "slurmband.sqlite.d/snapshot.json").unlink()

    assert baking.json("status")["tasks"]["completed"] == 2


_AS_A_COLLEAGUE = """
import json, os, sys
from slurmband.cli.common import open_store  # all before: this Python may lie where only root may read
from slurmband.observe.status import status
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(json.dumps(status(sys.argv[1], open_store=open_store)))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("mode", ["local", "shared"])
def test_a_colleague_who_may_only_read_sees_it(tmp_path: Path, mode: str, band: Band) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o001)  # pytest closes its folders to others
    band.write("workflow.py", WORKFLOW)
    (band.folder / "enough").touch()
    band.cli("work", "workflow.py", SLURMBAND_MODE=mode)
    database = band.folder / "slurmband.sqlite"
    before = sorted(path.name for path in database.parent.rglob("*"))

    ran = subprocess.run(
        [sys.executable, "-c", _AS_A_COLLEAGUE, str(database)], capture_output=True, text=True
    )

    assert (ran.returncode, '"completed": 3' in ran.stdout) == (0, True), ran.stderr
    assert sorted(path.name for path in database.parent.rglob("*")) == before
