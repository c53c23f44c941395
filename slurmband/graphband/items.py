"""Laufband: a band of plain items, whose loop yields the items themselves."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from slurmband.domain.task import Task
from slurmband.errors import UsageError
from slurmband.graphband.band import Graphband

T = TypeVar("T")
Items = Iterable[T] | Callable[[], Iterable[T]]


class Laufband(Graphband[T]):
    """Iterate over plain items, together with every other process that does so.

    Each item is a task with its place as id: "0", "1", and so on. Its task, for `still_mine`,
    `attempt_dir` or `attempt`, is ``band.task``.

    Parameters
    ----------
    items : iterable, or callable that returns one
        The same items in the same order in every process.
    **options
        As for `Graphband`.

    Examples
    --------
    >>> from slurmband import Laufband
    >>> [word.upper() for word in Laufband(["bake", "serve"], disabled=True)]
    ['BAKE', 'SERVE']
    """

    def __init__(self, items: Items[T], **options: Any) -> None:
        read_anew = callable(items) and not isinstance(items, Iterable)
        super().__init__((lambda: _tasks(items)) if read_anew else _tasks(items), **options)

    def __iter__(self) -> Iterator[T]:  # type: ignore[override]  # items, not their tasks
        """Yield items for as long as this worker can claim one."""
        return super().__iter__()  # type: ignore[return-value]  # `_handed_out` says what is yielded

    def _handed_out(self, task: Task[T]) -> Any:
        return task.data


def _tasks(items: Items[T]) -> Iterator[Task[T]]:
    if not isinstance(items, Iterable):
        if not callable(items):
            raise UsageError(f"{items!r} cannot be iterated over: give a list of items.")
        items = items()
    for place, item in enumerate(items):
        yield Task(str(place), data=item)
