"""Ten tasks of one second for each worker: what they take beyond ten seconds, and who waits longest."""

from typing import Final

from benchmarks.figures import Figure, median
from benchmarks.how import How
from benchmarks.runners import Run

EACH: Final = 10
#: Seconds that no worker is to wait for a claim, beyond which it is long beside a task of a second.
WORST_WAIT: Final = 0.25
#: More workers than that are not asked of laufband: 32 took it minutes.
MOST_OF_LAUFBAND: Final = 16


def measure(how: How) -> list[Figure]:
    """Measure with 8, 16, 32 and 100 workers, beside the peers in Python.

    Parameters
    ----------
    how : How
    """
    length = how.pick(1.0, 0.05)
    ours = {"slurmband": how.own["slurmband"]}
    figures = []
    for name, run in {**ours, **how.python_peers}.items():
        for workers in how.pick((8, 16, 32, 100), (2,)):
            if name == "laufband" and workers > MOST_OF_LAUFBAND:
                continue
            graph = f"independent:{EACH * workers}:{length}"
            runs = how.runs_of(name, run, graph, workers, most=3 if name in ours else 1)
            if not runs:
                break
            took = [run.wall for run in runs]
            figures.append(
                Figure(
                    what=f"{EACH} tasks of {length:g} s per worker, {workers} workers",
                    value=median(took),
                    unit="s",
                    of=name,
                    at=workers,
                    repeats=took,
                    better="less",
                    target=1.05 * EACH * length if name in ours else None,
                    ratio=median(took) / (EACH * length),
                    ratio_to=f"the ideal, {EACH * length:g} s",
                )
            )
            worst = [longest_wait(run) for run in runs if run.done is not None]
            if worst:
                figures.append(
                    Figure(
                        what=f"longest wait of any worker between two tasks, {workers} workers",
                        value=median(worst),
                        unit="s",
                        of=name,
                        at=workers,
                        repeats=worst,
                        better="less",
                        target=WORST_WAIT if name in ours else None,
                    )
                )
    return figures


def longest_wait(run: Run) -> float:
    """Return the longest time in seconds in which a worker that went on had no task.

    Parameters
    ----------
    run : Run
        Of a crew that noted when its tasks began and ended.
    """
    assert run.done is not None
    return float(
        max(
            began - ended
            for notes in run.done.workers
            for began, ended in zip(
                notes["began"], [notes["passed"], *notes["ended"]], strict=False
            )
        )
    )
