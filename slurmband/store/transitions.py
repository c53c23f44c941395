"""Every change of a task's state: one function per event, each a compare-and-swap.

The open attempt is the claim. Completion, failure, release and revocation all close it through
:func:`_close_attempt`, the one fence: one row changed, or `ClaimLost` and nothing written. Every
move of a task goes through :func:`_move`, which writes the history with it.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from slurmband.domain.attempts import Claim, Ending, Outcome, Tally, event_after
from slurmband.domain.states import ENDED_BADLY, TRANSITIONS, Event, TaskState
from slurmband.errors import ClaimLost, InvariantBroken, RaceLost
from slurmband.store.database import Transaction, inserted_key
from slurmband.store.schema import attempts, edges, task_counts, task_statuses, tasks, workflows


@dataclass(frozen=True, slots=True)
class Move:
    """One task's step along an edge of the table, and who took it."""

    task: int
    event: Event
    now: float
    worker: int | None = None
    attempt: int | None = None


# --- claim --------------------------------------------------------------------------------------


def claim(
    tx: Transaction, worker: int, labels: Collection[str], *, limit: int, now: float
) -> list[Claim]:
    """Give a worker up to `limit` tasks that it may run.

    Parameters
    ----------
    tx : Transaction
        Open write transaction; the caller commits.
    worker : int
        Key of the claiming incarnation.
    labels : collection of str
        What the worker offers; a task's requirements must be among them.
    limit : int
        At most so many claims.
    now : float
        UTC seconds since the epoch.

    Returns
    -------
    list of Claim
        Highest priority first, then in the order of the graph; empty where nothing is ready.
    """
    found: list[Any] = []
    for requirements in _eligible(tx, labels):
        found += tx.connection.execute(
            _CLAIMABLE, {"requirements": requirements, "limit": limit}
        ).all()
    found.sort(key=lambda row: (-row.priority, row.key))
    return [_claim_one(tx, row.key, row.id, worker, now) for row in found[:limit]]


_CLAIMABLE = (
    select(tasks.c.key, tasks.c.id, tasks.c.priority)
    .where(text("free_slots > 0"), tasks.c.requirements == bindparam("requirements"))
    .order_by(tasks.c.priority.desc(), tasks.c.key)
    .limit(bindparam("limit"))
)


def _eligible(tx: Transaction, labels: Collection[str]) -> list[str]:
    """Return the requirement sets in this band that `labels` satisfy."""
    known = tx.connection.execute(select(task_counts.c.requirements).distinct()).scalars()
    return [text for text in known if set(json.loads(text)) <= set(labels)]


def _claim_one(tx: Transaction, task: int, name: str, worker: int, now: float) -> Claim:
    taken = set(
        tx.connection.execute(
            select(attempts.c.slot).where(attempts.c.task == task, attempts.c.outcome.is_(None))
        ).scalars()
    )
    slot = next(number for number in range(len(taken) + 1) if number not in taken)
    taken_one = tx.connection.execute(
        update(tasks)
        .where(tasks.c.key == task, tasks.c.free_slots > 0)
        .values(free_slots=tasks.c.free_slots - 1, attempts=tasks.c.attempts + 1)
    )
    if taken_one.rowcount != 1:
        raise InvariantBroken(f"task {name!r} was claimable and is not, within one transaction")
    number = tx.connection.execute(select(tasks.c.attempts).where(tasks.c.key == task)).scalar_one()
    opened = tx.connection.execute(
        insert(attempts).values(task=task, slot=slot, number=number, worker=worker, claimed_at=now)
    )
    attempt = inserted_key(opened)
    _move(tx, Move(task, Event.CLAIM, now, worker, attempt))
    return Claim(attempt, name, task, number, slot)


# --- the end of an attempt ----------------------------------------------------------------------


def close(tx: Transaction, held: Claim, ending: Ending, *, now: float) -> frozenset[str]:
    """Close the claimed attempt, and do to the task and its dependents what follows.

    A completion frees what waited for it, in this transaction. A failure or a death with no budget
    left blocks everything downstream. Otherwise the task is ready again.

    Parameters
    ----------
    tx : Transaction
    held : Claim
    ending : Ending
    now : float
        UTC seconds since the epoch.

    Returns
    -------
    frozenset of str
        Ids of the tasks that became ready, this one included if it is to be tried again.

    Raises
    ------
    ClaimLost
        If the attempt is no longer open. Nothing has been written.
    """
    worker = _close_attempt(tx, held, ending, now)
    tally = _tally(tx, held.task_key, ending.outcome)
    event = event_after(ending.outcome, tally)
    if event is None:
        return frozenset()
    state = _move(tx, Move(held.task_key, event, now, worker, held.attempt))
    if state is TaskState.COMPLETED:
        return _free_dependents(tx, held.task_key, now)
    if state in ENDED_BADLY:
        _block_dependents(tx, [held.task_key], now)
        return frozenset()
    return frozenset({held.task})


