"""laufband 0.2.1, from which slurmband stems: the same loop in several processes."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks import crew, graphs, marks
from benchmarks.places import Place
from benchmarks.runners import Run, gated

HOW: Final = (
    "By the workers' clocks, from the first that may claim to the end of the last task. Start-up is "
    "starting processes until each is in a task that waits for the others. Its budgets are 2, since 0 "
    "and 1 both mean none."
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
        Where the database lies.
    python : Path
        Of an environment with laufband.
    """
    crew.prepare(place, folder)
    command = [str(python), "-m", "benchmarks.runners.laufband"]
    done = crew.work(place, command, folder, {marks.GRAPH: graph}, workers=workers)
    tasks = sum(1 for _ in graphs.make(graph))
    return gated("laufband", graph, tasks, done, how=HOW, once=False)


def main() -> None:
    """Be one worker."""
    from laufband import Graphband, Task

    notes = marks.Marks.here()
    gates = [Task(id=f"gate-{n}") for n in range(int(os.environ[marks.WORKERS]))]
    nodes = [
        Task(id=node.id, data=node.seconds, dependencies=set(node.dependencies))
        for node in graphs.make(os.environ[marks.GRAPH])
    ]
    quiet = {"disable": True}
    band = Graphband(
        [*gates, *nodes], max_failed_retries=2, max_killed_retries=2, tqdm_kwargs=quiet
    )
    while _completed() < len(gates) + len(nodes):
        for task in band:
            if task.data is None:
                notes.gate()
            else:
                notes.do(task.data)
        time.sleep(0.1)


def _completed() -> int:
    """Count completed tasks.

    `has_more_jobs` stays True for a worker that once found a task not ready which another completed.
    """
    with closing(sqlite3.connect("file:graphband.sqlite?mode=ro", uri=True, timeout=60)) as file:
        asked = file.execute("SELECT count(*) FROM task_statuses WHERE status = 'COMPLETED'")
        return int(asked.fetchone()[0])


if __name__ == "__main__":
    main()
