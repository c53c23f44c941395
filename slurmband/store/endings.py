"""What went wrong in a band, the worst first: why tasks ended badly, and how many others that blocks."""

from typing import Final

from sqlalchemy import func, literal, select

from slurmband.domain.band_facts import Blocker, Failure
from slurmband.domain.states import ENDED_BADLY, TaskState
from slurmband.store.database import Transaction
from slurmband.store.schema import attempts, edges, tasks, workers

#: So many causes are told of.
TOP: Final = 5
#: So many tasks that one cause blocks are counted.
_COUNT_TO: Final = 10_000


def failures(tx: Transaction) -> tuple[Failure, ...]:
    """Return why tasks failed or were killed, the most frequent reason first."""
    earlier = attempts.alias("earlier")
    newest = (
        select(func.max(earlier.c.id))
        .where(earlier.c.task == tasks.c.key, earlier.c.outcome.is_not(None))
        .scalar_subquery()
    )
    query = (
        select(
            tasks.c.state,
            attempts.c.reason,
            func.count().label("n"),
            tasks.c.id,
            workers.c.log,
            func.min(tasks.c.key),  # SQLite takes the other columns from the row with the least
        )
        .join_from(tasks, attempts, attempts.c.id == newest)
        .join(workers, workers.c.key == attempts.c.worker)
        .where(tasks.c.state.in_([TaskState.FAILED, TaskState.KILLED]), tasks.c.in_graph == 1)
        .group_by(tasks.c.state, attempts.c.reason)
        .order_by(func.count().desc())
        .limit(TOP)
    )
    return tuple(
        Failure(TaskState(row.state), row.reason, row.n, row.id, row.log)
        for row in tx.connection.execute(query)
    )


def blockers(tx: Transaction) -> tuple[Blocker, ...]:
    """Return the tasks that ended badly and block most others.

    Those right below decide which, and then all that is blocked below each is counted.
    """
    below = tasks.alias("below")
    query = (
        select(tasks.c.key, tasks.c.id, tasks.c.state)
        .join_from(tasks, edges, edges.c.upstream == tasks.c.key)
        .join(below, below.c.key == edges.c.downstream)
        .where(tasks.c.state.in_(ENDED_BADLY), below.c.state == TaskState.BLOCKED)
        .group_by(tasks.c.key)
        .order_by(func.count().desc(), tasks.c.key)
        .limit(TOP)
    )
    found = []
    for row in tx.connection.execute(query).all():
        n = _all_blocked_below(tx, row.key)
        found.append(Blocker(row.id, TaskState(row.state), min(n, _COUNT_TO), n <= _COUNT_TO))
    return tuple(sorted(found, key=lambda blocker: -blocker.blocked))


def _all_blocked_below(tx: Transaction, key: int) -> int:
    """Count what one task blocks, to a little more than is counted to."""
    down = select(literal(key).label("key")).cte("down", recursive=True)
    below = (
        select(edges.c.downstream)
        .join_from(down, edges, edges.c.upstream == down.c.key)
        .join(tasks, tasks.c.key == edges.c.downstream)
        .where(tasks.c.state == TaskState.BLOCKED)
    )
    # SQLite goes on with the recursion only as long as rows are asked for: the task, and one too many.
    reached = select(down.union(below).c.key).limit(_COUNT_TO + 2).subquery()
    query = select(func.count() - 1).select_from(reached)
    return int(tx.connection.execute(query).scalar_one())
