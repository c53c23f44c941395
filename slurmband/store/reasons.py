"""The reads behind `slurmband why`: what the database knows of a task, and of the band."""

import json
import math
from collections.abc import Collection
from typing import Any

from sqlalchemy import exists, func, select

from slurmband.domain.band_facts import (
    ArrayFacts,
    BandFacts,
    Head,
    Held,
    WorkerFacts,
)
from slurmband.domain.budgets import BUDGETS, COUNTERS
from slurmband.domain.facts import AttemptFacts, TaskFacts, Typical
from slurmband.domain.states import CLAIMABLE, TaskState
from slurmband.domain.workers import WorkerStatus
from slurmband.store import growth, listings, queries
from slurmband.store.database import Transaction
from slurmband.store.endings import blockers, failures
from slurmband.store.schema import (
    attempts,
    durations,
    edges,
    elements,
    events,
    submissions,
    task_counts,
    task_statuses,
    tasks,
    workers,
    workflows,
)

# --- one task -----------------------------------------------------------------------------------


def task(tx: Transaction, name: str) -> TaskFacts | None:
    """Return what is known of a task; None if there is no such task."""
    budgets = (func.coalesce(tasks.c[b], workflows.c[b]).label(b) for b in BUDGETS.values())
    columns = [column for column in tasks.c if column.name not in BUDGETS.values()]
    query = select(*columns, *budgets).join_from(tasks, workflows).where(tasks.c.id == name)
    row = tx.connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    came = tx.connection.execute(
        select(task_statuses.c.event, task_statuses.c.timestamp)
        .where(task_statuses.c.task_id == row["key"])
        .order_by(task_statuses.c.id.desc())
        .limit(1)
    ).one_or_none()
    return TaskFacts(
        key=row["key"],
        id=row["id"],
        state=TaskState(row["state"]),
        since=came and came.timestamp,
        event=came and came.event,
        in_graph=bool(row["in_graph"]),
        requirements=frozenset(json.loads(row["requirements"])),
        max_parallel_workers=row["max_parallel_workers"],
        kind=row["kind"],
        time_limit=row["time_limit"],
        typical=_typical(tx, row["kind"]),
        ahead=_ahead(tx, row),
        charged={charge: row[name] for charge, name in COUNTERS.items()},
        budgets={charge: row[name] for charge, name in BUDGETS.items()},
        attempts=tuple(_attempt(found) for found in listings.attempt_rows(tx, name)),
        blocks=_blocked_below(tx, row["key"]),
    )


def _typical(tx: Transaction, kind: str) -> Typical | None:
    row = tx.connection.execute(select(durations).where(durations.c.kind == kind)).one_or_none()
    if row is None or not row.n:
        return None
    return Typical(row.n, row.mean, math.sqrt(row.spread / row.n))


def _ahead(tx: Transaction, row: Any) -> int:
    """Count the tasks that workers take before this one."""
    if not row["free_slots"]:
        return 0
    first = (tasks.c.priority > row["priority"]) | (
        (tasks.c.priority == row["priority"]) & (tasks.c.key < row["key"])
    )
    query = select(func.count()).select_from(tasks).where(tasks.c.free_slots > 0, first)
    return int(tx.connection.execute(query).scalar_one())


def _attempt(row: dict[str, Any]) -> AttemptFacts:
    index = row["array_task_id"]
    return AttemptFacts(
        id=row["id"],
        number=row["attempt"],
        outcome=row["outcome"],
        reason=row["reason"],
        error=row["error"],
        claimed_at=row["started"],
        ended_at=row["ended"],
        worker_key=row["key"],
        worker=row["worker"],
        element=None if index is None else f"{row['array_job_id']}_{index}",
        job=row["job"],
        node=row["node"],
        log=row["log"],
    )


def _blocked_below(tx: Transaction, key: int) -> int:
    query = (
        select(func.count())
        .select_from(edges)
        .join(tasks, tasks.c.key == edges.c.downstream)
        .where(edges.c.upstream == key, tasks.c.state == TaskState.BLOCKED)
    )
    return int(tx.connection.execute(query).scalar_one())


# --- the band -----------------------------------------------------------------------------------


def band(tx: Transaction, *, since: float) -> BandFacts:
    """Return what is known of the band; ``recent`` counts what happened after `since`, UTC seconds."""
    grown = growth.look(tx)
    counts = tx.connection.execute(select(task_counts).where(task_counts.c.n > 0)).all()
    newest = select(events.c.timestamp).order_by(events.c.sequence.desc()).limit(1)
    recent = tx.connection.execute(
        select(task_statuses.c.event, func.count().label("n"))
        .where(task_statuses.c.timestamp > since)
        .group_by(task_statuses.c.event)
    )
    gone = tx.connection.execute(
        select(func.coalesce(workers.c.reason, workers.c.status), func.count())
        .where(workers.c.status != WorkerStatus.ALIVE)
        .group_by(func.coalesce(workers.c.reason, workers.c.status))
    )
    return BandFacts(
        counts={
            (frozenset(json.loads(row.requirements)), TaskState(row.state)): row.n for row in counts
        },
        heads=_heads(tx, {row.requirements for row in counts if row.state in CLAIMABLE}),
        workers=live_workers(tx),
        gone={str(reason): int(n) for reason, n in gone},
        arrays=_arrays(tx),
        stop=tx.connection.execute(select(workflows.c.stop)).scalar_one_or_none(),
        growing=grown is not None and grown.growing,
        producer=grown.producer if grown else None,
        last_event=tx.connection.execute(newest).scalar_one_or_none(),
        recent={row.event: row.n for row in recent},
        failures=failures(tx),
        blockers=blockers(tx),
    )


