"""The graph that the environment names, as a jugfile; first come as many gates as there are workers."""

import functools
import os

from jug import Task

from benchmarks import graphs, marks

#: Made with the first task: a process that has none has nothing to note.
notes = functools.cache(marks.Marks.here)


def gate(number: int) -> int:
    """Wait until every worker is here."""
    notes().gate()
    return number


def do(name: str, seconds: float, *_needs: str) -> str:
    """Do a task; what it returns stands for it where others depend on it."""
    notes().do(seconds)
    return name


gates = [Task(gate, number) for number in range(int(os.environ[marks.WORKERS]))]
made: dict[str, Task] = {}
for node in graphs.make(os.environ[marks.GRAPH]):
    needs = [made[name] for name in node.dependencies]
    made[node.id] = Task(do, node.id, node.seconds, *needs)
