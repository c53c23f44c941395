"""Tasks per second of twelve workers on three nodes that share a database over NFS."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import peers
from benchmarks.figures import Figure, median, skipped
from benchmarks.how import Contender, How
from benchmarks.places import Nodes
from benchmarks.runners import Run, jug, laufband, slurmband
from tests.cluster.lab import Cluster

WORKERS: Final = 12
#: Tasks of the peers, too; and, for slurmband alone, so many that beginning and ending count for little.
SIZE: Final = 500
MANY: Final = 5000
#: Tasks of a second for each worker.
EACH: Final = 40
#: Tasks per second, and the share of the workers' time that tasks of a second are to have.
TARGET_RATE: Final = 300.0
TARGET_SHARE: Final = 95.0
#: Milliseconds per task that a hundred workers on NFS may cost.
TARGET: Final = 50.0
#: laufband does one or two a second there.
TASKS_OF_LAUFBAND: Final = 100
#: What `scripts/cluster` makes while a cluster runs, of which there can be one.
RUNNING: Final = Path("/run/slurmband-cluster")


def measure(how: How) -> list[Figure]:
    """Measure on a cluster of several kernels on this machine, see ``scripts/cluster``.

    Figures of it compare only with others of it: system calls are slow in its nodes.

    Parameters
    ----------
    how : How
    """
    what = f"tasks per second on NFS, 3 nodes, {WORKERS} workers"
    if how.quick:
        return [skipped(what, "not in the quick form")]
    if RUNNING.exists():
        return [skipped(what, f"a cluster runs already, or left {RUNNING} behind")]
    with _cluster() as cluster:
        if isinstance(cluster, str):
            return [skipped(what, cluster)]
        return [*_measure(how, cluster, what), *_alone(how, cluster)]


def _measure(how: How, cluster: Cluster, what: str) -> list[Figure]:
    nodes = Nodes(cluster)
    figures = []
    for name, run in _contenders(how).items():
        size = TASKS_OF_LAUFBAND if name == "laufband" else SIZE
        graph = f"layered:{size}:5"
        runs = []
        for turn in how.repeats(3 if name == "slurmband" else 1):
            folder = cluster.make_folder(f"{name}-{turn}")
            if done := how.run(name, run, graph, WORKERS, (nodes, folder / "band")):
                runs.append(done)
        if not runs:
            continue
        costs = [1000 * run.wall / size for run in runs]
        figures += [
            Figure(
                what=what,
                value=median([run.tasks_per_second for run in runs]),
                unit="/s",
                of=name,
                repeats=[run.tasks_per_second for run in runs],
                better="more",
                note=f"{graph} on NFSv4.1 between kernels of User Mode Linux. {runs[0].how}",
            ),
            Figure(
                what=f"cost per task on NFS, 3 nodes, {WORKERS} workers",
                value=median(costs),
                unit="ms",
                of=name,
                repeats=costs,
                better="less",
                target=TARGET if name == "slurmband" else None,
            ),
        ]
    return figures


def _alone(how: How, cluster: Cluster) -> list[Figure]:
    """Measure slurmband where its claims in hand count: many tasks, and tasks of a second."""

    def run(graph: str) -> Run:
        done = how.run(
            "slurmband",
            slurmband.run,
            graph,
            WORKERS,
            (Nodes(cluster), cluster.make_folder(f"slurmband-{graph.replace(':', '-')}") / "band"),
        )
        assert done is not None
        return done

    figures = [
        Figure(
            what=f"tasks per second on NFS, {graph}",
            value=run(graph).tasks_per_second,
            unit="/s",
            of="slurmband",
            better="more",
            target=TARGET_RATE if graph.startswith("independent") else None,
        )
        for graph in (f"independent:{MANY}", f"layered:{MANY}:5")
    ]
    done = run(f"independent:{EACH * WORKERS}:1")
    return [
        *figures,
        Figure(
            what=f"share of the workers' time in tasks of 1 s on NFS, {EACH} for each",
            value=100 * in_tasks(done) / (WORKERS * done.wall),
            unit="%",
            of="slurmband",
            better="more",
            target=TARGET_SHARE,
        ),
    ]


def in_tasks(run: Run) -> float:
    """Return for how many seconds the workers were in tasks, all together."""
    assert run.done is not None
    return float(
        sum(
            ended - began
            for notes in run.done.workers
            for began, ended in zip(notes["began"], notes["ended"], strict=True)
        )
    )


def _contenders(how: How) -> dict[str, Contender]:
    python = peers.python_of(how.peers)
    known: dict[str, Contender] = {
        "slurmband": slurmband.run,
        "jug": partial(jug.run, python=python),
        "laufband": partial(laufband.run, python=python),
    }
    return {name: run for name, run in known.items() if name not in how.missing}


@contextmanager
def _cluster() -> Iterator[Cluster | str]:
    """Give a cluster that is up, or say why there is none."""
    made = Cluster(Path(tempfile.mkdtemp(prefix="slurmband-benchmark-cluster-", dir="/tmp")))
    up = made.up("--no-slurm")
    if up.returncode != 0:
        yield f"no cluster of several kernels here: {up.stderr.strip()}"
        return
    try:
        yield made
    finally:
        made.down()
        shutil.rmtree(made.folder, ignore_errors=True)