def _heads(tx: Transaction, wanted: Collection[str]) -> dict[frozenset[str], Head]:
    found = {}
    for requirements in wanted:
        first = tx.connection.execute(
            select(tasks.c.id, tasks.c.kind, tasks.c.time_limit)
            .where(tasks.c.requirements == requirements, tasks.c.free_slots > 0)
            .order_by(tasks.c.priority.desc(), tasks.c.key)
            .limit(1)
        ).one_or_none()
        if first is not None:
            usual = _typical(tx, first.kind)
            known = [usual.foreseen if usual else None, first.time_limit]
            expected = min((seconds for seconds in known if seconds is not None), default=None)
            head = Head(first.id, expected)
            found[frozenset(json.loads(requirements))] = head
    return found


def live_workers(tx: Transaction) -> tuple[WorkerFacts, ...]:
    """Return the workers that nobody has seen end, each with what it holds."""
    oldest = (
        select(attempts.c.worker, func.count().label("n"), func.min(attempts.c.id).label("id"))
        .where(attempts.c.outcome.is_(None))
        .group_by(attempts.c.worker)
        .subquery()
    )
    query = (
        select(
            *(workers.c.key, workers.c.node, workers.c.log, workers.c.ends_at, workers.c.stop),
            *(workers.c.started_at, oldest.c.n, attempts.c.id, attempts.c.claimed_at),
            tasks.c.id.label("task"),
        )
        .join_from(workers, oldest, oldest.c.worker == workers.c.key, isouter=True)
        .join(attempts, attempts.c.id == oldest.c.id, isouter=True)
        .join(tasks, tasks.c.key == attempts.c.task, isouter=True)
        .where(workers.c.status == WorkerStatus.ALIVE)
    )
    rows = {row.key: row for row in tx.connection.execute(query)}
    return tuple(
        WorkerFacts(
            worker=worker,
            node=rows[worker.key].node,
            log=rows[worker.key].log,
            timeout=timeout,
            ends_at=rows[worker.key].ends_at,
            stop=rows[worker.key].stop,
            started_at=rows[worker.key].started_at,
            held=_held(rows[worker.key]),
        )
        for worker, timeout in queries.live_workers(tx)
    )


def _held(row: Any) -> Held | None:
    return None if row.n is None else Held(row.n, row.task, row.id, row.claimed_at)


def _arrays(tx: Transaction) -> tuple[ArrayFacts, ...]:
    seen = exists().where(
        workers.c.array_job_id == submissions.c.array_job_id,
        workers.c.array_task_id == elements.c.array_task_id,
    )
    found = tx.connection.execute(
        select(
            elements.c.submission,
            func.count().label("elements"),
            func.count().filter(~seen).label("unseen"),
            func.min(elements.c.array_task_id).filter(~seen).label("first_unseen"),
        )
        .join_from(elements, submissions)
        .group_by(elements.c.submission)
    )
    joined = {row.submission: row for row in found}
    return tuple(_array(row, joined.get(row["id"])) for row in listings.submission_rows(tx))


def _array(row: dict[str, Any], joined: Any) -> ArrayFacts:
    return ArrayFacts(
        array_job_id=row["array_job_id"],
        array=row["array"],
        cluster=row["cluster"],
        status=row["status"],
        token=row["token"],
        error=row["error"],
        log=row["log"],
        script=row["script"],
        command=tuple(row["command"]),
        created_at=row["created_at"],
        elements=joined.elements if joined else 0,
        unseen=joined.unseen if joined else 0,
        first_unseen=joined.first_unseen if joined else None,
    )


# --- what a name may mean -----------------------------------------------------------------------


def last_worker(tx: Transaction, name: str) -> dict[str, Any] | None:
    """Return the newest incarnation of a worker by its name or its element's: ``36_1``."""
    array, _, index = name.partition("_")
    named = workers.c.name == name
    if array.isdecimal() and index.isdecimal():
        in_element = (workers.c.array_job_id == int(array)) & (
            workers.c.array_task_id == int(index)
        )
        named = named | in_element
    elif name.isdecimal():
        named = named | ((workers.c.job_id == int(name)) & workers.c.array_job_id.is_(None))
    query = select(workers).where(named).order_by(workers.c.key.desc()).limit(1)
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)
