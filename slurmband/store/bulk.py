"""Many new tasks and edges into the tables, by few statements.

100 000 tasks with their history took 3.2 s of SQLite's time row by row, and take 0.7 s in statements of
many rows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import insert, literal, select

from slurmband.domain.budgets import NAMES
from slurmband.domain.states import TaskState
from slurmband.domain.task import Task
from slurmband.domain.tasks import Tasks
from slurmband.store.database import Transaction
from slurmband.store.schema import WORKFLOW, edges, task_statuses, tasks
from slurmband.store.statements import Insertion

#: Of SQLite's page cache, as its pragma has it: below 0, in KiB.
_CACHE: Final = -8000
#: What is written of a task as the user gave it.
AS_GIVEN: Final = (
    *("priority", "max_parallel_workers", "kind", "time_limit", "on_oom", "on_time_limit"),
    *NAMES,
)
_as_given: Final = attrgetter("fingerprint", *AS_GIVEN)


def insert_graph(tx: Transaction, found: Tasks, *, now: float) -> None:
    """Insert the tasks and edges of a band that has none; the key of a task is its place and 1."""
    with _larger_cache(tx):
        _insert_graph(tx, found, now)


def _insert_graph(tx: Transaction, found: Tasks, now: float) -> None:
    needs = (len(set(found.upstream(place))) for place in range(len(found)))
    _insert_tasks(tx, zip(found.ids, found.without_names(), needs, strict=True), 1, now)
    _EDGES.run(
        tx,
        (
            (need + 1, place + 1, 0)
            for place in range(len(found))
            for need in set(found.upstream(place))
        ),
    )


@contextmanager
def _larger_cache(tx: Transaction) -> Iterator[None]:
    """Let SQLite keep more pages for a while, and give them back.

    Where tasks depend on many that lie far apart, their edges are pages far apart: a million edges from
    a thousand tasks onto a thousand took 11 s with SQLite's own 2 MB, 5 s with 8 MB, 5 s with 32 MB.
    """
    run = tx.connection.exec_driver_sql
    before = int(run("PRAGMA cache_size").scalar_one())
    run(f"PRAGMA cache_size = {_CACHE}")
    try:
        yield
    finally:
        run(f"PRAGMA cache_size = {before}")
        run("PRAGMA shrink_memory")


def insert_tasks(
    tx: Transaction,
    new: Sequence[Task[Any]],
    *,
    first_key: int,
    now: float,
    completed: frozenset[str] = frozenset(),
) -> dict[str, int]:
    """Insert tasks as waiting or ready by their own dependencies; return id -> key."""
    rows = ((task.id, task, len(set(task.dependencies) - completed)) for task in new)
    _insert_tasks(tx, rows, first_key, now)
    return {task.id: key for key, task in enumerate(new, start=first_key)}


def insert_edges(
    tx: Transaction,
    of: Iterable[Task[Any]],
    keys: Mapping[str, int],
    *,
    completed: frozenset[str],
) -> None:
    """Insert what tasks depend on; what is `completed` counts as satisfied."""
    _EDGES.run(
        tx,
        (
            (keys[name], keys[task.id], int(name in completed))
            for task in of
            for name in set(task.dependencies)
        ),
    )


def requirements_of(task: Task[Any]) -> str:
    """Return what the table has of a task's requirements."""
    return json.dumps(sorted(set(task.requirements))) if task.requirements else "[]"


def _insert_tasks(
    tx: Transaction, new: Iterable[tuple[str, Task[Any], int]], first_key: int, now: float
) -> None:
    """Insert tasks and their history; each is an id, all else the user said, and what is unmet."""
    _TASKS.run(
        tx,
        (
            (
                *(key, name, WORKFLOW, requirements_of(task), *_as_given(task)),
                *((_WAITING, 0) if unmet else (_READY, task.max_parallel_workers)),
                unmet,
            )
            for key, (name, task, unmet) in enumerate(new, start=first_key)
        ),
    )
    history = select(
        tasks.c.key, tasks.c.state, literal("register"), literal(now), tasks.c.fingerprint
    )
    tx.connection.execute(
        insert(task_statuses).from_select(
            ["task_id", "status", "event", "timestamp", "fingerprint"],
            history.where(tasks.c.key >= first_key).order_by(tasks.c.key),
        )
    )


_WAITING, _READY = str(TaskState.WAITING), str(TaskState.READY)
_EDGES: Final = Insertion(edges.c.upstream, edges.c.downstream, edges.c.satisfied)
_TASKS: Final = Insertion(
    *(tasks.c.key, tasks.c.id, tasks.c.workflow_id, tasks.c.requirements),
    *(tasks.c.fingerprint, *(tasks.c[name] for name in AS_GIVEN)),
    *(tasks.c.state, tasks.c.free_slots, tasks.c.unmet),
)
