"""Writing a graph into the database, once per revision of it.

The first registration is plain bulk inserts. A later revision adds its new tasks, gives tasks that
have not started their new dependencies, cancels what is gone and leaves what has run alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from slurmband.domain.graph import Graph
from slurmband.domain.states import TaskState
from slurmband.domain.task import Task
from slurmband.errors import GraphChanged
from slurmband.store import transitions
from slurmband.store.database import Transaction
from slurmband.store.schema import WORKFLOW, edges, revisions, task_statuses, tasks, workflows

#: Retries where nothing else was asked for: a failure is the task's own and final, while workers on
#: a cluster die for many reasons that are not the task's.
DEFAULT_MAX_FAILED_RETRIES = 0
DEFAULT_MAX_KILLED_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration did.

    Parameters
    ----------
    revision : int
        Number of the revision that is now current.
    added, dropped, changed : int
        How many tasks are new, no longer in the graph, or registered otherwise than before.
    """

    revision: int
    added: int = 0
    dropped: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Budgets:
    """How often tasks are tried again; None leaves what the database has.

    Parameters
    ----------
    max_failed_retries, max_killed_retries : int or None
        Further attempts after a failure, and after a death that is charged.
    """

    max_failed_retries: int | None = None
    max_killed_retries: int | None = None


def current_digest(tx: Transaction) -> str | None:
    """Return the digest of the registered graph; None before the first registration."""
    newest = select(revisions.c.digest).order_by(revisions.c.number.desc()).limit(1)
    return tx.connection.execute(newest).scalar_one_or_none()


def register(
    tx: Transaction, graph: Graph, *, budgets: Budgets, new_revision: bool, now: float
) -> Registered:
    """Register a graph, or find that it is registered already.

    Parameters
    ----------
    tx : Transaction
    graph : Graph
        Checked by `slurmband.domain.graph.check`.
    budgets : Budgets
    new_revision : bool
        Whether a graph that differs from the registered one becomes its next revision (`submit`),
        or is refused (a worker).
    now : float
        UTC seconds since the epoch.

    Raises
    ------
    GraphChanged
        If the graphs differ and `new_revision` is false.
    """
    registered = current_digest(tx)
    if registered is not None and registered != graph.digest and not new_revision:
        raise GraphChanged(registered, graph.digest)
    _set_budgets(tx, budgets)
    number = tx.connection.execute(
        select(workflows.c.revision).where(workflows.c.id == WORKFLOW)
    ).scalar_one()
    if registered == graph.digest and not new_revision:
        return Registered(number)
    if registered != graph.digest:
        number += 1
        _write_revision(tx, graph, number, now)
    if registered is None:
        keys = _insert_tasks(tx, graph, first_key=1, now=now)
        _insert_edges(tx, graph, keys, completed=frozenset())
        return Registered(number, added=len(keys))
    return _revise(tx, graph, number, now)


def _write_revision(tx: Transaction, graph: Graph, number: int, now: float) -> None:
    tx.connection.execute(
        insert(revisions).values(
            number=number,
            workflow_id=WORKFLOW,
            digest=graph.digest,
            total_tasks=len(graph),
            registered_at=now,
        )
    )
    tx.connection.execute(
        update(workflows).where(workflows.c.id == WORKFLOW).values(revision=number)
    )


