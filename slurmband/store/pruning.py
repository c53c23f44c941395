"""Forgetting old history: rows that refer to a forgotten one go first, so that no reference breaks.

What is pruned is only the record of how a task got where it is. Its state stays, and so do its attempts,
with their fingerprints, until they are asked to go.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, select, update

from slurmband.domain.attempts import Outcome
from slurmband.errors import UsageError
from slurmband.store import error_texts
from slurmband.store.schema import attempts, events, task_statuses

#: How much is kept where nothing else was asked for: history rows of each task, and events.
KEEP_LATEST: Final = 10
KEEP_EVENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went.

    Parameters
    ----------
    statuses, events, attempts : int
    """

    statuses: int = 0
    events: int = 0
    attempts: int = 0


def prune(
    connection: Connection,
    *,
    keep_latest: int = KEEP_LATEST,
    keep_events: int = KEEP_EVENTS,
    keep_attempts: int | None = None,
) -> Pruned:
    """Forget old history of every task, old events, and give the space back.

    Parameters
    ----------
    connection : Connection
        In a write transaction; the caller commits.
    keep_latest : int, default 10
        History rows to keep of each task, the newest; at least 1.
    keep_events : int, default 10000
        Events to keep, the newest.
    keep_attempts : int, optional
        Ended attempts to keep of each task, the newest; None: all.

    Raises
    ------
    UsageError
        If a number is too small.
    """
    for name, number, least in (
        ("keep_latest", keep_latest, 1),
        ("keep_events", keep_events, 0),
        ("keep_attempts", keep_attempts or 0, 0),
    ):
        if number < least:
            raise UsageError(f"{name} is {number}; it is at least {least}.")
    newest = connection.execute(select(func.max(events.c.sequence))).scalar_one() or 0
    old = delete(events).where(events.c.sequence <= newest - keep_events)
    gone = connection.execute(old).rowcount
    statuses, referring = prune_statuses(connection, keep_latest=keep_latest)
    ended = 0 if keep_attempts is None else _prune_attempts(connection, keep_attempts)
    _give_space_back(connection)
    return Pruned(statuses, gone + referring, ended)


def _give_space_back(connection: Connection) -> None:
    """Cut the free pages off the file; the driver lets SQLite cut one at each call."""
    free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    driver: Any = connection.connection.dbapi_connection
    for _ in range(free):
        driver.execute("PRAGMA incremental_vacuum")


def prune_statuses(
    connection: Connection, *, keep_latest: int, among: Collection[int] | None = None
) -> tuple[int, int]:
    """Keep the newest history rows of tasks; return how many rows went, and how many events with them.

    Parameters
    ----------
    connection : Connection
    keep_latest : int
    among : collection of int, optional
        Keys of the tasks; None: all.
    """
    place = func.row_number().over(
        partition_by=task_statuses.c.task_id, order_by=task_statuses.c.id.desc()
    )
    ranked = select(task_statuses.c.id, place.label("place"))
    if among is not None:
        ranked = ranked.where(task_statuses.c.task_id.in_(among))
    found = ranked.subquery()
    old: Select[tuple[int]] = select(found.c.id).where(found.c.place > keep_latest)
    referring = connection.execute(delete(events).where(events.c.status_id.in_(old))).rowcount
    pruned = connection.execute(delete(task_statuses).where(task_statuses.c.id.in_(old))).rowcount
    return pruned, referring


def _prune_attempts(connection: Connection, keep: int) -> int:
    """Keep the open attempts, every task's newest completion, and its newest ended attempts."""
    ended = attempts.c.outcome.is_not(None)
    place = func.row_number().over(partition_by=attempts.c.task, order_by=attempts.c.id.desc())
    ranked = select(attempts.c.id, place.label("place")).where(ended).subquery()
    completed = attempts.c.outcome == Outcome.COMPLETED
    completions = select(func.max(attempts.c.id)).where(completed).group_by(attempts.c.task)
    old = select(ranked.c.id).where(ranked.c.place > keep, ranked.c.id.not_in(completions))
    referring = update(task_statuses).where(task_statuses.c.attempt.in_(old)).values(attempt=None)
    connection.execute(referring)
    gone = connection.execute(delete(attempts).where(attempts.c.id.in_(old))).rowcount
    error_texts.forget_unused(connection)
    return gone
