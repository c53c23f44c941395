"""The loop of a band that is disabled: every task in turn, and nobody else."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from slurmband.domain.attempts import Ending
from slurmband.domain.graph import one_by_one
from slurmband.domain.task import Task
from slurmband.domain.tasks import Tasks
from slurmband.errors import UnknownDependency
from slurmband.graphband.rounds import Round

T = TypeVar("T")


class PlainLoop(Generic[T]):
    """What a Graphband does between its first task and its last, without a database.

    Parameters
    ----------
    tasks : iterable of Task
    total : int or None
        How many they are; None: it is not known yet.
    tqdm_kwargs : mapping
        For the progress bar.
    """

    #: There is no claim, no other process to speak for, and nobody who asks to leave.
    held = None
    of_parent = False
    drain = False

    def __init__(
        self, tasks: Iterable[Task[T]], total: int | None, *, tqdm_kwargs: Mapping[str, Any]
    ) -> None:
        self._tasks = iter(tasks)
        self._done = 0
        self.closing = False
        defaults: dict[str, Any] = {"total": total, "unit": "task", "disable": None}
        self.bar = tqdm(**(defaults | dict(tqdm_kwargs)))

    def next(self, *, wait: bool) -> tuple[Task[T] | None, Round]:  # noqa: ARG002  # nobody to wait for
        """Return the next task, or None after the last."""
        task = None if self.closing else next(self._tasks, None)
        return task, Round(completed=self._done, total=self._done)

    def set_alarm(self) -> None:
        """Do nothing: no task is limited."""

    def attempt(self, function: Callable[[Task[T]], object], task: Task[T]) -> None:
        """Run `function`; what it raises goes on up."""
        function(task)
        self.end_task(None)

    def end_task(self, _ending: Ending | None) -> None:
        """Count a task."""
        self._done += 1
        self.bar.update()

    def leave(self) -> None:
        """Close the progress bar."""
        self.bar.close()


def in_order(source: Iterable[Any], seen: Tasks) -> Iterator[Task[Any]]:
    """Yield the tasks of a growing graph, each after those it depends on.

    Parameters
    ----------
    source : iterable of Task
    seen : Tasks
        What was read before; filled with what is read.

    Raises
    ------
    GraphError
        If a task cannot be run, or depends on one that was not yielded before it.
    """
    for task in one_by_one(source, seen):
        missing = [name for name in task.dependencies if name not in seen]
        if missing:
            raise UnknownDependency(task.id, missing, growing=True)
        yield task
