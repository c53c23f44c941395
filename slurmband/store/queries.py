"""What is read to decide by: what is where, who is who, and what led to it."""

import json
from collections.abc import Collection

from sqlalchemy import RowMapping, bindparam, func, literal, select

from slurmband.domain.attempts import Claim, Reason
from slurmband.domain.labels import satisfy
from slurmband.domain.processes import ProcessIdentity
from slurmband.domain.states import CLAIMABLE, TaskState
from slurmband.domain.workers import LOCAL_CLUSTER, Element, Worker, WorkerStatus
from slurmband.store.counts import Counts
from slurmband.store.database import Transaction
from slurmband.store.schema import (
    WORKFLOW,
    attempts,
    events,
    submissions,
    task_counts,
    tasks,
    workers,
)
from slurmband.store.statements import KEYS, Statement


def workers_alive(tx: Transaction) -> int:
    """Count the workers that nobody has seen end."""
    return int(_WORKERS_ALIVE.value(tx))


def workers_busy(tx: Transaction) -> int:
    """Count the workers that hold a claim."""
    return int(_WORKERS_BUSY.value(tx))


_WORKERS_ALIVE = Statement(
    select(func.count()).where(
        workers.c.workflow_id == WORKFLOW, workers.c.status == WorkerStatus.ALIVE
    )
)
_WORKERS_BUSY = Statement(
    select(func.count(attempts.c.worker.distinct())).where(attempts.c.outcome.is_(None))
)


def unservable(tx: Transaction) -> list[str]:
    """Return the requirement sets of claimable tasks that no live worker satisfies."""
    offered = _offered(tx)
    wanted = tx.connection.execute(
        select(task_counts.c.requirements)
        .distinct()
        .where(task_counts.c.state.in_(CLAIMABLE), task_counts.c.n > 0)
    ).scalars()
    return [w for w in wanted if not any(satisfy(has, json.loads(w)) for has in offered)]


def _offered(tx: Transaction) -> list[set[str]]:
    """Return what live workers offer, each set once."""
    alive = select(workers.c.labels).distinct().where(workers.c.status == WorkerStatus.ALIVE)
    return [set(json.loads(labels)) for labels in tx.connection.execute(alive).scalars()]


def left_for_nobody(tx: Transaction) -> dict[tuple[str, ...], int]:
    """Count the unfinished tasks that no live worker could come to do, by what they require."""
    offered = _offered(tx)
    wanted = {tuple(json.loads(text)): n for text, n in Counts(tx).active.items() if n}
    return {
        required: n
        for required, n in wanted.items()
        if not any(satisfy(labels, required) for labels in offered)
    }


def first_ended_badly(tx: Transaction) -> str | None:
    """Return the id of a task of the graph that failed or was killed; None if there is none."""
    badly = tasks.c.state.in_([TaskState.FAILED, TaskState.KILLED])
    query = select(tasks.c.id).where(badly, tasks.c.in_graph == 1).limit(1)
    return tx.connection.execute(query).scalar_one_or_none()


def task_ids(tx: Transaction) -> set[str]:
    """Return the ids of all tasks that are still wanted."""
    query = select(tasks.c.id).where(tasks.c.state != TaskState.CANCELLED)
    return set(tx.connection.execute(query).scalars())


def fingerprints_of_ended(tx: Transaction) -> dict[str, str | None]:
    """Return task -> registered fingerprint, of those that failed or were killed."""
    ended = tasks.c.state.in_([TaskState.FAILED, TaskState.KILLED])
    rows = tx.connection.execute(select(tasks.c.id, tasks.c.fingerprint).where(ended))
    return {row.id: row.fingerprint for row in rows}


def knows_task(tx: Transaction, task: str) -> bool | None:
    """Say whether a task is registered; None if no task is yet."""
    found = tx.connection.execute(select(tasks.c.id).where(tasks.c.id == task)).first()
    if found is None and tx.connection.execute(select(tasks.c.id).limit(1)).first() is None:
        return None
    return found is not None


def open_claims(tx: Transaction, worker: int) -> list[Claim]:
    """Return the claims that an incarnation holds."""
    return [Claim(*row) for row in _CLAIMS_OF.run(tx, worker=worker)]


def claims_on(tx: Transaction, keys: Collection[int]) -> list[Claim]:
    """Return the claims that are open on some tasks."""
    return [Claim(*row) for row in _CLAIMS_ON.run_for(tx, keys)]


_CLAIMS = (
    select(
        *(attempts.c.id, tasks.c.id, tasks.c.key, attempts.c.number, attempts.c.slot),
        literal(1),  # as if others waited for it: it is reported at once
        tasks.c.time_limit,
    )
    .join_from(attempts, tasks)
    .where(attempts.c.outcome.is_(None))
    .order_by(attempts.c.id)
)
_CLAIMS_OF = Statement(_CLAIMS.where(attempts.c.worker == bindparam("worker")))
_CLAIMS_ON = Statement(_CLAIMS.where(attempts.c.task.in_(KEYS)))


