"""Claiming tasks: the first write of an attempt.

A claim is an open attempt, and nothing else. Several are one call: what a round costs is hardly more
for ten tasks than for one.
"""

import json
from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, column, or_, select, table, text, update

from slurmband.domain.attempts import Claim
from slurmband.domain.states import Event, TaskState
from slurmband.store.database import Transaction
from slurmband.store.moves import Move, move
from slurmband.store.schema import attempts, edges, task_counts, tasks
from slurmband.store.statements import KEYS, Insertion, Row, Statement


def claim(
    tx: Transaction, worker: int, labels: Collection[str], *, limit: int, now: float
) -> list[Claim]:
    """Give a worker up to `limit` tasks that it may run.

    Parameters
    ----------
    tx : Transaction
        Open write transaction; the caller commits.
    worker : int
        Key of the claiming incarnation; of a task that several may run at once it gets one slot.
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
    found: list[Row] = []
    for requirements in _eligible(tx, labels):
        found += _CLAIMABLE.run(tx, requirements=requirements, worker=worker, limit=limit)
    found.sort(key=lambda row: (-row.priority, row.key))
    return _open(tx, found[:limit], worker, now)


def _eligible(tx: Transaction, labels: Collection[str]) -> list[str]:
    """Return the requirement sets in this band that `labels` satisfy."""
    known = [row.requirements for row in _REQUIREMENTS.run(tx)]
    return [text for text in known if set(json.loads(text)) <= set(labels)]


def _open(tx: Transaction, chosen: Sequence[Row], worker: int, now: float) -> list[Claim]:
    if not chosen:
        return []
    first = (_LAST_ATTEMPT.value(tx) or 0) + 1
    claims = [
        Claim(attempt, row.id, row.key, row.attempts + 1, _slot(tx, row), bool(row.awaited))
        for attempt, row in enumerate(chosen, first)
    ]
    _OPEN.run(
        tx,
        [
            (
                *(held.attempt, held.task_key, held.slot, held.number),
                *(worker, now, row.fingerprint),
            )
            for held, row in zip(claims, chosen, strict=True)
        ],
    )
    steps = [
        Move(row.key, TaskState(row.state), Event.CLAIM, worker, held.attempt, row.fingerprint)
        for held, row in zip(claims, chosen, strict=True)
    ]
    move(tx, steps, now, write=_TAKE_SLOT)
    return claims


def _slot(tx: Transaction, row: Row) -> int:
    if row.max_parallel_workers == 1:
        return 0
    taken = {row.slot for row in _TAKEN_SLOTS.run(tx, task=row.key)}
    return next(number for number in range(len(taken) + 1) if number not in taken)


_REQUIREMENTS = Statement(select(task_counts.c.requirements).distinct())
_TAKEN_SLOTS = Statement(
    select(attempts.c.slot).where(
        attempts.c.task == bindparam("task"), attempts.c.outcome.is_(None)
    )
)
_HOLDS_IT = (
    select(attempts.c.id)
    .where(
        attempts.c.task == tasks.c.key,
        attempts.c.outcome.is_(None),
        attempts.c.worker == bindparam("worker"),
    )
    .exists()
)
_CLAIMABLE = Statement(
    select(
        tasks.c.key,
        tasks.c.id,
        tasks.c.priority,
        tasks.c.max_parallel_workers,
        tasks.c.attempts,
        tasks.c.state,
        tasks.c.fingerprint,
        select(edges).where(edges.c.upstream == tasks.c.key).exists().label("awaited"),
    )
    .where(
        text("free_slots > 0"),  # as the index has it
        tasks.c.requirements == bindparam("requirements"),
        or_(tasks.c.max_parallel_workers == 1, ~_HOLDS_IT),
    )
    .order_by(tasks.c.priority.desc(), tasks.c.key)
    .limit(bindparam("limit"))
)
#: The newest attempt that there ever was; SQLite never gives its number again.
_LAST_ATTEMPT = Statement(
    select(column("seq")).select_from(table("sqlite_sequence")).where(text("name = 'attempts'"))
)
_TAKE_SLOT = Statement(
    update(tasks)
    .where(
        tasks.c.key.in_(KEYS),
        tasks.c.state == bindparam("was"),
        tasks.c.free_slots > 0,
    )
    .values(
        state=bindparam("to"),
        free_slots=tasks.c.free_slots - 1,
        attempts=tasks.c.attempts + 1,
    )
)
_OPEN = Insertion(
    *(attempts.c.id, attempts.c.task, attempts.c.slot, attempts.c.number),
    *(attempts.c.worker, attempts.c.claimed_at, attempts.c.fingerprint),
)
