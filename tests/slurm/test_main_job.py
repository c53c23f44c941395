"""The main job on a real SLURM: an array runs a trace to its end, also while elements die under it."""

import os
import signal
from pathlib import Path

import pytest

from tests.integration.band import (
    REPLAY,
    ROOT,
    SMALL_TRACE,
    Band,
    busy_workers,
    check_history,
    wait_for,
)
from tests.slurm.conftest import queued, slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]

#: A real trace of 310 tasks, where it is at hand; a clone has only the small one.
MONTAGE = ROOT.parent / "shared" / "data" / "wfinstances" / "montage-chameleon-2mass-015d-001.json"
needs_montage = pytest.mark.skipif(not MONTAGE.is_file(), reason=f"no trace at {MONTAGE}")

TRACES = [
    pytest.param(SMALL_TRACE, 20, 0.2, id="small trace, 20 elements"),
    pytest.param(MONTAGE, 100, 0.05, id="Montage, 100 elements", marks=needs_montage),
]
FORCED = [
    pytest.param(SMALL_TRACE, 20, 3.0, id="small trace, 20 elements"),
    pytest.param(MONTAGE, 100, 1.0, id="Montage, 100 elements", marks=needs_montage),
]


@pytest.mark.parametrize(("trace", "elements", "scale"), TRACES)
def test_an_array_runs_a_trace_to_its_end(
    cluster: Band, trace: Path, elements: int, scale: float
) -> None:
    log = cluster.folder / "log"

    cluster.cli(
        *("submit", "--array", elements, "--wait"),
        *(REPLAY, trace, "--scale", scale, "--log", log),
    )

    check_history(cluster, trace, log)
    wait_for(lambda: not queued(cluster), what="the elements are over")
    workers = cluster.json("workers")
    assert {row["state"] for row in workers} == {"left"}
    assert len(workers) == elements


@pytest.mark.parametrize(("trace", "elements", "scale"), FORCED)
def test_nothing_is_lost_or_done_twice_when_elements_die(
    cluster: Band, trace: Path, elements: int, scale: float
) -> None:
    log = cluster.folder / "log"
    program = (REPLAY, trace, "--scale", scale, "--log", log)
    cluster.cli("submit", "--array", elements, *program)

    busy = wait_for(
        lambda: busy_workers(cluster, 12), what="twelve elements have a task", seconds=120
    )
    for row in busy[:10]:
        os.kill(row["pid"], signal.SIGKILL)
    slurm(cluster, "scontrol", "requeue", busy[10]["element"])
    slurm(cluster, "scancel", busy[11]["element"])
    cluster.cli("reap-dead")
    cluster.cli("submit", "--array", elements, "--wait", *program)

    check_history(cluster, trace, log)
    ends = {row["worker"]: row["reason"] for row in cluster.json("workers")}
    assert {ends[row["worker"]] for row in busy[:10]} == {"killed"}
    # These two were told by SIGTERM, and may have finished their task and left in time.
    assert ends[busy[10]["worker"]] in ("requeued", "killed", "drained")
    assert ends[busy[11]["worker"]] in ("cancelled", "killed", "drained")
