"""One file per program that runs a graph with some workers, and what each returns: a `Run`."""

from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.crew import CrewBroken, Done


@dataclass(frozen=True)
class Run:
    """One graph, done once.

    Parameters
    ----------
    by : str
        Which program did it.
    graph : str
    workers : int
    tasks : int
    first_claim, last_report : float
        In seconds since the Unix epoch; `how` says what stands for them.
    with_start_up : float
        Seconds from the first command until the last report, without waiting for the word to go.
    how : str
        How it was measured.
    done : Done, optional
        What each worker noted; None where that cannot be had.
    """

    by: str
    graph: str
    workers: int
    tasks: int
    first_claim: float
    last_report: float
    with_start_up: float
    how: str
    done: Done | None = field(default=None, repr=False)

    @property
    def wall(self) -> float:
        """Seconds from the first claim to the last report."""
        return self.last_report - self.first_claim

    @property
    def tasks_per_second(self) -> float:
        """Tasks per second, start-up excluded."""
        return self.tasks / self.wall

    def as_dict(self) -> dict[str, Any]:
        """Return what is kept of it."""
        kept = asdict(self) | {"wall": self.wall, "tasks_per_second": self.tasks_per_second}
        del kept["done"]
        return kept


def gated(
    by: str,
    graph: str,
    tasks: int,
    done: Done,
    *,
    how: str,
    before: float = 0.0,
    once: bool = True,
) -> Run:
    """Make the `Run` of a crew that stood at a gate.

    Parameters
    ----------
    by, graph : str
    tasks : int
        How many the graph has.
    done : Done
    how : str
    before : float, default 0
        Seconds that it took to prepare the graph before.
    once : bool, default True
        Whether a task that was done twice is an error; else it is only said.

    Raises
    ------
    CrewBroken
        If tasks were left out, or done twice.
    """
    if done.tasks < tasks or (once and done.tasks > tasks):
        raise CrewBroken(f"{by} did {done.tasks} of {tasks} tasks")
    if done.tasks > tasks:
        how += f" It did {done.tasks - tasks} tasks too many."
    wall = done.last_report - done.first_claim
    return Run(
        by=by,
        graph=graph,
        workers=len(done.workers),
        tasks=tasks,
        first_claim=done.first_claim,
        last_report=done.last_report,
        with_start_up=before + done.start_up + wall,
        how=how,
        done=done,
    )
