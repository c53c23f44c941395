"""Estimate pi by throwing darts: forty batches, four means, one report.

Run it with ``slurmband submit --array 4 pi.py``; with ``--cluster local`` on a machine without SLURM.
Every task reads and writes small files in ``pi.d``, so that the graph shows in them.
"""

import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path

from slurmband import Task

BATCHES = 40
DARTS = 400_000
FOLDER = Path("pi.d")


def tasks() -> Iterator[Task[int]]:
    """Yield the graph: batches, a mean over every ten of them, and a report on the means."""
    for batch in range(BATCHES):
        yield Task(f"batch-{batch}", data=batch)
    groups = range(BATCHES // 10)
    for group in groups:
        members = range(10 * group, 10 * group + 10)
        yield Task(f"mean-{group}", data=group, dependencies={f"batch-{b}" for b in members})
    yield Task("report", dependencies={f"mean-{group}" for group in groups})


def run(task: Task[int]) -> None:
    """Do one task."""
    kind, _, _ = task.id.partition("-")
    if kind == "batch":
        save(task.id, throw(random.Random(task.data)))
    elif kind == "mean":
        save(task.id, mean([load(name) for name in task.dependencies]))
    else:
        report([load(name) for name in sorted(task.dependencies)])


def throw(darts: random.Random) -> float:
    """Return an estimate from one batch of darts."""
    hits = sum(darts.random() ** 2 + darts.random() ** 2 < 1 for _ in range(DARTS))
    return 4 * hits / DARTS


def mean(values: list[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values)


def report(means: list[float]) -> None:
    """Write the answer."""
    estimate = mean(means)
    spread = math.sqrt(sum((m - estimate) ** 2 for m in means) / (len(means) - 1) / len(means))
    lines = [f"mean of group {group}: {value:.5f}" for group, value in enumerate(means)]
    lines.append(f"pi = {estimate:.5f} +- {spread:.5f} from {BATCHES * DARTS:,} darts")
    Path("pi.txt").write_text("\n".join(lines) + "\n")


def save(name: str, value: float) -> None:
    """Write a result so that nobody ever sees half of it: to another name first, then rename."""
    FOLDER.mkdir(exist_ok=True)
    unfinished = FOLDER / f".{name}.{os.getpid()}"
    unfinished.write_text(json.dumps(value))
    unfinished.rename(FOLDER / f"{name}.json")


def load(name: str) -> float:
    """Read a result."""
    return float(json.loads((FOLDER / f"{name}.json").read_text()))
