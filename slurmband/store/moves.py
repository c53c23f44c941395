"""The one way a task moves, and how a move spreads along the edges of the graph.

Every move goes through :func:`move`, which writes the history with it. A completion frees what waited
for it, an end without completion blocks it, and an invalidation makes it wait again; edges remember
whether they were counted, so that nothing is counted down twice.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, bindparam, case, func, select, update

from slurmband.domain.states import CLAIMABLE, ENDED_BADLY, TRANSITIONS, Event, TaskState
from slurmband.errors import InvariantBroken, RaceLost
from slurmband.store.database import Transaction
from slurmband.store.schema import edges, task_statuses, tasks
from slurmband.store.statements import KEYS, MANY, Insertion, Statement, Values

K = TypeVar("K")
#: Where a task that an edge leads to is. Written so that SQLite does not go by the index of states, and
#: so through all tasks that are in one of them.
STATE_ALONG_EDGE: Final = func.coalesce(tasks.c.state, "")


class Move(NamedTuple):
    """One task's step along an edge of the table, and who took it.

    Parameters
    ----------
    task : int
    was : TaskState
        Where it was seen; if it is not there any more, nothing is written.
    event : Event
    worker, attempt : int, optional
    fingerprint : str, optional
        Of the attempt, or else the task's own: for the history.
    """

    task: int
    was: TaskState
    event: Event
    worker: int | None = None
    attempt: int | None = None
    fingerprint: str | None = None


def move(
    tx: Transaction,
    steps: Collection[Move],
    now: float,
    *,
    write: Statement | None = None,
    values: Mapping[int, Values] = MappingProxyType({}),
) -> dict[int, TaskState]:
    """Move tasks along edges of the table, and write the history with it.

    Parameters
    ----------
    tx : Transaction
    steps : collection of Move
        No two of one task.
    now : float
        UTC seconds since the epoch.
    write : Statement, optional
        What writes the `KEYS` that ``was`` somewhere and goes ``to`` somewhere else, with the `values`
        that are given for each; by default only that.
    values : mapping of int to mapping, optional

    Returns
    -------
    dict of int to TaskState
        Where each task is now.

    Raises
    ------
    RaceLost
        If a task is not where it was seen.
    """
    reached: dict[int, TaskState] = {}
    written: dict[int, Values] = {}
    history = []
    for task, was, event, worker, attempt, fingerprint in steps:
        reached[task] = state = along(was, event)
        to = state.value
        written[task] = {"was": was.value, "to": to, **values.get(task, {})}
        history.append((task, to, event.value, now, worker, attempt, fingerprint))
    moved = (write or _MOVE).change(tx, written)
    if moved != len(steps):
        raise RaceLost(f"{len(steps) - moved} of {len(steps)} tasks are not where they were")
    _HISTORY.run(tx, history)
    return reached


def move_from_there(tx: Transaction, events: Mapping[int, Event], now: float) -> None:
    """Move tasks by an event each, from wherever they are."""
    found = _WHERE.run_for(tx, events)
    steps = [
        Move(row.key, TaskState(row.state), events[row.key], fingerprint=row.fingerprint)
        for row in found
    ]
    move(tx, steps, now)


def along(was: TaskState, event: Event) -> TaskState:
    """Return where an edge of the table leads."""
    try:
        return TRANSITIONS[was, event]
    except KeyError:
        raise InvariantBroken(f"no edge for {event} of a task that is {was}") from None


_WHERE = Statement(
    select(tasks.c.key, tasks.c.state, tasks.c.fingerprint).where(tasks.c.key.in_(KEYS))
)
_MOVE = Statement(
    update(tasks)
    .where(tasks.c.key.in_(KEYS), tasks.c.state == bindparam("was"))
    .values(
        state=bindparam("to"),
        free_slots=case(
            {
                **dict.fromkeys(CLAIMABLE, tasks.c.max_parallel_workers),
                TaskState.RUNNING: tasks.c.free_slots,
            },
            value=bindparam("to"),
            else_=0,
        ),
    )
)
_HISTORY = Insertion(
    *(task_statuses.c.task_id, task_statuses.c.status, task_statuses.c.event),
    *(task_statuses.c.timestamp, task_statuses.c.worker_id, task_statuses.c.attempt),
    task_statuses.c.fingerprint,
)


def state_of(tx: Transaction, task: int) -> TaskState:
    """Return where a task is."""
    return states_of(tx, [task])[task]


def states_of(tx: Transaction, keys: Collection[int]) -> dict[int, TaskState]:
    """Return where each of some tasks is."""
    return {row.key: TaskState(row.state) for row in _WHERE.run_for(tx, keys)}


# --- what follows for others --------------------------------------------------------------------


def free_dependents(tx: Transaction, completed: Collection[int], now: float) -> frozenset[str]:
    """Satisfy the edges that leave completed tasks; return the ids that became ready."""
    leading = _UNSATISFIED.run_for(tx, completed)
    if not leading:
        return frozenset()
    counted, unmet = Counter(task for task, _ in leading), dict(leading)
    _COUNT_DOWN.change(tx, {task: {"n": n} for task, n in counted.items()})
    _SATISFY.run_for(tx, completed)
    return free(tx, [task for task, n in counted.items() if n == unmet[task]], now)


def free(tx: Transaction, among: Collection[int], now: float) -> frozenset[str]:
    """Make those of some waiting tasks ready that wait for nothing any more; return their ids."""
    met = _MET.run_for(tx, among)
    was, event = TaskState.WAITING, Event.FREE
    move(tx, [Move(row.key, was, event, fingerprint=row.fingerprint) for row in met], now)
    return frozenset(row.id for row in met)


_UNSATISFIED = Statement(
    select(tasks.c.key, tasks.c.unmet)  # a row for each edge
    .join_from(edges, tasks, tasks.c.key == edges.c.downstream)
    .where(edges.c.upstream.in_(KEYS), edges.c.satisfied == 0)
)
_COUNT_DOWN = Statement(
    update(tasks).where(tasks.c.key.in_(KEYS)).values(unmet=tasks.c.unmet - bindparam("n"))
)
_SATISFY = Statement(
    update(edges).where(edges.c.upstream.in_(KEYS), edges.c.satisfied == 0).values(satisfied=1)
)
_MET = Statement(
    select(tasks.c.key, tasks.c.id, tasks.c.fingerprint).where(
        tasks.c.key.in_(KEYS), tasks.c.unmet == 0, STATE_ALONG_EDGE == TaskState.WAITING
    )
)


def block_dependents(tx: Transaction, ended: Iterable[int], now: float) -> None:
    """Block all that waits, directly or not, for tasks that ended without completing."""
    waiting = downstream(tx, ended, TaskState.WAITING)
    move_from_there(tx, dict.fromkeys(waiting, Event.BLOCK), now)


def unblock_dependents(tx: Transaction, restored: Iterable[int], now: float) -> None:
    """Let what `restored` blocked wait again, unless something else still blocks it."""
    freed = downstream(tx, restored, TaskState.BLOCKED)
    move_from_there(tx, dict.fromkeys(freed, Event.UNBLOCK), now)
    block_where_hopeless(tx, freed, now)


def block_where_hopeless(tx: Transaction, waiting: Sequence[int], now: float) -> None:
    """Block those tasks, and what waits for them, that wait for one that ended without completing."""
    causes = (
        select(edges.c.upstream)
        .distinct()
        .join_from(edges, tasks, tasks.c.key == edges.c.upstream)
        .where(STATE_ALONG_EDGE.in_([*ENDED_BADLY, TaskState.BLOCKED]))
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
    claimable = sorted({row.downstream for row in stale if row.state in CLAIMABLE})
    move_from_there(tx, dict.fromkeys(claimable, Event.HOLD), now)
    _UNSATISFY.run_many(tx, [{"up": row.upstream, "down": row.downstream} for row in stale])
    _COUNT_UP.run_many(tx, [{"task": row.downstream} for row in stale])
    block_where_hopeless(tx, claimable, now)


_UNSATISFY = Statement(
    update(edges)
    .where(edges.c.upstream == bindparam("up"), edges.c.downstream == bindparam("down"))
    .values(satisfied=0)
)
_COUNT_UP = Statement(
    update(tasks).where(tasks.c.key == bindparam("task")).values(unmet=tasks.c.unmet + 1)
)


def downstream(tx: Transaction, origins: Iterable[int], state: TaskState) -> list[int]:
    """Return the tasks in `state` that a path of such tasks joins to one of `origins`."""
    found: dict[int, None] = {}
    frontier = list(origins)
    while frontier:
        rows = tx.connection.execute(
            select(tasks.c.key)
            .distinct()
            .join_from(edges, tasks, tasks.c.key == edges.c.downstream)
            .where(edges.c.upstream.in_(frontier[:MANY]), STATE_ALONG_EDGE.in_([state]))
        ).scalars()
        new = [key for key in rows if key not in found]
        found |= dict.fromkeys(new)
        frontier = frontier[MANY:] + new
    return list(found)


def chunks(keys: Sequence[K]) -> Iterator[Sequence[K]]:
    """Cut a sequence into parts that fit one IN list."""
    for start in range(0, len(keys), MANY):
        yield keys[start : start + MANY]
