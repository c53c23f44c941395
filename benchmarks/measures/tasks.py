"""Cost of a task over the size of the graph: it is to be flat."""

from typing import Final

from benchmarks.figures import Figure, median
from benchmarks.how import How

#: What is still called flat: the cost in a large graph over that in the smallest.
FLAT: Final = 1.2
#: A graph of so many tasks is run only once.
LARGE: Final = 50_000


def measure(how: How) -> list[Figure]:
    """Measure wall time per task that does nothing, in layered graphs with five dependencies each.

    Parameters
    ----------
    how : How
    """
    workers = how.pick(4, 2)
    figures = []
    for name, run in how.own.items():
        first = 0.0
        for size in how.pick((1000, 10_000, 100_000), (30, 120)):
            most = 1 if size >= LARGE else 5
            runs = how.runs_of(name, run, f"layered:{size}:5", workers, most)
            costs = [1000 * run.wall / size for run in runs]
            cost = median(costs)
            first = first or cost
            figures.append(
                Figure(
                    what=f"cost per task, {size} tasks, {workers} workers",
                    value=cost,
                    unit="ms",
                    of=name,
                    at=size,
                    repeats=costs,
                    better="less",
                    target=FLAT * first if name == "slurmband" and cost != first else None,
                    ratio=cost / first,
                    ratio_to="the smallest graph",
                )
            )
    return figures
