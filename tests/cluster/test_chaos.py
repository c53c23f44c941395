"""Bands on NFS nodes, and what a nemesis does to them: nothing is lost, doubled or out of order."""

import os
import time
from pathlib import Path

import pytest

from tests.cluster.ground import LocalGround
from tests.cluster.lab import Cluster
from tests.cluster.nemesis import OF_THE_NETWORK, Fault, Nemesis
from tests.cluster.trial import Plan, Verdict, run
from tests.cluster.uml import ClusterGround

#: How long the nemesis goes on; the short form is one band, and each kind of fault once.
MINUTES = float(os.environ.get("SLURMBAND_NEMESIS_MINUTES", "0"))
#: Seconds of silence that no fault makes, however busy this machine is.
NOBODY_IS_LOST = 30.0
FOR_LONG = pytest.mark.timeout(900 + 60 * MINUTES)


def seed() -> int:
    """Return the seed, and have pytest show it when the test fails."""
    chosen = int(os.environ.get("SLURMBAND_SEED", time.time_ns() % 10_000))
    print(f"SLURMBAND_SEED={chosen}")
    return chosen


def assert_well(verdict: Verdict) -> None:
    for act in verdict.acts:
        print(act)
    if verdict.wrong:
        show_where_all_stand(Path(verdict.folder))
    assert verdict.wrong == [], f"seed {verdict.plan.seed}, files in {verdict.folder}"
    assert verdict.attempts["completed ()"] == verdict.plan.tasks


def show_where_all_stand(band: Path) -> None:
    """Print what was written down of a stuck band, before all of it is removed."""
    for file in sorted(band.parent.parent.glob(f"{band.name}-node*")):
        print(f"--- {file.name}\n{file.read_text()}")
    server = band.parent.parent / "logs" / "ganesha.log"
    for log in [server, *sorted((band / "logs").glob("*.log"))]:
        print(f"--- {log.name}", *log.read_text().splitlines()[-40:], sep="\n")


@pytest.mark.cluster
@FOR_LONG
def test_nodes_without_a_fault_do_everything_once(cluster: Cluster) -> None:
    tasks = 600 if MINUTES else 300
    verdict = run(
        ClusterGround(cluster), Plan(seed(), tasks=tasks, seconds=0.2, timeout=NOBODY_IS_LOST)
    )

    assert_well(verdict)
    if not verdict.acts:  # neither a node nor the server failed by itself
        assert (verdict.attempts, verdict.generation) == ({"completed ()": tasks}, 1)


@pytest.mark.cluster
@FOR_LONG
def test_nodes_with_a_nemesis_do_everything_once(cluster: Cluster) -> None:
    start, first = time.monotonic(), seed()
    verdicts: list[Verdict] = []
    while not verdicts or time.monotonic() < start + 60 * MINUTES:
        plan = Plan(first + len(verdicts), tasks=400, seconds=1.0)
        verdicts.append(run(ClusterGround(cluster), plan, Nemesis.once_each))
        assert_well(verdicts[-1])

    assert {act.fault for verdict in verdicts for act in verdict.acts} == set(Fault)
    # Otherwise nothing was tried.
    assert any("killed (silent)" in verdict.attempts for verdict in verdicts)


@pytest.mark.integration
@FOR_LONG
def test_processes_with_a_nemesis_do_everything_once(tmp_path: Path) -> None:
    ground = LocalGround(tmp_path, nodes=3)
    plan = Plan(seed(), tasks=250, seconds=0.5, workers=2, layers=42, interval=0.3, timeout=1.5)
    try:
        verdict = run(ground, plan, Nemesis.once_each)
    finally:
        ground.close()

    assert_well(verdict)
    assert {act.fault for act in verdict.acts} == set(Fault) - OF_THE_NETWORK
    assert verdict.refused  # the frozen ones came back too late
