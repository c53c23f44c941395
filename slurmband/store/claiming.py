"""Claiming tasks: the first write of an attempt.

A claim is an open attempt, and nothing else. Several are one call: what a round costs is hardly more
for ten tasks than for one.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Select, bindparam, column, func, or_, select, table, text, update

from slurmband.domain.attempts import Claim
from slurmband.domain.labels import satisfy
from slurmband.domain.states import Event, TaskState
from slurmband.store import durations
from slurmband.store.database import Transaction
from slurmband.store.moves import Move, move
from slurmband.store.schema import attempts, edges, task_counts, tasks
from slurmband.store.schema import durations as learned_table
from slurmband.store.statements import KEYS, Insertion, Row, Statement


@dataclass(frozen=True, slots=True)
class Taker:
    """A worker that is to get tasks.

    Parameters
    ----------
    worker : int
        Key of the incarnation; of a task that several may run at once it gets one slot.
    labels : frozenset of str
        What it offers; a task's requirements must be among them.
    limit : int
        At most so many claims.
    left : float or None
        Seconds that a task may take which it begins now; None: any.
    fresh : bool
        Whether it has begun nothing yet. Then nobody like it ever has more time: where nothing surely
        fits, it gets what fits on the average, or nobody would ever begin that.
    """

    worker: int
    labels: frozenset[str]
    limit: int
    left: float | None = None
    fresh: bool = False


def claim(tx: Transaction, takers: Sequence[Taker], *, now: float) -> dict[int, list[Claim]]:
    """Give workers tasks that they may run.

    Parameters
    ----------
    tx : Transaction
        Open write transaction; the caller commits.
    takers : sequence of Taker
        No two of one worker.
    now : float
        UTC seconds since the epoch.

    Returns
    -------
    dict of int to list of Claim
        For each worker: highest priority first, then in the order of the graph; empty where nothing is
        ready for it. Where there is too little, all get about as much.
    """
    bounded = any(taker.left is not None for taker in takers)
    longest = durations.longest(tx) if bounded else 0.0
    alike: dict[tuple[frozenset[str], float | None], list[Taker]] = {}
    for taker in takers:
        # Who has time for anything is as good as who has no end, and gets tasks together with them.
        left = None if taker.left is None or taker.left >= longest else taker.left
        alike.setdefault((taker.labels, left), []).append(taker)
    found: dict[int, list[Claim]] = {taker.worker: [] for taker in takers}
    for (labels, left), group in alike.items():
        requirements = _eligible(tx, labels)
        ready = _claimable(tx, requirements, group, left)
        if len(group) > 1 and any(row.max_parallel_workers > 1 for row in ready):
            for taker in group:  # they may share tasks, and each finds out which it is not in yet
                _open(tx, _deal(_claimable(tx, requirements, [taker], left), [taker]), now, found)
        else:
            _open(tx, _deal(ready, group), now, found)
    for taker in takers:
        if taker.fresh and not found[taker.worker] and (taker.left or longest) < longest:
            requirements = _eligible(tx, taker.labels)
            ready = _claimable(tx, requirements, [taker], taker.left, on_average=True)
            _open(tx, _deal(ready, [taker]), now, found)
    return found


def _eligible(tx: Transaction, labels: Collection[str]) -> list[str]:
    """Return the requirement sets in this band that `labels` satisfy."""
    known = [row.requirements for row in _REQUIREMENTS.run(tx)]
    return [text for text in known if satisfy(labels, json.loads(text))]


def _claimable(
    tx: Transaction,
    eligible: Collection[str],
    takers: Sequence[Taker],
    left: float | None,
    *,
    on_average: bool = False,
) -> list[Row]:
    """Return what workers that offer the same may take together, the best first."""
    in_time = _CLAIMABLE_ON_AVERAGE if on_average else _CLAIMABLE_IN_TIME
    what = _CLAIMABLE if left is None else in_time
    bound = {} if left is None else {"left": left}
    limit = sum(taker.limit for taker in takers)
    worker = takers[0].worker if len(takers) == 1 else _NO_WORKER
    found: list[Row] = []
    for requirements in eligible:
        found += what.run(tx, requirements=requirements, worker=worker, limit=limit, **bound)
    found.sort(key=lambda row: (-row.priority, row.key))
    return found[:limit]


def _deal(ready: Sequence[Row], takers: Sequence[Taker]) -> list[tuple[int, Row]]:
    """Deal tasks out like cards: to each worker one, and again, up to its limit."""
    dealt: list[tuple[int, Row]] = []
    rows, turn = iter(ready), 0
    while at_table := [taker for taker in takers if taker.limit > turn]:
        before = len(dealt)
        dealt += [(taker.worker, row) for taker, row in zip(at_table, rows, strict=False)]
        if len(dealt) - before < len(at_table):
            break
        turn += 1
    return dealt


def _open(
    tx: Transaction, dealt: Sequence[tuple[int, Row]], now: float, found: dict[int, list[Claim]]
) -> None:
    """Open an attempt at each task that was dealt out, and note whose it is."""
    if not dealt:
        return
    first = (_LAST_ATTEMPT.value(tx) or 0) + 1
    opened, steps = [], []
    for attempt, (worker, row) in enumerate(dealt, first):
        number, slot = row.attempts + 1, _slot(tx, row)
        found[worker].append(
            Claim(
                *(attempt, row.id, row.key, number, slot, bool(row.awaited)),
                *(row.time_limit, _foreseen(row)),
            )
        )
        opened.append((attempt, row.key, slot, number, worker, now, row.fingerprint))
        was = TaskState(row.state)
        steps.append(Move(row.key, was, Event.CLAIM, worker, attempt, row.fingerprint))
    _OPEN.run(tx, opened)
    move(tx, steps, now, write=_TAKE_SLOT)


def _foreseen(row: Row) -> float:
    """Return the seconds that a task will hardly exceed: what its kind takes, or its limit."""
    known = [seconds for seconds in (row.learned, row.time_limit) if seconds is not None]
    return min(known, default=0.0)


def _slot(tx: Transaction, row: Row) -> int:
    if row.max_parallel_workers == 1:
        return 0
    taken = {row.slot for row in _TAKEN_SLOTS.run(tx, task=row.key)}
    return next(number for number in range(len(taken) + 1) if number not in taken)


#: Holds nothing, so that what is ready for any worker is found.
_NO_WORKER: Final = 0
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


def _question(learned: Column[float], *, in_time: bool) -> Select[Any]:
    """Ask for what can be claimed; `learned` says how long tasks of a kind take."""
    takes = select(learned).where(learned_table.c.kind == tasks.c.kind).scalar_subquery()
    question = (
        select(
            tasks.c.key,
            tasks.c.id,
            tasks.c.priority,
            tasks.c.max_parallel_workers,
            tasks.c.attempts,
            tasks.c.state,
            tasks.c.fingerprint,
            select(edges).where(edges.c.upstream == tasks.c.key).exists().label("awaited"),
            tasks.c.time_limit,
            takes.label("learned"),
        )
        .where(
            text("free_slots > 0"),  # as the index has it
            tasks.c.requirements == bindparam("requirements"),
            or_(tasks.c.max_parallel_workers == 1, ~_HOLDS_IT),
        )
        .order_by(tasks.c.priority.desc(), tasks.c.key)
        .limit(bindparam("limit"))
    )
    if not in_time:
        return question
    # Of a kind of which nothing is known, a task without a limit is tried.
    return question.where(
        or_(
            func.coalesce(takes, tasks.c.time_limit, 0) <= bindparam("left"),
            tasks.c.time_limit <= bindparam("left"),
        )
    )


_CLAIMABLE = Statement(_question(learned_table.c.foreseen, in_time=False))
_CLAIMABLE_IN_TIME = Statement(_question(learned_table.c.foreseen, in_time=True))
_CLAIMABLE_ON_AVERAGE = Statement(_question(learned_table.c.mean, in_time=True))
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