def _close_attempt(tx: Transaction, held: Claim, ending: Ending, now: float) -> int:
    """End the open attempt, or raise `ClaimLost`; this is the fence all reports pass."""
    closed = tx.connection.execute(
        update(attempts)
        .where(attempts.c.id == held.attempt, attempts.c.outcome.is_(None))
        .values(outcome=ending.outcome, reason=ending.reason, error=ending.error, ended_at=now)
    )
    if closed.rowcount != 1:
        raise ClaimLost(held.task, held.number)
    return int(
        tx.connection.execute(
            select(attempts.c.worker).where(attempts.c.id == held.attempt)
        ).scalar_one()
    )


def _tally(tx: Transaction, task: int, outcome: Outcome) -> Tally:
    """Count this end on the task, and return what it has behind it now."""
    still_open = tx.connection.execute(
        select(func.count()).where(attempts.c.task == task, attempts.c.outcome.is_(None))
    ).scalar_one()
    row = tx.connection.execute(_FOR_TALLY, {"task": task}).one()
    completions = row.completions + (outcome is Outcome.COMPLETED)
    tally = Tally(
        still_open,
        completions > 0,
        row.failures + (outcome is Outcome.FAILED),
        row.deaths + (outcome is Outcome.KILLED),
        row.max_failed_retries,
        row.max_killed_retries,
    )
    # After a completion, or with a budget spent, nobody joins who is still in it.
    joinable = still_open and not tally.completed and not tally.spent
    tx.connection.execute(
        update(tasks)
        .where(tasks.c.key == task)
        .values(
            free_slots=row.max_parallel_workers - still_open if joinable else 0,
            failures=tally.failures,
            deaths=tally.deaths,
            completions=completions,
        )
    )
    return tally


def _budget(name: str) -> ColumnElement[int]:
    """Return the task's own budget where it has one, else the band's."""
    return func.coalesce(tasks.c[name], workflows.c[name]).label(name)


_FOR_TALLY = (
    select(
        tasks.c.completions,
        tasks.c.max_parallel_workers,
        tasks.c.failures,
        tasks.c.deaths,
        _budget("max_failed_retries"),
        _budget("max_killed_retries"),
    )
    .join_from(tasks, workflows)
    .where(tasks.c.key == bindparam("task"))
)


# --- what follows for others --------------------------------------------------------------------


def _free_dependents(tx: Transaction, task: int, now: float) -> frozenset[str]:
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
        _move(tx, Move(row.key, Event.FREE, now))
    return frozenset(row.id for row in freed)


def _block_dependents(tx: Transaction, ended: Iterable[int], now: float) -> None:
    """Block all that waits, directly or not, for tasks that ended without completing."""
    for dependent in _downstream(tx, ended, TaskState.WAITING):
        _move(tx, Move(dependent, Event.BLOCK, now))


def _downstream(tx: Transaction, origins: Iterable[int], state: TaskState) -> list[int]:
    """Return the tasks in `state` that a path of such tasks joins to one of `origins`."""
    found: dict[int, None] = {}
    frontier = list(origins)
    while frontier:
        rows = tx.connection.execute(
            select(tasks.c.key)
            .distinct()
            .join_from(edges, tasks, tasks.c.key == edges.c.downstream)
            .where(edges.c.upstream.in_(frontier[:_MANY]), tasks.c.state == state)
        ).scalars()
        new = [key for key in rows if key not in found]
        found |= dict.fromkeys(new)
        frontier = frontier[_MANY:] + new
    return list(found)


#: Members of one IN list; SQLite allows 32766 parameters, older ones 999.
_MANY = 500


# --- by people, and by a new revision of the graph ----------------------------------------------


def reset(tx: Transaction, names: Sequence[str] | None, *, now: float) -> list[str]:
    """Make tasks that failed or were killed ready again, with whole budgets; unblock what waited.

    Parameters
    ----------
    tx : Transaction
    names : sequence of str or None
        Which tasks; None: all that failed or were killed.
    now : float

    Returns
    -------
    list of str
        The tasks that are to be tried again.
    """
    retryable = tasks.c.state.in_([TaskState.FAILED, TaskState.KILLED])
    rows = tx.connection.execute(select(tasks.c.key, tasks.c.id).where(retryable)).all()
    chosen = [row for row in rows if names is None or row.id in set(names)]
    for row in chosen:
        tx.connection.execute(
            update(tasks).where(tasks.c.key == row.key).values(failures=0, deaths=0)
        )
        _move(tx, Move(row.key, Event.RESET, now))
    _unblock(tx, [row.key for row in chosen], now)
    return [row.id for row in chosen]


