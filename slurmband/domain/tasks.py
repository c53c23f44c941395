"""The tasks of a graph, held in little memory: a worker keeps them all and runs a few of them.

A `Task` with five dependencies takes 1.5 kB: itself, a frozenset, and five strings that its generator
made anew. Here it takes 0.15 kB: its id once, and for each dependency the place of a task, in one array
for all. What a task has beside its id and dependencies is kept as it was given. Whoever asks for the
task gets a `Task` that equals the given one.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

from slurmband.domain.budgets import NAMES
from slurmband.domain.task import Task

#: The collections of dependencies that are made anew; others are kept, with their task.
_KINDS: Final[Sequence[Callable[[Iterable[str]], Collection[str]]]] = (frozenset, set, tuple, list)
_KIND_OF: Final = {kind: number for number, kind in enumerate(_KINDS)}
#: Instead of a kind: the task is kept whole, as it was given.
_WHOLE: Final = len(_KINDS)


class Tasks(Mapping[str, Task[Any]]):
    """Id -> task, in the order in which they were added.

    The place of a task is its number in that order, from 0. Who depends on a task that has not come yet
    refers to it by a negative number, until `settle`.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        #: What each task depends on, one task after the other, and where each one's part ends.
        self._upstream = array("i")
        self._ends = array("q")
        #: Names that were used before their task came: the first is -1 in `_upstream`, then -2.
        self._ahead: dict[str, int] = {}
        self._kinds = bytearray()
        #: Place -> task, without its dependencies where they are made anew; only of tasks that have
        #: more than an id and dependencies.
        self._given: dict[int, Task[Any]] = {}

    def add(self, task: Task[Any]) -> None:
        """Keep a task that was checked by itself, and whose id is new.

        To another thread, the task is there when all of it is.
        """
        places, place, needs = self._places, len(self._ids), task.dependencies
        self._upstream.extend(
            [places[name] if name in places else self._await(name) for name in needs]
        )
        self._ends.append(len(self._upstream))
        kind = _kind_of(task)
        if kind != _WHOLE and not _is_bare(task):
            if needs:
                self._given[place] = _like(task, dependencies=())
            else:
                kind = _WHOLE
        if kind == _WHOLE:
            self._given[place] = task
        self._kinds.append(kind)
        name = str.__str__(task.id)  # a plain one, also where it is of a class of the user's
        self._ids.append(name)
        places[name] = place

    def _await(self, name: str) -> int:
        """Return the number that stands for a task which has not come yet."""
        return self._ahead.setdefault(str.__str__(name), ~len(self._ahead))

    def settle(self) -> bool:
        """Let tasks refer to all others by their places; False if nobody was named before it came.

        Raises
        ------
        KeyError
            If a task depends on one that has not come at all.
        """
        if not self._ahead:
            return False
        found = [self._places[name] for name in self._ahead]
        self._upstream = array("i", (n if n >= 0 else found[~n] for n in self._upstream))
        self._ahead = {}
        return True

    def upstream(self, place: int) -> Sequence[int]:
        """Return the places of what a task depends on, in the order given; one may come twice."""
        return self._upstream[self._ends[place - 1] if place else 0 : self._ends[place]]

    @property
    def ids(self) -> Sequence[str]:
        """The ids, by place."""
        return self._ids

    def without_names(self) -> Iterator[Task[Any]]:
        """Yield for each place what its task has beside its id and dependencies, as a task."""
        return (self._given.get(place, _BARE) for place in range(len(self._ids)))

    def __getitem__(self, name: str) -> Task[Any]:
        return self._made(name, None)

    def handed_out(self, name: str, attempt: int) -> Task[Any]:
        """Return a task as the user's code gets it, with the number of the try."""
        return self._made(name, attempt)

    def _made(self, name: str, attempt: int | None) -> Task[Any]:
        place = self._places[name]
        kind, given = self._kinds[place], self._given.get(place)
        if given is not None and kind == _WHOLE:
            if attempt is None:
                return given
            copied = _like if type(given) is Task else replace  # a user's class may do more
            return copied(given, attempt=attempt)
        name_of = self._name if self._ahead else self._ids.__getitem__
        needs = _KINDS[kind](map(name_of, self.upstream(place)))
        if given is None:
            return _like(_BARE, id=self._ids[place], dependencies=needs, info={}, attempt=attempt)
        number = given.attempt if attempt is None else attempt
        return _like(given, dependencies=needs, attempt=number)

    def _name(self, number: int) -> str:
        return self._ids[number] if number >= 0 else list(self._ahead)[~number]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _like(task: Task[Any], **others: object) -> Task[Any]:
    """Return a `Task` like another one, in a fifth of the time that its constructor takes."""
    made = object.__new__(Task)
    vars(made).update(vars(task), **others)
    return made


def _kind_of(task: Task[Any]) -> int:
    """Say how to make a task's dependencies anew; a task with anything of the user's own is kept."""
    if (
        type(task) is Task
        and type(task.id) is str
        and all(type(n) is str for n in task.dependencies)
    ):
        return _KIND_OF.get(type(task.dependencies), _WHOLE)
    return _WHOLE


def _is_bare(task: Task[Any]) -> bool:
    """Whether a task has nothing beside its id and dependencies."""
    nothing = task.data is None and not task.info and not task.requirements
    usual = type(task.info) is dict and type(task.requirements) is frozenset
    return usual and nothing and _others(task) == _NO_OTHERS


_others: Final = attrgetter(
    "max_parallel_workers",
    "priority",
    "fingerprint",
    "kind",
    "time_limit",
    "on_oom",
    "on_time_limit",
    "attempt",
    *NAMES,
)
_BARE: Final = Task[Any]("")
_NO_OTHERS: Final = _others(_BARE)
