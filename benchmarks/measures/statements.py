"""What SQLite takes of a task's time: a worker alone, and a bare program that repeats its statements."""

import sys
from collections import defaultdict
from typing import Final

from benchmarks import recording
from benchmarks.figures import Figure, median
from benchmarks.how import How

#: As the kinds of statements are called for people; all others are named as they are.
KINDS: Final = {
    "task_statuses": "the history, with its events",
    "tasks": "writing tasks, with their counts",
    "edges": "writing edges",
    "attempts": "writing attempts",
    "SELECT": "reading",
    "COMMIT": "commits",
}


def measure(how: How) -> list[Figure]:
    """Measure a graph of 10 000 tasks that do nothing, with 0 and 5 dependencies each.

    Parameters
    ----------
    how : How
    """
    size = how.pick(10_000, 60)
    figures = []
    for each in (0, 5):
        whole, alone = [], []
        kinds: defaultdict[str, list[float]] = defaultdict(list)
        for _ in how.repeats():
            with how.place() as (here, folder):
                here.make(folder)
                words = [sys.executable, "-m", "benchmarks.recording", f"layered:{size}:{each}"]
                whole.append(1000 * float(here.run(words, folder, {})) / size)
                took, of_kinds = recording.replay(folder)
                alone.append(1000 * took / size)
                for kind in KINDS:
                    kinds[kind].append(1000 * of_kinds[kind] / size)
        about = f"D={each}, one worker, per task"
        figures.append(_figure(f"all of it, {about}", whole, None))
        figures.append(_figure(f"its statements alone, {about}", alone, median(whole)))
        figures += [
            _figure(f"{said}, {about}", kinds[kind], median(whole)) for kind, said in KINDS.items()
        ]
    return figures


def _figure(what: str, repeats: list[float], whole: float | None) -> Figure:
    value = median(repeats)
    return Figure(
        what=what,
        value=value,
        unit="ms",
        repeats=repeats,
        better="less",
        ratio=None if whole is None else value / whole,
        ratio_to="" if whole is None else "all of it",
    )
