"""Submissions as they are written down: an intent first, then what sbatch answered."""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import bindparam, func, insert, select, update

from slurmband.errors import RaceLost
from slurmband.store.database import Transaction, inserted_key
from slurmband.store.schema import elements, submissions
from slurmband.store.statements import Statement


def intend(
    tx: Transaction,
    token: str,
    *,
    cluster: str,
    array: str,
    command: Sequence[str],
    directory: str,
    script: str,
    options: Sequence[str] = (),
    log: str | None,
    most: int | None = None,
    now: float,
) -> int:
    """Write down that an array is about to be queued; return the submission's id."""
    written = tx.connection.execute(
        insert(submissions).values(
            token=token,
            status="intended",
            cluster=cluster,
            array=array,
            command=json.dumps(list(command)),
            directory=directory,
            script=script,
            options=json.dumps(list(options)),
            max_submissions=most,
            log=log,
            created_at=now,
        )
    )
    return inserted_key(written)


def queued(tx: Transaction, submission: int, array_job_id: int, indices: Iterable[int]) -> None:
    """Record the array's id and its elements; harmless where a worker was quicker to tell."""
    written = tx.connection.execute(
        update(submissions)
        .where(submissions.c.id == submission, submissions.c.status != "refused")
        .values(status="queued", array_job_id=array_job_id, error=None)
    )
    if written.rowcount != 1:
        return
    known = set(
        tx.connection.execute(
            select(elements.c.array_task_id).where(elements.c.submission == submission)
        ).scalars()
    )
    rows = [{"submission": submission, "array_task_id": i} for i in indices if i not in known]
    if rows:
        tx.connection.execute(insert(elements), rows)


def not_queued(tx: Transaction, submission: int, status: str, error: str) -> None:
    """Record that sbatch refused ("refused"), or that its reply was lost ("unknown")."""
    changed = tx.connection.execute(
        update(submissions)
        .where(submissions.c.id == submission, submissions.c.status.in_(["intended", "unknown"]))
        .values(status=status, error=error)
    )
    if changed.rowcount != 1:
        raise RaceLost(f"submission {submission} was found to be queued meanwhile")


def time_limit(tx: Transaction, token: str) -> float | None:
    """Return how long the elements of a submission may run, in seconds.

    None: SLURM has not answered; 0: it did not say, or there is no such submission.
    """
    rows = _TIME_LIMIT.run(tx, token=token)
    found: float | None = rows[0].time_limit if rows else 0.0
    return None if found == _ASKED else found


def take_question(tx: Transaction, token: str) -> bool:
    """Be the first to ask SLURM for the time limit; False if somebody else was."""
    taken = tx.connection.execute(
        update(submissions)
        .where(submissions.c.token == token, submissions.c.time_limit.is_(None))
        .values(time_limit=_ASKED)
    )
    return taken.rowcount == 1


def note_time_limit(tx: Transaction, token: str, seconds: float) -> None:
    """Write down what SLURM said; what is known stays."""
    tx.connection.execute(
        update(submissions)
        .where(submissions.c.token == token, submissions.c.time_limit == _ASKED)
        .values(time_limit=seconds)
    )


#: What stands for a time limit as long as SLURM has not answered.
_ASKED: Final = -1.0
_TIME_LIMIT = Statement(
    select(submissions.c.time_limit).where(submissions.c.token == bindparam("token"))
)


def number_locally(tx: Transaction, submission: int, indices: Sequence[int]) -> dict[int, int]:
    """Number an array of this machine as SLURM would; return array index -> raw job id.

    Row ids of `elements` serve as raw ids; the first is the id of the array, too.
    """
    rows = [{"submission": submission, "array_task_id": index} for index in indices]
    tx.connection.execute(insert(elements), rows)
    tx.connection.execute(
        update(elements).where(elements.c.submission == submission).values(job_id=elements.c.id)
    )
    numbered = _numbers(tx, submission)
    queued(tx, submission, min(numbered.values()), ())
    return numbered


def find(tx: Transaction, token: str) -> tuple[int, dict[int, int]] | None:
    """Return a submission's id, and array index -> row id of its elements; None if there is none."""
    query = select(submissions.c.id).where(submissions.c.token == token)
    submission = tx.connection.execute(query).scalar_one_or_none()
    return None if submission is None else (submission, _numbers(tx, submission))


def _numbers(tx: Transaction, submission: int) -> dict[int, int]:
    query = select(elements.c.array_task_id, elements.c.id)
    found = tx.connection.execute(query.where(elements.c.submission == submission))
    return {int(row.array_task_id): int(row.id) for row in found}


def count(tx: Transaction) -> int:
    """Count the submissions there have been."""
    return int(tx.connection.execute(select(func.count()).select_from(submissions)).scalar_one())
