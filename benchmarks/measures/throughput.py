"""Tasks per second that do nothing, beside every peer, with and without dependencies."""

from collections.abc import Collection
from typing import Final

from benchmarks.figures import Figure, median, skipped
from benchmarks.how import PEERS, PYTHON_PEERS, How
from benchmarks.runners import Run

#: Seconds after which a peer's run is not repeated.
LONG: Final = 20.0
#: Who takes minutes for ten thousand tasks, and hours where they depend on each other.
TOO_SLOW: Final = ("laufband",)


def measure(how: How) -> list[Figure]:
    """Measure on two graphs: independent tasks, and a layered one with five dependencies each.

    Parameters
    ----------
    how : How
    """
    size = how.pick(10_000, 40)
    figures = [skipped("tasks per second", why, of=name) for name, why in how.missing.items()]
    for each in (0, 5):
        called = f"{size} tasks, {each} dependencies each"
        figures += on(how, f"layered:{size}:{each}", called, without=TOO_SLOW)
    return figures


def on(how: How, graph: str, called: str, *, without: Collection[str] = ()) -> list[Figure]:
    """Measure on one graph, with four workers.

    Parameters
    ----------
    how : How
    graph : str
    called : str
        What it is, for people.
    without : collection of str
        Who does not take part.
    """
    workers = how.pick(4, 2)
    runs = compete(how, graph, workers, without=without)
    rates = {name: [run.tasks_per_second for run in done] for name, done in runs.items()}
    figures = compared(f"tasks per second, {called}, {workers} workers", rates)
    for name, done in runs.items():
        took = [run.with_start_up for run in done]
        figures.append(
            Figure(
                what=f"seconds with start-up, {called}, {workers} workers",
                value=median(took),
                unit="s",
                of=name,
                repeats=took,
                better="less",
                note=done[0].how,
            )
        )
    for name, done in runs.items():
        used = [1000 * run.done.processor_time / run.tasks for run in done if run.done]
        if used:
            figures.append(
                Figure(
                    what=f"processor time per task, {called}, {workers} workers",
                    value=median(used),
                    unit="ms",
                    of=name,
                    repeats=used,
                    better="less",
                )
            )
    return figures


def compete(
    how: How, graph: str, workers: int, *, without: Collection[str] = ()
) -> dict[str, list[Run]]:
    """Let everybody run a graph by turns, so that what else the machine does hits all alike.

    Parameters
    ----------
    how : How
    graph : str
    workers : int
    without : collection of str
    """
    runs: dict[str, list[Run]] = {name: [] for name in how.contenders if name not in without}
    for _ in how.repeats():
        for name in runs:
            run = how.contenders[name]
            if name in PEERS and runs[name] and runs[name][-1].with_start_up > LONG:
                continue
            if (done := how.run(name, run, graph, workers)) is not None:
                runs[name].append(done)
    return {name: done for name, done in runs.items() if done}


def compared(what: str, rates: dict[str, list[float]]) -> list[Figure]:
    """Make figures of the rates, and the two ratios that count.

    Parameters
    ----------
    what : str
    rates : dict of str to list of float
        Tasks per second of each repeat, by contender; slurmband is one.
    """
    medians = {name: median(values) for name, values in rates.items()}
    ours = medians["slurmband"]
    peers = [name for name in PYTHON_PEERS if name in medians]
    best = max(peers, key=medians.__getitem__, default=None)
    figures = [
        Figure(
            what=what,
            value=medians[name],
            unit="/s",
            of=name,
            repeats=values,
            better="more",
            target=medians[best] if best and name == "slurmband" else None,
            ratio=medians[name] / ours,
            ratio_to="slurmband",
        )
        for name, values in rates.items()
    ]
    for other, target in ((best, 1.0), ("bare SQLite", None)):
        if other in medians:
            figures.append(
                Figure(
                    what=f"{what}: ratio to {other}",
                    value=ours / medians[other],
                    unit="",
                    better="more",
                    target=target,
                )
            )
    return figures