def _set_budgets(tx: Transaction, budgets: Budgets) -> None:
    asked = {
        "max_failed_retries": budgets.max_failed_retries,
        "max_killed_retries": budgets.max_killed_retries,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    known = tx.connection.execute(select(workflows.c.id)).scalar_one_or_none()
    if known is None:
        defaults = {
            "max_failed_retries": DEFAULT_MAX_FAILED_RETRIES,
            "max_killed_retries": DEFAULT_MAX_KILLED_RETRIES,
        }
        tx.connection.execute(insert(workflows).values(id=WORKFLOW, **(defaults | given)))
    elif given:
        tx.connection.execute(update(workflows).where(workflows.c.id == known).values(**given))


def _revise(tx: Transaction, graph: Graph, revision: int, now: float) -> Registered:
    """Bring the tables to a graph that may differ from the one they hold."""
    known = {row.id: row for row in tx.connection.execute(select(tasks)).all()}
    keys = {name: row.key for name, row in known.items()}
    new = [task for task in graph if task.id not in known]
    keys |= _insert_tasks(tx, new, first_key=max(keys.values()) + 1, now=now)

    gone = [n for n, row in known.items() if n not in graph.tasks and row.state in _CAN_BE_DROPPED]
    transitions.drop(tx, [keys[name] for name in gone], now=now)

    changed = _changed(tx, graph, known)
    ended = _ended_otherwise(graph, known)
    transitions.hold(tx, [keys[task.id] for task in changed], now=now)
    for task in changed + ended:
        _describe(tx, keys[task.id], task)
    completed = frozenset(n for n, row in known.items() if row.state == TaskState.COMPLETED)
    _rewire(tx, changed + new, changed, keys, completed)
    waiting = [*changed, *(task for task in new if task.dependencies)]
    transitions.settle(tx, [keys[task.id] for task in waiting], now=now)
    return Registered(revision, added=len(new), dropped=len(gone), changed=len(changed + ended))


_CAN_BE_REWIRED = frozenset(
    {TaskState.WAITING, TaskState.READY, TaskState.BLOCKED, TaskState.CANCELLED}
)
_CAN_BE_DROPPED = frozenset(
    {TaskState.WAITING, TaskState.READY, TaskState.BLOCKED, TaskState.FAILED, TaskState.KILLED}
)
_CAN_BE_RESET = frozenset({TaskState.FAILED, TaskState.KILLED})


def _changed(tx: Transaction, graph: Graph, known: Mapping[str, Any]) -> list[Task[Any]]:
    """Return the tasks that have not started and are registered otherwise than the graph has them."""
    names = {row.key: name for name, row in known.items()}
    dependencies: dict[str, set[str]] = {name: set() for name in known}
    for upstream, downstream in tx.connection.execute(select(edges.c.upstream, edges.c.downstream)):
        dependencies[names[downstream]].add(names[upstream])

    def differs(task: Task[Any]) -> bool:
        row = known[task.id]
        rewired = dependencies[task.id] != set(task.dependencies)
        return row.state == TaskState.CANCELLED or rewired or _described(row) != _description(task)

    known_tasks = (task for task in graph if task.id in known)
    return [t for t in known_tasks if known[t.id].state in _CAN_BE_REWIRED and differs(t)]


def _ended_otherwise(graph: Graph, known: Mapping[str, Any]) -> list[Task[Any]]:
    """Return the tasks that would be tried again with other requirements than the graph has now."""
    ended = (t for t in graph if t.id in known and known[t.id].state in _CAN_BE_RESET)
    return [task for task in ended if _described(known[task.id]) != _description(task)]


#: What a registration writes of a task as the user gave it.
_AS_GIVEN = ("priority", "max_parallel_workers", "max_failed_retries", "max_killed_retries")


def _description(task: Task[Any]) -> dict[str, object]:
    given: dict[str, object] = {name: getattr(task, name) for name in _AS_GIVEN}
    return {"requirements": _requirements(task)} | given


def _described(row: Any) -> dict[str, object]:
    return {name: getattr(row, name) for name in ("requirements", *_AS_GIVEN)}


def _describe(tx: Transaction, key: int, task: Task[Any]) -> None:
    tx.connection.execute(update(tasks).where(tasks.c.key == key).values(**_description(task)))


def _rewire(
    tx: Transaction,
    to_write: Sequence[Task[Any]],
    changed: Sequence[Task[Any]],
    keys: Mapping[str, int],
    completed: frozenset[str],
) -> None:
    for task in changed:
        tx.connection.execute(delete(edges).where(edges.c.downstream == keys[task.id]))
    _insert_edges(tx, to_write, keys, completed=completed)
    for task in to_write:
        unmet = len(set(task.dependencies) - completed)
        tx.connection.execute(update(tasks).where(tasks.c.key == keys[task.id]).values(unmet=unmet))


def _requirements(task: Task[Any]) -> str:
    return json.dumps(sorted(set(task.requirements)))


def _insert_tasks(
    tx: Transaction, new: Iterable[Task[Any]], *, first_key: int, now: float
) -> dict[str, int]:
    """Insert tasks as waiting or ready by their own dependencies; return id -> key."""
    rows = []
    for key, task in enumerate(new, start=first_key):
        unmet = len(set(task.dependencies))
        rows.append(
            {
                "key": key,
                "id": task.id,
                "workflow_id": WORKFLOW,
                "state": TaskState.WAITING if unmet else TaskState.READY,
                **_description(task),
                "free_slots": 0 if unmet else task.max_parallel_workers,
                "unmet": unmet,
            }
        )
    if rows:
        tx.connection.execute(insert(tasks), rows)
        history = [
            {"task_id": r["key"], "status": r["state"], "event": "register", "timestamp": now}
            for r in rows
        ]
        tx.connection.execute(insert(task_statuses), history)
    return {str(row["id"]): int(str(row["key"])) for row in rows}


def _insert_edges(
    tx: Transaction,
    of: Iterable[Task[Any]],
    keys: Mapping[str, int],
    *,
    completed: frozenset[str],
) -> None:
    rows = [
        {
            "upstream": keys[name],
            "downstream": keys[task.id],
            "satisfied": int(name in completed),
        }
        for task in of
        for name in set(task.dependencies)
    ]
    if rows:
        tx.connection.execute(insert(edges), rows)
