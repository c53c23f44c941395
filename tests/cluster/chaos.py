"""Bands with a nemesis, one after the other, on the cluster of ``scripts/cluster``.

``python -m tests.cluster.chaos --minutes 30 --seed 7``; with ``--local`` on processes of this machine:
each band has the next seed, and every other one a graph so wide that workers hold many claims. What was
done and the verdict are printed as JSON; the status is 1 if anything is wrong, and then that band is the
last and its files are kept.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.ground import Ground, LocalGround
from tests.cluster.lab import Cluster
from tests.cluster.nemesis import Nemesis
from tests.cluster.trial import Plan, Verdict, run
from tests.cluster.uml import ClusterGround

NODES = 3


def main() -> int:
    """Run bands until the time is over, print what became of them, and say whether all is well."""
    given = _arguments()
    faults = None if given.calm else Nemesis.until_over
    verdicts: list[Verdict] = []
    end = time.monotonic() + 60 * given.minutes
    with _local(given.dir) if given.local else _kernels(given.dir) as ground:
        while not verdicts or (time.monotonic() < end and not verdicts[-1].wrong):
            plan = _plan(given, given.seed + len(verdicts))
            verdicts.append(run(ground, plan, faults))
            print(json.dumps(verdicts[-1].as_json()), file=sys.stderr, flush=True)
    ok = not any(verdict.wrong for verdict in verdicts)
    print(json.dumps({"ok": ok, "bands": [verdict.as_json() for verdict in verdicts]}, indent=1))
    return 0 if ok else 1


def _plan(given: argparse.Namespace, seed: int) -> Plan:
    """Make a narrow graph for an even seed, and for an odd one a wide one of short tasks."""
    if seed % 2:
        return Plan(seed, tasks=4 * given.tasks, layers=8, seconds=given.seconds / 4)
    return Plan(seed, tasks=given.tasks, seconds=given.seconds)


@contextmanager
def _local(folder: Path) -> Iterator[Ground]:
    ground = LocalGround(folder / "share", NODES)
    try:
        yield ground
    finally:
        ground.close()


@contextmanager
def _kernels(folder: Path) -> Iterator[Ground]:
    cluster = Cluster(folder, nodes=range(1, NODES + 1))
    up = cluster.up("--no-slurm")
    if up.returncode != 0:
        sys.exit(f"no cluster: {up.stderr}")
    try:
        yield ClusterGround(cluster)
    finally:
        cluster.down()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no band after (30)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000, help="of the first")
    parser.add_argument("--tasks", type=int, default=600, help="in each band (600)")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a task takes, about (1)")
    parser.add_argument("--dir", type=Path, default=Path("/tmp/slurmband-chaos"))
    parser.add_argument(
        "--local", action="store_true", help="processes of this machine, no kernels"
    )
    parser.add_argument("--calm", action="store_true", help="no nemesis")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
