"""Claiming a task, and the end of an attempt: what the loop and the reaper do to tasks.

The open attempt is the claim. Completion, failure, release and revocation all close it through
:func:`close_attempt`, the one fence: one row changed, or `ClaimLost` and nothing written.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, insert, select, text, true, update

from slurmband.domain.attempts import Claim, Ending, Outcome, Tally, event_after
from slurmband.domain.states import CLAIMABLE, ENDED_BADLY, Event, TaskState
from slurmband.errors import ClaimLost, InvariantBroken
from slurmband.store.database import Transaction, inserted_key
from slurmband.store.moves import (
    Move,
    block_dependents,
    free_dependents,
    move,
    state_of,
    wait_again,
)
from slurmband.store.schema import attempts, edges, revisions, task_counts, tasks, workflows

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
    row = tx.connection.execute(_NUMBER_AND_FINGERPRINT, {"task": task}).one()
    number: int = row.attempts
    opened = tx.connection.execute(
        insert(attempts).values(
            task=task,
            slot=slot,
            number=number,
            worker=worker,
            claimed_at=now,
            fingerprint=row.fingerprint,
        )
    )
    attempt = inserted_key(opened)
    move(tx, Move(task, Event.CLAIM, now, worker, attempt))
    return Claim(attempt, name, task, number, slot)


_NUMBER_AND_FINGERPRINT = select(tasks.c.attempts, tasks.c.fingerprint).where(
    tasks.c.key == bindparam("task")
)


# --- the end of an attempt ----------------------------------------------------------------------


def close(tx: Transaction, held: Claim, ending: Ending, *, now: float) -> frozenset[str]:
    """Close the claimed attempt, and do to the task and its dependents what follows.

    A completion frees what waited for it, in this transaction; but if another fingerprint was
    registered meanwhile, the task is to run again. A failure or a death with no budget left blocks
    everything downstream. Otherwise the task is ready again, or waits, if what it depends on is to run
    again.

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
        Ids of the tasks that became claimable, this one included if it is to be tried again.

    Raises
    ------
    ClaimLost
        If the attempt is no longer open. Nothing has been written.
    """
    worker, fingerprint = close_attempt(tx, held, ending, now)
    tally = _tally(tx, held.task_key, ending.outcome, fingerprint)
    event = event_after(ending.outcome, tally)
    if event is None:
        return frozenset()
    state = move(tx, Move(held.task_key, event, now, worker, held.attempt))
    if state is TaskState.COMPLETED:
        freed = free_dependents(tx, held.task_key, now)
        if not _is_outdated(tx, held.task_key):
            return freed
        invalidate(tx, [held.task_key], now=now)
    else:
        wait_again(tx, edges.c.downstream == held.task_key, now)
    if state in ENDED_BADLY:
        block_dependents(tx, [held.task_key], now)
    claimable = state_of(tx, held.task_key) in CLAIMABLE
    return frozenset({held.task} if claimable else ())


def close_attempt(
    tx: Transaction, held: Claim, ending: Ending, now: float
) -> tuple[int, str | None]:
    """End the open attempt, or raise `ClaimLost`; this is the fence all reports pass.

    Returns
    -------
    int, str or None
        Key of its worker, and the fingerprint it was of.
    """
    closed = tx.connection.execute(
        update(attempts)
        .where(attempts.c.id == held.attempt, attempts.c.outcome.is_(None))
        .values(outcome=ending.outcome, reason=ending.reason, error=ending.error, ended_at=now)
    )
    if closed.rowcount != 1:
        raise ClaimLost(held.task, held.number)
    of = select(attempts.c.worker, attempts.c.fingerprint).where(attempts.c.id == held.attempt)
    row = tx.connection.execute(of).one()
    return row.worker, row.fingerprint


def _tally(tx: Transaction, task: int, outcome: Outcome, fingerprint: str | None) -> Tally:
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
    values = {
        "free_slots": row.max_parallel_workers - still_open if joinable else 0,
        "failures": tally.failures,
        "deaths": tally.deaths,
        "completions": completions,
    }
    if outcome is Outcome.COMPLETED:
        values["last_fingerprint"] = fingerprint
    tx.connection.execute(update(tasks).where(tasks.c.key == task).values(values))
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


# --- a completion that counts no more -----------------------------------------------------------


def invalidate(tx: Transaction, outdated: Sequence[int], *, now: float) -> None:
    """Let completed tasks run again; what has not started yet waits for them again."""
    for task in outdated:
        begin_new_round(tx, task)
        move(tx, Move(task, Event.INVALIDATE, now))
    if outdated:
        wait_again(tx, true(), now)


def begin_new_round(tx: Transaction, task: int) -> None:
    """Forget what counted towards the end of a task, but not its attempts."""
    tx.connection.execute(
        update(tasks).where(tasks.c.key == task).values(failures=0, deaths=0, completions=0)
    )


def _is_outdated(tx: Transaction, task: int) -> bool:
    """Whether the completion that was just recorded is of another fingerprint than is wanted."""
    row = tx.connection.execute(_FINGERPRINTS, {"task": task}).one()
    known = None not in (row.fingerprint, row.last_fingerprint)
    return known and row.last_fingerprint != row.fingerprint and row.compared


_FINGERPRINTS = select(
    tasks.c.fingerprint,
    tasks.c.last_fingerprint,
    select(revisions.c.fingerprints)
    .order_by(revisions.c.number.desc())
    .limit(1)
    .scalar_subquery()
    .is_not(None)
    .label("compared"),
).where(tasks.c.key == bindparam("task"))
