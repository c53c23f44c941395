"""Cost of a task over the number of workers, and for how long they wait for each other."""

from benchmarks.figures import Figure, median
from benchmarks.how import How
from benchmarks.runners import Run


def measure(how: How) -> list[Figure]:
    """Measure the same graph with ever more workers.

    Parameters
    ----------
    how : How
    """
    size = how.pick(10_000, 30)
    figures = []
    for name, run in how.own.items():
        first = 0.0
        for workers in how.pick((1, 4, 16, 32, 64, 100), (1, 2)):
            runs = how.runs_of(name, run, f"layered:{size}:5", workers, most=3)
            costs = [1000 * run.wall / size for run in runs]
            first = first or median(costs)
            figures += [
                Figure(
                    what=f"cost per task, {size} tasks, {counted(workers)}",
                    value=median(costs),
                    unit="ms",
                    of=name,
                    at=workers,
                    repeats=costs,
                    better="less",
                    target=2 * first if workers == 100 and name == "slurmband" else None,
                    ratio=median(costs) / first,
                    ratio_to="one worker",
                ),
                Figure(
                    what=f"share of a worker's time in which it waits, {counted(workers)}",
                    value=median([waits(run) for run in runs]),
                    unit="%",
                    of=name,
                    at=workers,
                    repeats=[waits(run) for run in runs],
                    better="less",
                    note="asleep in the kernel: for a lock, for the disk, or for a task to become ready",
                ),
            ]
    return figures


def counted(workers: int) -> str:
    """Return ``1 worker``, or ``2 workers``."""
    return f"{workers} worker{'s' if workers != 1 else ''}"


def waits(run: Run) -> float:
    """Return the percentage of the workers' time in which they neither ran nor waited for a processor.

    Parameters
    ----------
    run : Run
        Of a crew that noted how it was scheduled, on tasks that do nothing.
    """
    if run.done is None:
        raise ValueError(f"{run.by} did not note that")
    there = waited = 0.0
    for notes in run.done.workers:
        if notes["ended"]:
            lasted = notes["ended"][-1] - notes["passed"]
            there += lasted
            waited += max(0.0, lasted - notes["on_cpu"] - notes["waited_for_cpu"])
    return 100 * waited / there
