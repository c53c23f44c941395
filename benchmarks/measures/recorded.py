"""Recorded workflows of others, replayed: what they take beyond what they must."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.figures import Figure, median, skipped
from benchmarks.graphs import Node, make
from benchmarks.how import How


def measure(how: How) -> list[Figure]:
    """Measure the time of each workflow that was given, beside the least that it could take.

    Parameters
    ----------
    how : How
    """
    if not how.recorded:
        return [skipped("recorded workflows", "name files in WfFormat with --recorded")]
    return [figure for file in how.recorded for figure in _of(how, file)]


def _of(how: How, file: Path) -> list[Figure]:
    workers = how.pick(8, 2)
    graph = f"wfformat:{file}:{how.scale}"
    ideal = shortest(make(graph), workers)
    figures = []
    for name, run in {"slurmband": how.own["slurmband"], **how.python_peers}.items():
        runs = how.runs_of(name, run, graph, workers, most=3 if name == "slurmband" else 1)
        took = [run.wall for run in runs]
        if took:
            figures.append(
                Figure(
                    what=f"{file.stem}, {runs[0].tasks} tasks, {workers} workers",
                    value=median(took),
                    unit="s",
                    of=name,
                    repeats=took,
                    better="less",
                    ratio=median(took) / ideal,
                    ratio_to=f"the least possible, {ideal:.3g} s",
                )
            )
    return figures


def shortest(nodes: Iterable[Node], workers: int) -> float:
    """Return a time in seconds that no schedule can beat.

    Parameters
    ----------
    nodes : iterable of Node
        Each after those it depends on.
    workers : int

    Returns
    -------
    float
        The longest path, or all the work by the number of workers, whichever is longer.
    """
    ends: dict[str, float] = {}
    work = 0.0
    for node in nodes:
        work += node.seconds
        ends[node.id] = node.seconds + max((ends[n] for n in node.dependencies), default=0.0)
    return max(max(ends.values(), default=0.0), work / workers)
