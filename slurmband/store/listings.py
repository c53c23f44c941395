"""Rows for people: plain dictionaries, in the order and with the names that ``--json`` shows."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, select

from slurmband.domain.states import ENDED_BADLY, TaskState
from slurmband.store import error_texts
from slurmband.store.database import Transaction
from slurmband.store.schema import (
    attempts,
    edges,
    elements,
    events,
    revisions,
    submissions,
    task_statuses,
    tasks,
    workers,
)


def task_rows(tx: Transaction, *, states: Collection[str] | None = None) -> list[dict[str, Any]]:
    """List tasks, each with its newest attempt and where that ran."""
    newest = (
        select(attempts.c.task, func.max(attempts.c.id).label("id"))
        .group_by(attempts.c.task)
        .subquery()
    )
    query = (
        select(
            tasks.c.id,
            tasks.c.state,
            tasks.c.attempts,
            workers.c.key,
            workers.c.name.label("worker"),
            workers.c.job_id.label("job"),
            *_ELEMENT,
            workers.c.node,
            attempts.c.claimed_at.label("started"),
            attempts.c.ended_at.label("ended"),
            attempts.c.reason,
            attempts.c.outcome,
            error_texts.OF_ATTEMPT.label("error"),
            workers.c.log,
        )
        .join_from(tasks, newest, newest.c.task == tasks.c.key, isouter=True)
        .join(attempts, attempts.c.id == newest.c.id, isouter=True)
        .join(workers, workers.c.key == attempts.c.worker, isouter=True)
        .order_by(tasks.c.key)
    )
    if states is not None:
        query = query.where(tasks.c.state.in_(states))
    return _dicts(tx, query)


_ELEMENT = (workers.c.array_job_id, workers.c.array_task_id)


def blocking_tasks(tx: Transaction) -> dict[str, tuple[str, str]]:
    """Return, for each blocked task, a task right above it that stands in its way, and its state."""
    above, below = tasks.alias("above"), tasks.alias("below")
    query = (
        select(below.c.id, above.c.id, above.c.state)
        .join_from(edges, above, above.c.key == edges.c.upstream)
        .join(below, below.c.key == edges.c.downstream)
        .where(
            below.c.state == TaskState.BLOCKED,
            above.c.state.in_([*ENDED_BADLY, TaskState.BLOCKED]),
        )
        .order_by(above.c.state == TaskState.BLOCKED)  # what failed itself is the better answer
    )
    found: dict[str, tuple[str, str]] = {}
    for blocked, cause, state in tx.connection.execute(query):
        found.setdefault(blocked, (cause, state))
    return found


def attempt_rows(tx: Transaction, task: str) -> list[dict[str, Any]]:
    """List every attempt of a task, oldest first, with where each ran."""
    query = (
        select(
            attempts.c.id,
            attempts.c.number.label("attempt"),
            attempts.c.outcome,
            attempts.c.reason,
            error_texts.OF_ATTEMPT.label("error"),
            attempts.c.claimed_at.label("started"),
            attempts.c.ended_at.label("ended"),
            workers.c.key,
            workers.c.name.label("worker"),
            workers.c.job_id.label("job"),
            *_ELEMENT,
            workers.c.node,
            workers.c.pid,
            workers.c.log,
        )
        .join_from(attempts, tasks)
        .join(workers, workers.c.key == attempts.c.worker)
        .where(tasks.c.id == task)
        .order_by(attempts.c.id)
    )
    return _dicts(tx, query)


def task_row(tx: Transaction, task: str) -> dict[str, Any] | None:
    """Return one task's own row; None if there is no such task."""
    query = select(tasks.c.id, tasks.c.state, tasks.c.attempts, tasks.c.unmet)
    rows = _dicts(tx, query.where(tasks.c.id == task))
    return rows[0] if rows else None


