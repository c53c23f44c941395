"""The graph that the environment names, as a workflow file of slurmband.

First come as many gates as there are workers. They have the highest priority, and who is in one stays
there until all are: so each worker takes one, and has joined before a task of the graph is claimed.
"""

import functools
import os
from collections.abc import Iterator

from benchmarks import graphs, lock_times, marks
from slurmband import Task

GATE = "gate-"


@functools.cache
def notes() -> marks.Marks:
    """Make the notes, with the first task: who only registers the graph has nothing to note."""
    return marks.Marks.here(lock_times.watch() if lock_times.LOCKS in os.environ else None)


class NotYet(Exception):
    """What a task fails with that is to fail a few times."""


def tasks() -> Iterator[Task[float]]:
    """Yield the gates and the graph."""
    for n in range(int(os.environ[marks.WORKERS])):
        yield Task(f"{GATE}{n}", priority=1, max_failed_retries=0)
    for node in graphs.make(os.environ[marks.GRAPH]):
        yield Task(node.id, data=node.seconds, dependencies=frozenset(node.dependencies))


def run(task: Task[float]) -> None:
    """Wait at a gate, or sleep as long as the task says."""
    if task.id.startswith(GATE):
        notes().gate()
        return
    notes().do(task.data or 0.0)
    failures = int(os.environ.get(marks.FAILURES, "0"))
    if task.attempt is not None and task.attempt <= failures:
        raise NotYet(f"attempt {task.attempt} of {failures + 1}")
