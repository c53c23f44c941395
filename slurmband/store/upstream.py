"""The walk up the graph from a task that waits, or is blocked, to what it comes down to.

Level by level, a query for many tasks at a time, and no further than some thousands of them: what is
asked for is a cause, not the whole graph. Where that is not far enough to meet one, a single path is
followed to its end.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, func, literal, select

from slurmband.domain.facts import Root, Upstream
from slurmband.domain.states import ENDED_BADLY, TaskState
from slurmband.store.database import Transaction
from slurmband.store.moves import STATE_ALONG_EDGE, chunks
from slurmband.store.schema import attempts, edges, tasks
from slurmband.store.statements import MANY, Row

#: So many tasks are looked at.
FAR: Final = 5000
_Conditions = Sequence[ColumnElement[Any]]


@dataclass(slots=True)
class _Walk:
    """What a walk has seen: each task with the one that led to it, in the order of the walk."""

    came_from: dict[int, int]
    names: dict[int, str]
    seen: list[Row] = field(default_factory=list)
    whole: bool = True

    def comes_to(self, row: Row) -> bool:
        """Note a task; False if the walk has been there."""
        if row.key in self.names:
            return False
        self.came_from[row.key], self.names[row.key] = row.downstream, row.id
        self.seen.append(row)
        return True

    def path(self, key: int) -> tuple[str, ...]:
        """Return the names from the beginning of the walk to a task."""
        names = [self.names[key]]
        while (key := self.came_from.get(key, 0)) in self.names:
            names.append(self.names[key])
        return tuple(reversed(names))


def upstream(tx: Transaction, key: int, name: str, state: TaskState, *, far: int = FAR) -> Upstream:
    """Find what a task waits for, or what blocks it.

    Parameters
    ----------
    tx : Transaction
    key : int
    name : str
        The task.
    state : TaskState
        Where it is: WAITING or BLOCKED. The walk goes on through tasks in the same state.
    far : int, default FAR
        How many tasks to look at.
    """
    in_the_way = [edges.c.satisfied == 0]  # what has completed is in nobody's way
    if state is TaskState.BLOCKED:
        in_the_way.append(STATE_ALONG_EDGE.in_([*ENDED_BADLY, TaskState.BLOCKED]))
    walk, frontier = _Walk({}, {key: name}), [key]
    while frontier:
        left = far - len(walk.names)
        if left <= 0:
            walk.whole = False
            break
        rows = _above(tx, frontier[:MANY], state, in_the_way, left + 1)
        frontier = frontier[MANY:]
        walk.whole = walk.whole and len(rows) <= left
        frontier += [row.key for row in rows[:left] if walk.comes_to(row) and row.state == state]
    ends = [row for row in walk.seen if row.state != state] or _far_end(tx, walk, state, in_the_way)
    return Upstream(_direct(tx, key, in_the_way), _roots(tx, walk, ends), walk.whole)


def _far_end(tx: Transaction, walk: _Walk, through: TaskState, among: _Conditions) -> Sequence[Row]:
    """Follow one path, from where the walk came to last, by what is first in the graph's order."""
    if not walk.seen:
        return []
    path = select(
        literal(walk.seen[-1].downstream).label("downstream"),
        literal(walk.seen[-1].key).label("key"),
    ).cte("path", recursive=True)
    here = tasks.alias("here")
    above = (
        select(func.min(edges.c.upstream))
        .join(tasks, tasks.c.key == edges.c.upstream)
        .where(edges.c.downstream == path.c.key, *among)
        .scalar_subquery()
        .correlate(path)
    )
    step = select(path.c.key, above).join_from(path, here, here.c.key == path.c.key)
    path = path.union_all(step.where(func.coalesce(here.c.state, "") == through))
    query = (
        select(path.c.downstream, tasks.c.key, tasks.c.id, tasks.c.state, tasks.c.requirements)
        .join_from(path, tasks, tasks.c.key == path.c.key)
        .where(path.c.key.is_not(None))
    )
    rows = [row for row in tx.connection.execute(query) if walk.comes_to(row)]
    return [row for row in rows if row.state != through]


def _above(
    tx: Transaction, keys: list[int], through: TaskState, among: _Conditions, limit: int
) -> Sequence[Row]:
    """Return what is right above some tasks, first what the walk ends at."""
    query = (
        select(edges.c.downstream, tasks.c.key, tasks.c.id, tasks.c.state, tasks.c.requirements)
        .join_from(edges, tasks, tasks.c.key == edges.c.upstream)
        .where(edges.c.downstream.in_(keys), *among)
        .order_by(tasks.c.state == through, tasks.c.key)
        .limit(limit)
    )
    return tx.connection.execute(query).all()


def _direct(tx: Transaction, key: int, among: _Conditions) -> dict[TaskState, int]:
    query = (
        select(tasks.c.state, func.count().label("n"))
        .join_from(edges, tasks, tasks.c.key == edges.c.upstream)
        .where(edges.c.downstream == key, *among)
        .group_by(tasks.c.state)
    )
    return {TaskState(row.state): row.n for row in tx.connection.execute(query)}


def _roots(tx: Transaction, walk: _Walk, ends: Sequence[Row]) -> tuple[Root, ...]:
    running = [row.key for row in ends if row.state == TaskState.RUNNING]
    since: dict[int, float] = {}
    for part in chunks(running):
        query = select(attempts.c.task, func.min(attempts.c.claimed_at).label("since"))
        query = query.where(attempts.c.task.in_(part), attempts.c.outcome.is_(None))
        since |= {
            row.task: row.since for row in tx.connection.execute(query.group_by(attempts.c.task))
        }
    return tuple(
        Root(
            row.id,
            TaskState(row.state),
            frozenset(json.loads(row.requirements)),
            walk.path(row.key),
            since.get(row.key),
        )
        for row in ends
    )
