"""Workers coming and going: joining, leaving, and being judged lost.

Each is a compare-and-swap on the worker's row. Whoever ends a worker also closes its open claims,
through the same fence as everybody.
"""

import json
from collections.abc import Callable, Mapping

from sqlalchemy import bindparam, insert, select, update

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.death import EXPLICABLE
from slurmband.domain.processes import ProcessIdentity
from slurmband.domain.workers import Element, Worker, WorkerStatus
from slurmband.errors import InvariantBroken, RaceLost, WorkerAlive, WorkerLost, WorkerMoved
from slurmband.store import growth, queries, transitions
from slurmband.store.database import Transaction, inserted_key
from slurmband.store.schema import WORKFLOW, elements, submissions, workers
from slurmband.store.statements import KEYS, Statement

#: What a lost worker's journal says of its attempts: by attempt id, None for begun and not ended.
Journal = Mapping[int, Ending | None]


def join(
    tx: Transaction,
    name: str,
    process: ProcessIdentity,
    element: Element | None,
    labels: frozenset[str],
    *,
    heartbeat_timeout: float,
    log: str | None,
    ends_at: float | None = None,
    now: float,
) -> Worker:
    """Register an incarnation.

    Raises
    ------
    WorkerAlive
        If another worker of that name is alive as far as anybody knows.
    """
    namesake = queries.live_namesake(tx, name)
    if namesake is not None:
        raise WorkerAlive(name, f"pid {namesake.process.pid} on {namesake.process.host}")
    joined = tx.connection.execute(
        insert(workers).values(
            workflow_id=WORKFLOW,
            name=name,
            status=WorkerStatus.ALIVE,
            labels=json.dumps(sorted(labels)),
            node=(element and element.node) or process.host,
            host=process.host,
            boot_id=process.boot_id,
            pid_namespace=process.pid_namespace,
            pid=process.pid,
            start_ticks=process.start_ticks,
            cluster=element and element.cluster,
            array_job_id=element and element.array_job_id,
            array_task_id=element and element.array_task_id,
            job_id=element and element.job_id,
            restarts=element.restarts if element else 0,
            step=element and element.step,
            rank=element and element.rank,
            heartbeat_timeout=heartbeat_timeout,
            log=log,
            ends_at=ends_at,
            started_at=now,
        )
    )
    if element is not None:
        _note_element(tx, element)
    return Worker(inserted_key(joined), name, process, element, labels)


def _note_element(tx: Transaction, element: Element) -> None:
    """Complete what the submission knows: its raw id, and its array id if sbatch's reply was lost."""
    if element.submission is None or element.array_job_id is None:
        return
    tx.connection.execute(
        update(submissions)
        .where(submissions.c.token == element.submission, submissions.c.array_job_id.is_(None))
        .values(status="queued", array_job_id=element.array_job_id)
    )
    submission = tx.connection.execute(
        select(submissions.c.id).where(submissions.c.token == element.submission)
    ).scalar_one_or_none()
    if submission is None:
        return
    here = {"submission": submission, "array_task_id": element.array_task_id}
    row = select(elements.c.id).filter_by(**here)
    if tx.connection.execute(row).scalar_one_or_none() is None:
        tx.connection.execute(insert(elements).values(**here))
    tx.connection.execute(update(elements).filter_by(**here).values(job_id=element.job_id))


def check_alive(tx: Transaction, worker: Worker) -> None:
    """Raise `WorkerLost` if this incarnation was judged lost; it may not claim any more."""
    rows = _STATUS.run(tx, worker=worker.key)
    if not rows:
        raise WorkerLost(worker.name, "a backup was brought back, and is older than this worker")
    if rows[0].status != WorkerStatus.ALIVE:
        raise WorkerLost(worker.name, rows[0].reason)


def count_round(tx: Transaction, worker: Worker, number: int) -> int:
    """Note that a round of a worker is being done; return the number of the one before.

    Whoever comes later with that round, or an older one, finds that out here: a process that slept, or
    the worker itself, if it never heard that its round was done.

    Parameters
    ----------
    tx : Transaction
    worker : Worker
    number : int
        As the worker counts its rounds, from 1.

    Raises
    ------
    WorkerLost
        If this incarnation was judged lost; it may not report or claim any more.
    """
    before = last_round(tx, worker)
    if before is None:
        check_alive(tx, worker)
        raise InvariantBroken(f"worker {worker.name} has the row of another process")
    if before < number:
        counted = _COUNT_ROUND.change(tx, {worker.key: {"before": before, "number": number}})
        if counted != 1:
            raise RaceLost(f"a round of worker {worker.name} was counted by somebody else")
    return before