def _unblock(tx: Transaction, restored: Iterable[int], now: float) -> None:
    """Let what was blocked by `restored` wait again, unless something else still blocks it."""
    freed = _downstream(tx, restored, TaskState.BLOCKED)
    for task in freed:
        _move(tx, Move(task, Event.UNBLOCK, now))
    still = (
        select(edges.c.upstream)
        .distinct()
        .join_from(edges, tasks, tasks.c.key == edges.c.upstream)
        .where(or_(tasks.c.state.in_(ENDED_BADLY), tasks.c.state == TaskState.BLOCKED))
    )
    for start in range(0, len(freed), _MANY):
        part = freed[start : start + _MANY]
        causes = tx.connection.execute(still.where(edges.c.downstream.in_(part))).scalars().all()
        _block_dependents(tx, causes, now)


def drop(tx: Transaction, gone: Iterable[int], *, now: float) -> None:
    """Cancel tasks that the current revision of the graph does not have."""
    for task in gone:
        _move(tx, Move(task, Event.DROP, now))


def disown(tx: Transaction, held: Claim, *, now: float) -> None:
    """Hand back a claim on a task that the current revision does not have, and cancel the task.

    While others are in it, it is only closed to newcomers.
    """
    close(tx, held, Ending(Outcome.RELEASED, "no longer in the graph"), now=now)
    if _state(tx, held.task_key) is TaskState.RUNNING:
        tx.connection.execute(
            update(tasks).where(tasks.c.key == held.task_key).values(free_slots=0)
        )
    else:
        drop(tx, [held.task_key], now=now)


def hold(tx: Transaction, rewired: Iterable[int], *, now: float) -> None:
    """Make tasks wait, so that their dependencies can be written anew."""
    events = {
        TaskState.READY: Event.HOLD,
        TaskState.BLOCKED: Event.UNBLOCK,
        TaskState.CANCELLED: Event.RESTORE,
    }
    for task in rewired:
        state = _state(tx, task)
        if state in events:
            _move(tx, Move(task, events[state], now))


def settle(tx: Transaction, rewired: Sequence[int], *, now: float) -> None:
    """Free or block waiting tasks whose dependencies have just been written."""
    for task in _downstream(tx, rewired, TaskState.BLOCKED):
        _move(tx, Move(task, Event.UNBLOCK, now))  # what still blocks it does so again below
    for task in rewired:
        unmet = tx.connection.execute(select(tasks.c.unmet).where(tasks.c.key == task)).scalar_one()
        if unmet == 0:
            _move(tx, Move(task, Event.FREE, now))
    ended = select(tasks.c.key).where(tasks.c.state.in_([*ENDED_BADLY, TaskState.BLOCKED]))
    has_dependents = exists().where(edges.c.upstream == tasks.c.key)
    _block_dependents(tx, tx.connection.execute(ended.where(has_dependents)).scalars().all(), now)


# --- the one way a task moves -------------------------------------------------------------------


def _move(tx: Transaction, move: Move) -> TaskState:
    """Move a task along its edge of the table, and write the history row with it."""
    was, target = _edge(tx, move)
    values: dict[str, object] = {"state": target}
    if target is TaskState.READY:
        values["free_slots"] = tasks.c.max_parallel_workers
    elif target is not TaskState.RUNNING:
        values["free_slots"] = 0
    moved = tx.connection.execute(
        update(tasks).where(and_(tasks.c.key == move.task, tasks.c.state == was)).values(values)
    )
    if moved.rowcount != 1:
        raise RaceLost(f"task {move.task} is no longer {was}")
    tx.connection.execute(
        insert(task_statuses).values(
            task_id=move.task,
            status=target,
            event=move.event,
            timestamp=move.now,
            worker_id=move.worker,
            attempt=move.attempt,
        )
    )
    return target


def _edge(tx: Transaction, move: Move) -> tuple[TaskState, TaskState]:
    was = _state(tx, move.task)
    try:
        return was, TRANSITIONS[was, move.event]
    except KeyError:
        raise InvariantBroken(f"no edge for {move.event} of a task that is {was}") from None


def _state(tx: Transaction, task: int) -> TaskState:
    return TaskState(
        tx.connection.execute(select(tasks.c.state).where(tasks.c.key == task)).scalar_one()
    )
