"""A graph that grows while workers work on it: its one producer, its slices, and its recorded end.

The row in ``producers`` is a claim like any other: a slice is written only by who holds it, and it goes
with its worker. A band is finished only after the end was recorded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, literal, select, update

from slurmband.domain.budgets import Budgets
from slurmband.domain.states import TaskState
from slurmband.domain.task import Task
from slurmband.domain.workers import WorkerStatus
from slurmband.errors import GraphGrows, ProducerLost, UnknownDependency
from slurmband.store import bulk, registration
from slurmband.store.database import Transaction
from slurmband.store.moves import block_where_hopeless, chunks
from slurmband.store.registration import GROWING, Revision
from slurmband.store.schema import WORKFLOW, events, producers, tasks, workers, workflows


@dataclass(frozen=True, slots=True)
class Growth:
    """Where a growing graph stands.

    Parameters
    ----------
    growing : bool
        Whether more tasks are to come; False: their end is recorded.
    producer : str or None
        Name of the worker that makes it grow now.
    """

    growing: bool
    producer: str | None


def look(tx: Transaction) -> Growth | None:
    """Say where a growing graph stands; None where the graph was registered whole, or not yet."""
    registered = registration.current(tx)
    if registered is None or registered.digest != GROWING:
        return None
    name = select(workers.c.name).join_from(producers, workers)
    return Growth(is_growing(tx), tx.connection.execute(name).scalar_one_or_none())


def is_growing(tx: Transaction) -> bool:
    """Whether more tasks are to come."""
    return bool(tx.connection.execute(select(workflows.c.growing)).scalar_one_or_none())


def begin(tx: Transaction, *, budgets: Budgets, reopen: Callable[[], bool], now: float) -> Revision:
    """Let the band's graph grow, or find that it does already; each time it is opened is a revision.

    Parameters
    ----------
    tx : Transaction
    budgets : Budgets
    reopen : callable
        Says whether to go on with a graph whose end is recorded.
    now : float
        UTC seconds since the epoch.

    Raises
    ------
    GraphGrows
        If a whole graph is registered.
    """
    registered = registration.current(tx)
    if registered is not None and registered.digest != GROWING:
        raise GraphGrows(registered=False)
    registration.set_budgets(tx, budgets)
    if registered is not None and (is_growing(tx) or not reopen()):
        return registered
    opened = Revision(1 + (registered.number if registered else 0), GROWING, None)
    known = tx.connection.execute(select(func.count()).select_from(tasks)).scalar_one()
    registration.write_revision(tx, opened, known, now)
    tx.connection.execute(update(workflows).where(workflows.c.id == WORKFLOW).values(growing=1))
    return opened


# --- the producer -------------------------------------------------------------------------------


def take(tx: Transaction, worker: int, *, now: float) -> bool:
    """Become the producer, if nobody is and more tasks are to come; True if it was to be had."""
    free = select(literal(WORKFLOW), workers.c.key, literal(now)).where(
        workers.c.key == worker,
        workers.c.status == WorkerStatus.ALIVE,
        select(workflows.c.growing).scalar_subquery() == 1,
        ~select(producers).exists(),
    )
    taken = tx.connection.execute(
        insert(producers).from_select(["workflow_id", "worker", "since"], free)
    )
    return taken.rowcount == 1


def is_producer(tx: Transaction, worker: int) -> bool:
    """Whether the worker is the producer."""
    return tx.connection.execute(select(producers.c.worker)).scalar_one_or_none() == worker


def give_back(tx: Transaction, worker: int) -> bool:
    """Stop being the producer; False if the worker was not."""
    given = tx.connection.execute(delete(producers).where(producers.c.worker == worker))
    return given.rowcount == 1


def extend(tx: Transaction, worker: int, slice_: Sequence[Task[Any]], *, now: float) -> int:
    """Register tasks that come after all that are registered.

    Parameters
    ----------
    tx : Transaction
    worker : int
        Key of the producer.
    slice_ : sequence of Task
        Each checked by itself. Those that are registered are left alone, as after a commit whose
        outcome was unknown.
    now : float
        UTC seconds since the epoch.

    Returns
    -------
    int
        How many of them are new.

    Raises
    ------
    ProducerLost
        If the worker is no longer the producer. Nothing has been written.
    UnknownDependency
        If a task depends on one that was not yielded before it. Nothing has been written.
    """
    _fence(tx, worker)
    known = _known(tx, slice_)
    new = [task for task in slice_ if task.id not in known]
    reached = set(known)
    for task in new:
        missing = set(task.dependencies) - reached
        if missing:
            raise UnknownDependency(task.id, missing, growing=True)
        reached.add(task.id)
    if not new:
        return 0
    completed = frozenset(n for n, row in known.items() if row.state == TaskState.COMPLETED)
    last = tx.connection.execute(select(func.max(tasks.c.key))).scalar_one() or 0
    keys = bulk.insert_tasks(tx, new, first_key=last + 1, now=now, completed=completed)
    every = {name: row.key for name, row in known.items()} | keys
    bulk.insert_edges(tx, new, every, completed=completed)
    block_where_hopeless(tx, [keys[task.id] for task in new if task.dependencies], now)
    _note(tx, "grow", worker, f"{len(new)} more", now)
    return len(new)


def end(tx: Transaction, worker: int, *, now: float) -> None:
    """Record that no more tasks are to come.

    Raises
    ------
    ProducerLost
        If the worker is no longer the producer. Nothing has been written.
    """
    _fence(tx, worker)
    tx.connection.execute(update(workflows).where(workflows.c.id == WORKFLOW).values(growing=0))
    give_back(tx, worker)
    known = tx.connection.execute(select(func.count()).select_from(tasks)).scalar_one()
    _note(tx, "end", worker, f"of the graph, after {known} tasks", now)


def _fence(tx: Transaction, worker: int) -> None:
    """Raise `ProducerLost` unless `worker` is the producer; what all that makes it grow passes."""
    if not is_producer(tx, worker):
        raise ProducerLost(worker)


def _known(tx: Transaction, slice_: Sequence[Task[Any]]) -> dict[str, Any]:
    """Return id -> row of what is registered among these tasks and what they depend on."""
    names = {name for task in slice_ for name in (task.id, *task.dependencies)}
    columns = select(tasks.c.id, tasks.c.key, tasks.c.state)
    return {
        row.id: row
        for part in chunks(sorted(names))
        for row in tx.connection.execute(columns.where(tasks.c.id.in_(part)))
    }


def _note(tx: Transaction, event: str, worker: int, detail: str, now: float) -> None:
    """Write into the log of events, which also wakes who waits."""
    tx.connection.execute(
        insert(events).values(timestamp=now, event=event, worker_id=worker, detail=detail)
    )


# --- what a producer must know ------------------------------------------------------------------


def ids_after(tx: Transaction, key: int) -> dict[str, int]:
    """Return the tasks that were registered after the one with that key: id -> key."""
    query = select(tasks.c.id, tasks.c.key).where(tasks.c.key > key)
    return {row.id: row.key for row in tx.connection.execute(query)}
