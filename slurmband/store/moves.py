"""The one way a task moves, and how a move spreads along the edges of the graph.

Every move goes through :func:`move`, which writes the history with it. A completion frees what waited
for it, an end without completion blocks it, and an invalidation makes it wait again; edges remember
whether they were counted, so that nothing is counted down twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, or_, select, update

from slurmband.domain.states import ENDED_BADLY, TRANSITIONS, Event, TaskState
from slurmband.errors import InvariantBroken, RaceLost
from slurmband.store.database import Transaction
from slurmband.store.schema import attempts, edges, task_statuses, tasks

K = TypeVar("K")

#: Members of one IN list; SQLite allows 32766 parameters, older ones 999.
MANY: Final = 500


@dataclass(frozen=True, slots=True)
class Move:
    """One task's step along an edge of the table, and who took it."""

    task: int
    event: Event
    now: float
    worker: int | None = None
    attempt: int | None = None


def move(tx: Transaction, step: Move) -> TaskState:
    """Move a task along its edge of the table, and write the history row with it."""
    was, target = _edge(tx, step)
    values: dict[str, object] = {"state": target}
    if target in (TaskState.READY, TaskState.INVALIDATED):
        values["free_slots"] = tasks.c.max_parallel_workers
    elif target is not TaskState.RUNNING:
        values["free_slots"] = 0
    moved = tx.connection.execute(
        update(tasks).where(and_(tasks.c.key == step.task, tasks.c.state == was)).values(values)
    )
    if moved.rowcount != 1:
        raise RaceLost(f"task {step.task} is no longer {was}")
    tx.connection.execute(
        _HISTORY,
        {
            "moved": step.task,
            "to": target,
            "by": step.event,
            "at": step.now,
            "who": step.worker,
            "within": step.attempt,
        },
    )
    return target


#: A row of the history carries the fingerprint of its attempt, or of the task as registered.
_HISTORY = insert(task_statuses).values(
    task_id=bindparam("moved"),
    status=bindparam("to"),
    event=bindparam("by"),
    timestamp=bindparam("at"),
    worker_id=bindparam("who"),
    attempt=bindparam("within"),
    fingerprint=func.coalesce(
        select(attempts.c.fingerprint)
        .where(attempts.c.id == bindparam("within"))
        .scalar_subquery(),
        select(tasks.c.fingerprint).where(tasks.c.key == bindparam("moved")).scalar_subquery(),
    ),
)


def state_of(tx: Transaction, task: int) -> TaskState:
    """Return where a task is."""
    query = select(tasks.c.state).where(tasks.c.key == task)
    return TaskState(tx.connection.execute(query).scalar_one())


def _edge(tx: Transaction, step: Move) -> tuple[TaskState, TaskState]:
    was = state_of(tx, step.task)
    try:
        return was, TRANSITIONS[was, step.event]
    except KeyError:
        raise InvariantBroken(f"no edge for {step.event} of a task that is {was}") from None


# --- what follows for others --------------------------------------------------------------------


def free_dependents(tx: Transaction, task: int, now: float) -> frozenset[str]:
    """Satisfy the edges that leave a completed task; return the ids that became ready."""
    unsatisfied = and_(edges.c.upstream == task, edges.c.satisfied == 0)
    dependents = select(edges.c.downstream).where(unsatisfied)
    tx.connection.execute(
        update(tasks).where(tasks.c.key.in_(dependents)).values(unmet=tasks.c.unmet - 1)
    )
    freed = tx.connection.execute(
        select(tasks.c.key, tasks.c.id).where(
            tasks.c.key.in_(dependents), tasks.c.unmet == 0, tasks.c.state == TaskState.WAITING
        )
    ).all()
    tx.connection.execute(update(edges).where(unsatisfied).values(satisfied=1))
    for row in freed:
        move(tx, Move(row.key, Event.FREE, now))
    return frozenset(row.id for row in freed)


def block_dependents(tx: Transaction, ended: Iterable[int], now: float) -> None:
    """Block all that waits, directly or not, for tasks that ended without completing."""
    for dependent in downstream(tx, ended, TaskState.WAITING):
        move(tx, Move(dependent, Event.BLOCK, now))


def unblock_dependents(tx: Transaction, restored: Iterable[int], now: float) -> None:
    """Let what `restored` blocked wait again, unless something else still blocks it."""
    freed = downstream(tx, restored, TaskState.BLOCKED)
    for task in freed:
        move(tx, Move(task, Event.UNBLOCK, now))
    block_where_hopeless(tx, freed, now)


def block_where_hopeless(tx: Transaction, waiting: Sequence[int], now: float) -> None:
    """Block those tasks, and what waits for them, that wait for one that ended without completing."""
    causes = (
        select(edges.c.upstream)
        .distinct()
        .join_from(edges, tasks, tasks.c.key == edges.c.upstream)
        .where(or_(tasks.c.state.in_(ENDED_BADLY), tasks.c.state == TaskState.BLOCKED))
    )
    for part in chunks(waiting):
        found = tx.connection.execute(causes.where(edges.c.downstream.in_(part))).scalars().all()
        block_dependents(tx, found, now)


def wait_again(tx: Transaction, among: ColumnElement[bool], now: float) -> None:
    """Let tasks wait for dependencies that had completed and are to run again.

    A running task finishes and a completed one stays; whatever else met such a dependency forgets it.

    Parameters
    ----------
    tx : Transaction
    among : ColumnElement
        Which edges to look at.
    now : float
    """
    above, below = tasks.alias("above"), tasks.alias("below")
    stale = tx.connection.execute(
        select(edges.c.upstream, edges.c.downstream, below.c.state)
        .join_from(edges, above, above.c.key == edges.c.upstream)
        .join(below, below.c.key == edges.c.downstream)
        .where(
            edges.c.satisfied == 1,
            above.c.state != TaskState.COMPLETED,
            below.c.state.not_in([TaskState.RUNNING, TaskState.COMPLETED]),
            among,
        )
    ).all()
    if not stale:
        return
    claimable = {r.downstream for r in stale if r.state in (TaskState.READY, TaskState.INVALIDATED)}
    for task in sorted(claimable):
        move(tx, Move(task, Event.HOLD, now))
    tx.connection.execute(_UNSATISFY, [{"up": r.upstream, "down": r.downstream} for r in stale])
    tx.connection.execute(_COUNT_UP, [{"task": row.downstream} for row in stale])
    block_where_hopeless(tx, sorted(claimable), now)


_UNSATISFY = (
    update(edges)
    .where(edges.c.upstream == bindparam("up"), edges.c.downstream == bindparam("down"))
    .values(satisfied=0)
)
_COUNT_UP = update(tasks).where(tasks.c.key == bindparam("task")).values(unmet=tasks.c.unmet + 1)


def downstream(tx: Transaction, origins: Iterable[int], state: TaskState) -> list[int]:
    """Return the tasks in `state` that a path of such tasks joins to one of `origins`."""
    found: dict[int, None] = {}
    frontier = list(origins)
    while frontier:
        rows = tx.connection.execute(
            select(tasks.c.key)
            .distinct()
            .join_from(edges, tasks, tasks.c.key == edges.c.downstream)
            .where(edges.c.upstream.in_(frontier[:MANY]), tasks.c.state == state)
        ).scalars()
        new = [key for key in rows if key not in found]
        found |= dict.fromkeys(new)
        frontier = frontier[MANY:] + new
    return list(found)


def chunks(keys: Sequence[K]) -> Iterator[Sequence[K]]:
    """Cut a sequence into parts that fit one IN list."""
    for start in range(0, len(keys), MANY):
        yield keys[start : start + MANY]
