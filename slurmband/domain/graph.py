"""Whether a graph can be run at all, and a digest by which two processes know it is the same one."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slurmband.domain.budgets import NAMES
from slurmband.domain.labels import is_rule
from slurmband.domain.sameness import difference
from slurmband.domain.task import Task
from slurmband.domain.tasks import Tasks
from slurmband.errors import (
    BadTask,
    CyclicGraph,
    DuplicateTask,
    EmptyGraph,
    SelfDependency,
    UnknownDependency,
)


@dataclass(frozen=True)
class Graph:
    """A graph that was checked; made by :func:`check` only.

    Parameters
    ----------
    tasks : Tasks
        In the user's order.
    digest : str
        SHA-256 over ids and dependencies, in hexadecimal; the order of tasks does not matter. Where it
        was asked for, also over fingerprints.
    fingerprints : str or None
        SHA-256 over ids and fingerprints; None where no task has one.
    """

    tasks: Tasks
    digest: str
    fingerprints: str | None = None

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task[Any]]:
        return iter(self.tasks.values())


def check(
    tasks: Iterable[Any], *, source: str = "the graph", with_fingerprints: bool = False
) -> Graph:
    """Check everything about a graph that can be checked before it runs.

    Parameters
    ----------
    tasks : iterable of Task
        Consumed once. A `Graph` was checked before, and is returned as it is.
    source : str, optional
        What to call the graph in messages, such as ``"tasks() in sweep.py"``.
    with_fingerprints : bool, default False
        Whether another fingerprint makes another graph, on which workers of this one do not work.

    Returns
    -------
    Graph

    Raises
    ------
    EmptyGraph, BadTask, DuplicateTask, SelfDependency, UnknownDependency, CyclicGraph
        Each names the task and what to change.
    """
    if isinstance(tasks, Graph):
        return tasks
    found = Tasks()
    read = one_by_one(tasks, found, source=source)
    fingerprints = sorted((task.id, task.fingerprint) for task in read if task.fingerprint)
    if not found:
        raise EmptyGraph(source)
    _check_dependencies(found)
    digest, of_fingerprints = _digest(found), _sha256(fingerprints) if fingerprints else None
    if with_fingerprints and of_fingerprints is not None:
        digest = _sha256([(digest, of_fingerprints)])
    return Graph(found, digest, of_fingerprints)


def one_by_one(
    tasks: Iterable[Any], found: Tasks, *, source: str = "the graph"
) -> Iterator[Task[Any]]:
    """Yield each task once, as soon as what can be checked of it alone was checked.

    Parameters
    ----------
    tasks : iterable of Task
        Read only as far as the result is.
    found : Tasks
        Filled with what was read.
    source : str, optional
        What to call the graph in messages.

    Raises
    ------
    BadTask, DuplicateTask, SelfDependency
    """
    for task in tasks:
        _check_task(task, source)
        if task.id not in found:
            found.add(task)
            yield task
            continue
        field = difference(found[task.id], task)
        if field is not None:
            raise DuplicateTask(task.id, field)


#: Seconds, which no job lasts; an alarm could not be set to infinity.
_LONGEST: Final = 1e9
#: What could not be stored, or told apart, in the database or a digest.
_UNPRINTABLE: Final = frozenset(map(chr, (0, *range(0xD800, 0xE000))))


def _check_task(task: object, source: str) -> None:
    """Raise what is wrong with one task, looked at by itself."""
    if not isinstance(task, Task):
        raise BadTask(
            f"{source} gave {task!r}, which is no Task. Wrap it: Task(id=..., data=...), "
            "or use Graphband.over(items) for plain items."
        )
    if not isinstance(task.id, str) or not task.id or not _UNPRINTABLE.isdisjoint(task.id):
        raise BadTask(
            f"the id {task.id!r} is no string of characters. Give every task a name: Task(id=str(...))."
        )
    for kind in ("dependencies", "requirements"):
        names = getattr(task, kind)
        if isinstance(names, str):
            raise BadTask(
                f"{kind} of task {task.id!r} is the string {names!r}, which would be read letter by "
                f"letter. Put it in braces: {kind}={{{names!r}}}."
            )
        if not isinstance(names, Collection):  # a generator would be used up by looking at it
            raise BadTask(
                f"{kind} of task {task.id!r} are {names!r}, which is no set, list or tuple. Write "
                f"{kind}=set(...)."
            )
        bad = [name for name in names if not isinstance(name, str)]
        if bad:
            raise BadTask(
                f"{kind} of task {task.id!r} hold {bad[0]!r}, which is no string. Name tasks by "
                "their ids and requirements by their labels."
            )
    if task.id in task.dependencies:
        raise SelfDependency(task.id)
    if task.max_parallel_workers < 1:
        raise BadTask(
            f"max_parallel_workers of task {task.id!r} is {task.max_parallel_workers}; it is at least 1."
        )
    for budget in NAMES:
        if (getattr(task, budget) or 0) < 0:
            raise BadTask(
                f"{budget} of task {task.id!r} is {getattr(task, budget)}; 0 means no retry."
            )
    if task.time_limit is not None and not 0 < task.time_limit <= _LONGEST:
        raise BadTask(
            f"time_limit of task {task.id!r} is {task.time_limit}; it is in seconds, and above 0. "
            "Leave it out where there is no limit."
        )
    for rule in (task.on_oom, task.on_time_limit):
        if rule is not None and not is_rule(rule):
            raise BadTask(
                f"task {task.id!r} is to require {rule!r}: write mem:+50%, mem:x2, or a label."
            )
    if not isinstance(task.kind, str):
        raise BadTask(f"the kind of task {task.id!r} is {task.kind!r}, which is no string.")
    if not isinstance(task.fingerprint, str | None):
        raise BadTask(
            f"the fingerprint of task {task.id!r} is {task.fingerprint!r}, which is no string. Write "
            "fingerprint=str(...), or a hash in hexadecimal."
        )


def _check_dependencies(tasks: Tasks) -> None:
    """Raise `UnknownDependency` or `CyclicGraph`, where it is one."""
    try:
        if not tasks.settle():
            return  # each came after all that it depends on: so there is no cycle
    except KeyError:
        for task in tasks.values():
            missing = [name for name in task.dependencies if name not in tasks]
            if missing:
                raise UnknownDependency(task.id, missing) from None
        raise
    cycle = _cycle(tasks)
    if cycle:
        raise CyclicGraph(tasks.ids[place] for place in cycle)


_UNSEEN, _OPEN, _DONE = range(3)


def _cycle(tasks: Tasks) -> Sequence[int]:
    """Return the places along a cycle, each needed by the next, the first one again at the end."""
    seen = bytearray(len(tasks))
    for start in range(len(tasks)):
        if seen[start] != _UNSEEN:
            continue
        path = [(start, iter(tasks.upstream(start)))]
        seen[start] = _OPEN
        while path:
            place, needs = path[-1]
            for need in needs:
                if seen[need] == _OPEN:
                    above = [place for place, _ in path]
                    return [need, *reversed(above[above.index(need) :])]
                if seen[need] == _UNSEEN:
                    seen[need] = _OPEN
                    path.append((need, iter(tasks.upstream(need))))
                    break
            else:
                seen[place] = _DONE
                path.pop()
    return ()


def _digest(tasks: Tasks) -> str:
    ids = tasks.ids
    places = sorted(range(len(ids)), key=ids.__getitem__)
    return _sha256((ids[p], *sorted({ids[need] for need in tasks.upstream(p)})) for p in places)


def _sha256(lines: Iterable[Iterable[str]]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(("\0".join(line) + "\0\n").encode())
    return digest.hexdigest()
