"""jug: processes that share a folder in which each task has a lock file and each result a file."""

from pathlib import Path
from typing import Final

from benchmarks import crew, graphs, marks
from benchmarks.places import ROOT, Place
from benchmarks.runners import Run, gated

HOW: Final = (
    "By the workers' clocks, from the first that may claim to the end of the last task. Start-up is "
    "starting `jug execute` processes until each is in a task that waits for the others. Between two "
    "looks for tasks it waits 0.05 s (12 s by default)."
)


def run(place: Place, graph: str, workers: int, folder: Path, *, python: Path) -> Run:
    """Run a graph once.

    Parameters
    ----------
    place : Place
    graph : str
        As `graphs.make` reads it.
    workers : int
    folder : Path
        Where the folder of results lies.
    python : Path
        Of an environment with jug.
    """
    crew.prepare(place, folder)
    command = [str(python), str(python.parent / "jug"), "execute"]
    command += ["--jugdir", "jugdata", "--wait-cycle-time", "0.05", "--nr-wait-cycles", "100000"]
    command += [str(ROOT / "benchmarks" / "jugfile.py")]
    done = crew.work(place, command, folder, {marks.GRAPH: graph}, workers=workers)
    tasks = sum(1 for _ in graphs.make(graph))
    return gated("jug", graph, tasks, done, how=HOW, once=False)
