"""Cost of a task on a file system of which each operation takes a millisecond, for a hundred workers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import lock_times, simulated, slow_files
from benchmarks.figures import Figure, median, skipped
from benchmarks.how import How
from benchmarks.places import Here
from benchmarks.runners import Run, slurmband

#: Seconds that each operation takes.
DELAY: Final = 0.001
#: Milliseconds per task that it may cost, and in graphs of fewer tasks than `FEW`.
TARGET: Final = 50.0
TARGET_OF_FEW: Final = 100.0
FEW: Final = 500


@dataclass(frozen=True)
class Crowd:
    """Workers on some nodes.

    Parameters
    ----------
    nodes : int
        One: the machine itself.
    lock, key : str
        The lock that keeps all of them apart, for people and in the workers' notes.
    """

    nodes: int
    lock: str
    key: str

    @property
    def name(self) -> str:
        """Where they are."""
        return "one node" if self.nodes == 1 else f"{self.nodes} nodes"


def measure(how: How) -> list[Figure]:
    """Measure the same graphs on one node and on several, in shared mode.

    Each operation on the band's files is slow, each read and write of a page as well: as if the node
    kept no copy of anything. So it is worse than NFS with as long a way to its server. The processors of
    one machine do the work of all nodes: it must have some to spare.

    Parameters
    ----------
    how : How
    """
    figures = []
    with tempfile.TemporaryDirectory(prefix="slurmband-benchmark-", dir=how.folder) as folder:
        try:
            library = slow_files.build(Path(folder))
        except slow_files.NoCompiler as error:
            return [skipped("cost per task on slow files", str(error))]
        between = ("the lock between nodes", lock_times.HELD_BETWEEN_NODES)
        for crowd in (
            Crowd(1, "the lock of the node", lock_times.HELD_ON_NODE),
            Crowd(how.pick(10, 2), *between),
        ):
            try:
                with _place(crowd, Path(folder)) as place:
                    figures += _measure(how, crowd, place, library)
            except simulated.NoNodes as error:
                figures.append(skipped(f"cost per task on slow files, {crowd.name}", str(error)))
    return figures


@contextmanager
def _place(crowd: Crowd, folder: Path) -> Iterator[Here]:
    if crowd.nodes == 1:
        yield Here(folder)
        return
    with simulated.nodes(folder, crowd.nodes) as place:
        yield place


def _measure(how: How, crowd: Crowd, place: Here, library: Path) -> list[Figure]:
    workers = how.pick(100, 2)
    of = f"slurmband, {workers} workers on {crowd.name}"
    figures = []
    for size in how.pick((100, 500, 1000, 5000), (10,)):
        runs = [_run(how, place, library, size, workers) for _ in how.repeats(3)]
        costs = [1000 * run.wall / size for run in runs]
        held = [occupancy(run, crowd.key) for run in runs]
        waited = [waiting(run) for run in runs]
        figures += [
            Figure(
                what=f"cost per task on slow files, {size} tasks",
                value=median(costs),
                unit="ms",
                of=of,
                at=size,
                repeats=costs,
                better="less",
                target=TARGET_OF_FEW if size < FEW else TARGET,
                note=f"each operation on a file takes {1000 * DELAY:g} ms. {runs[0].how}",
            ),
            Figure(
                what=f"share of the time in which {crowd.lock} is held, {size} tasks",
                value=median(held),
                unit="%",
                of=of,
                at=size,
                repeats=held,
            ),
            Figure(
                what=f"share of a worker's time in which it waits for a lock, {size} tasks",
                value=median(waited),
                unit="%",
                of=of,
                at=size,
                repeats=waited,
                better="less",
            ),
        ]
    return figures


def _run(how: How, place: Here, library: Path, size: int, workers: int) -> Run:
    with tempfile.TemporaryDirectory(dir=place.folder) as name:
        folder = Path(name)
        environ = {
            "SLURMBAND_MODE": "shared",
            lock_times.LOCKS: "1",
            **slow_files.settings(library, folder / "slurmband.sqlite", DELAY),
        }
        run = slurmband.run(place, f"layered:{size}:5", workers, folder, environ)
        how.runs.append(run)
        return run


def occupancy(run: Run, lock: str) -> float:
    """Return the percentage of the time in which any worker held a lock.

    Parameters
    ----------
    run : Run
        Of workers that noted it.
    lock : str
        `lock_times.HELD_ON_NODE`, where there is one node, or `lock_times.HELD_BETWEEN_NODES`.
    """
    assert run.done is not None
    spans = [tuple(span) for notes in run.done.workers for span in notes[lock]]
    return 100 * lock_times.covered(spans, run.first_claim, run.last_report) / run.wall


def waiting(run: Run) -> float:
    """Return the percentage of its time that the mean worker waited for a lock.

    Parameters
    ----------
    run : Run
        Of workers that noted it.
    """
    assert run.done is not None
    waited = [
        lock_times.covered(map(tuple, notes[lock_times.WAITED]), run.first_claim, run.last_report)
        for notes in run.done.workers
    ]
    return 100 * sum(waited) / len(waited) / run.wall