def outcome_of(tx: Transaction, attempt: int) -> str | None:
    """Return how an attempt ended; None while it is open."""
    query = select(attempts.c.outcome).where(attempts.c.id == attempt)
    return tx.connection.execute(query).scalar_one_or_none()


# --- workers ------------------------------------------------------------------------------------


def live_workers(tx: Transaction) -> list[tuple[Worker, float]]:
    """Return the workers that nobody has seen end, each with its heartbeat timeout in seconds."""
    query = select(workers).where(workers.c.status == WorkerStatus.ALIVE)
    rows = tx.connection.execute(query.order_by(workers.c.key)).mappings()
    return [(_worker(row), float(row["heartbeat_timeout"])) for row in rows]


def unexplained_workers(tx: Transaction) -> list[tuple[Worker, Reason, float]]:
    """Return the lost workers of which SLURM is to be asked why; each with its reason, and when."""
    query = select(workers).where(
        workers.c.workflow_id == WORKFLOW,
        workers.c.status == WorkerStatus.LOST,
        workers.c.unexplained == 1,
    )
    rows = tx.connection.execute(query.order_by(workers.c.key)).mappings()
    return [(_worker(row), Reason(row["reason"]), float(row["ended_at"])) for row in rows]


def predecessors(tx: Transaction, element: Element) -> list[Worker]:
    """Return the live workers of earlier incarnations of an element: before it was requeued."""
    same_place = (
        workers.c.cluster == element.cluster,
        workers.c.job_id == element.job_id,
        workers.c.array_task_id.is_not_distinct_from(element.array_task_id),
        workers.c.rank.is_not_distinct_from(element.rank),
    )
    query = select(workers).where(
        workers.c.status == WorkerStatus.ALIVE, *same_place, workers.c.restarts < element.restarts
    )
    return [_worker(row) for row in tx.connection.execute(query).mappings()]


def live_namesake(tx: Transaction, name: str) -> Worker | None:
    """Return the live worker of that name; None if there is none."""
    query = select(workers).where(workers.c.status == WorkerStatus.ALIVE, workers.c.name == name)
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _worker(row)


def is_there(tx: Transaction, worker: Worker) -> bool:
    """Whether the database has this very worker, and nobody has seen it end."""
    found = live_namesake(tx, worker.name)
    return found is not None and (found.key, found.process) == (worker.key, worker.process)


def end_of(tx: Transaction, worker: int) -> float | None:
    """Return when an incarnation's job ends, in UTC seconds; None: not known, or never."""
    query = select(workers.c.ends_at).where(workers.c.key == worker)
    found: float | None = tx.connection.execute(query).scalar_one()
    return found


def worker_by_key(tx: Transaction, key: int) -> Worker:
    """Return one incarnation."""
    query = select(workers).where(workers.c.key == key)
    return _worker(tx.connection.execute(query).mappings().one())


def _worker(row: RowMapping) -> Worker:
    element = None
    if row["job_id"] is not None:
        element = Element(
            row["cluster"] or "",
            row["array_job_id"],
            row["array_task_id"],
            row["job_id"],
            row["restarts"],
            row["step"],
            row["rank"],
        )
    process = ProcessIdentity(
        row["host"], row["boot_id"], row["pid_namespace"], row["pid"], row["start_ticks"]
    )
    labels = frozenset(json.loads(row["labels"]))
    return Worker(row["key"], row["name"], process, element, labels)


def worker_counts(tx: Transaction) -> dict[WorkerStatus, int]:
    """Count the incarnations by status; every status is there."""
    found = dict.fromkeys(WorkerStatus, 0)
    for row in _WORKER_COUNTS.run(tx):
        found[WorkerStatus(row.status)] = row.n
    return found


_WORKER_COUNTS = Statement(
    select(workers.c.status, func.count().label("n")).group_by(
        workers.c.workflow_id, workers.c.status
    )
)


# --- else ---------------------------------------------------------------------------------------


def workers_at(tx: Transaction, task: str) -> frozenset[int]:
    """Return the keys of the incarnations that had an attempt at a task."""
    query = select(attempts.c.worker).join_from(attempts, tasks).where(tasks.c.id == task)
    return frozenset(tx.connection.execute(query).scalars())


def newest_event(tx: Transaction) -> int:
    """Return the sequence number of the newest event; 0 before the first."""
    return _NEWEST_EVENT.value(tx) or 0


_NEWEST_EVENT = Statement(select(func.max(events.c.sequence)))


def queued_arrays(tx: Transaction) -> list[int]:
    """Return the ids of the arrays that SLURM was given, oldest first."""
    query = select(submissions.c.array_job_id).where(
        submissions.c.array_job_id.is_not(None), submissions.c.cluster != LOCAL_CLUSTER
    )
    return list(tx.connection.execute(query.order_by(submissions.c.id)).scalars())