def last_round(tx: Transaction, worker: Worker) -> int | None:
    """Return the number of the last round that was done; None if this very worker is not alive here."""
    process = worker.process
    found: int | None = _LAST_ROUND.value(
        tx, worker=worker.key, pid=process.pid, start_ticks=process.start_ticks
    )
    return found


def note_end(tx: Transaction, worker: Worker, ends_at: float) -> None:
    """Write down when a worker's job ends, in UTC seconds; for the record."""
    tx.connection.execute(
        update(workers)
        .where(workers.c.key == worker.key, workers.c.status == WorkerStatus.ALIVE)
        .values(ends_at=ends_at)
    )


_STATUS = Statement(
    select(workers.c.status, workers.c.reason).where(workers.c.key == bindparam("worker"))
)
_LAST_ROUND = Statement(
    select(workers.c.rounds).where(
        workers.c.key == bindparam("worker"),
        workers.c.status == WorkerStatus.ALIVE,
        workers.c.pid == bindparam("pid"),
        workers.c.start_ticks == bindparam("start_ticks"),
    )
)
_COUNT_ROUND = Statement(
    update(workers)
    .where(workers.c.key.in_(KEYS), workers.c.rounds == bindparam("before"))
    .values(rounds=bindparam("number"))
)


def leave(
    tx: Transaction,
    worker: Worker,
    reason: Reason,
    *,
    now: float,
    endings: Mapping[int, Ending] | None = None,
) -> None:
    """End an incarnation that says so itself; what it still holds is released.

    Parameters
    ----------
    tx : Transaction
    worker : Worker
    reason : Reason
    now : float
        UTC seconds since the epoch.
    endings : mapping of int to Ending, optional
        How attempts that were begun end, where it is known which were; all others are released.

    Raises
    ------
    WorkerLost
        If it was judged lost before; nothing is written.
    """
    if not _end(tx, worker.key, WorkerStatus.LEFT, reason, now):
        check_alive(tx, worker)
    released = Ending(Outcome.RELEASED, reason if endings is None else Reason.NOT_BEGUN)
    held = queries.open_claims(tx, worker.key)
    ended = [(claim, (endings or {}).get(claim.attempt, released)) for claim in held]
    transitions.close_all(tx, ended, now=now)


def lose(
    tx: Transaction,
    worker: Worker,
    reason: Reason,
    *,
    unmoved: Callable[[], bool],
    journal: Journal,
    now: float,
    settled: bool = False,
) -> list[tuple[Claim, Ending]]:
    """Judge a worker lost, and revoke its claims.

    What its journal says has ended is recorded so and not done again; what was begun is charged if
    the reason is; what was not begun is not. Where SLURM may know a better reason, it is to be asked;
    see `explanations`.

    Parameters
    ----------
    tx : Transaction
    worker : Worker
    reason : Reason
    unmoved : callable
        Looks freshly whether the worker's beat is still the one the judgement rests on.
    journal : mapping of int to Ending or None
    now : float
    settled : bool, default False
        Whether the reason is SLURM's last word.

    Returns
    -------
    list of (Claim, Ending)
        What became of each claim it held.

    Raises
    ------
    WorkerMoved
        If it beat, left, or was judged in between. Nothing has been written.
    """
    ask = worker.in_slurm is not None and reason in EXPLICABLE and not settled
    if not unmoved() or not _end(tx, worker.key, WorkerStatus.LOST, reason, now, unexplained=ask):
        raise WorkerMoved(f"worker {worker.name} moved before it could be judged lost")
    held = queries.open_claims(tx, worker.key)
    revoked = [(claim, _revocation(claim, reason, journal)) for claim in held]
    transitions.close_all(tx, revoked, now=now)
    return revoked


def _revocation(held: Claim, reason: Reason, journal: Journal) -> Ending:
    if held.attempt not in journal:
        return Ending(Outcome.RELEASED, Reason.NOT_BEGUN)
    ended = journal[held.attempt]
    if ended is not None:
        return ended
    return Ending(Outcome.KILLED if reason.charged else Outcome.RELEASED, reason)


def _end(
    tx: Transaction,
    worker: int,
    status: WorkerStatus,
    reason: Reason,
    now: float,
    *,
    unexplained: bool = False,
) -> bool:
    ended = tx.connection.execute(
        update(workers)
        .where(workers.c.key == worker, workers.c.status == WorkerStatus.ALIVE)
        .values(status=status, reason=reason, ended_at=now, unexplained=int(unexplained))
    )
    if ended.rowcount == 1:
        growth.give_back(tx, worker)
    return ended.rowcount == 1