def place_rows(tx: Transaction) -> list[dict[str, Any]]:
    """List what incarnations are called, and where and when they ran, oldest first."""
    query = select(
        workers.c.key,
        workers.c.name.label("worker"),
        workers.c.node,
        workers.c.job_id.label("job"),
        *_ELEMENT,
        workers.c.log,
        workers.c.started_at.label("started"),
        workers.c.ended_at.label("ended"),
    )
    return _dicts(tx, query.order_by(workers.c.key))


def worker_rows(tx: Transaction) -> list[dict[str, Any]]:
    """List incarnations, each with the tasks it holds and how many it completed."""
    query = select(
        workers.c.key,
        workers.c.name.label("worker"),
        workers.c.status.label("state"),
        workers.c.reason,
        workers.c.job_id.label("job"),
        *_ELEMENT,
        workers.c.restarts,
        workers.c.rank,
        workers.c.node,
        workers.c.pid,
        workers.c.labels,
        workers.c.started_at.label("started"),
        workers.c.ended_at.label("ended"),
        workers.c.log,
    ).order_by(workers.c.key)
    rows = _dicts(tx, query)
    holding: dict[int, list[str]] = {}
    held = select(attempts.c.worker, tasks.c.id).join_from(attempts, tasks)
    held = held.where(attempts.c.outcome.is_(None)).order_by(attempts.c.id)
    for worker, task in tx.connection.execute(held):
        holding.setdefault(worker, []).append(task)
    done = select(attempts.c.worker, func.count()).where(attempts.c.outcome == "completed")
    per_worker = tx.connection.execute(done.group_by(attempts.c.worker)).all()
    completed = {int(row[0]): int(row[1]) for row in per_worker}
    for row in rows:
        row["labels"] = json.loads(row["labels"])
        row["tasks"] = holding.get(row["key"], [])
        row["completed"] = completed.get(row["key"], 0)
    return rows


def event_rows(
    tx: Transaction,
    *,
    after: int = 0,
    newest: int | None = None,
    oldest: int | None = None,
    only: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """List events after a sequence number, oldest first; only the `newest` or `oldest` so many,
    and `only` those of the tasks named.
    """
    query = (
        select(
            events.c.sequence,
            events.c.timestamp,
            events.c.event,
            tasks.c.id.label("task"),
            task_statuses.c.status.label("state"),
            workers.c.name.label("worker"),
            attempts.c.number.label("attempt"),
            events.c.detail,
        )
        .join_from(events, task_statuses, isouter=True)
        .join(tasks, tasks.c.key == task_statuses.c.task_id, isouter=True)
        .join(attempts, attempts.c.id == task_statuses.c.attempt, isouter=True)
        .join(workers, workers.c.key == events.c.worker_id, isouter=True)
        .where(events.c.sequence > after)
    )
    if only is not None:
        query = query.where(tasks.c.id.in_(only))
    if newest is not None:
        return _dicts(tx, query.order_by(events.c.sequence.desc()).limit(newest))[::-1]
    return _dicts(tx, query.order_by(events.c.sequence).limit(oldest))


def element_rows(tx: Transaction) -> list[dict[str, Any]]:
    """List the elements of every queued array, whether a worker has shown up in them or not."""
    query = (
        select(
            submissions.c.cluster,
            submissions.c.array_job_id,
            elements.c.array_task_id,
            elements.c.job_id,
            submissions.c.log,
            submissions.c.token,
        )
        .join_from(elements, submissions)
        .order_by(submissions.c.id, elements.c.array_task_id)
    )
    return _dicts(tx, query)


def submission_rows(tx: Transaction) -> list[dict[str, Any]]:
    """List submissions, oldest first."""
    rows = _dicts(tx, select(submissions).order_by(submissions.c.id))
    for row in rows:
        row["command"] = json.loads(row["command"])
    return rows


def revision_row(tx: Transaction) -> dict[str, Any] | None:
    """Return the registered revision of the graph; None before the first."""
    rows = _dicts(tx, select(revisions).order_by(revisions.c.number.desc()).limit(1))
    return rows[0] if rows else None


def _dicts(tx: Transaction, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.connection.execute(query).mappings()]
