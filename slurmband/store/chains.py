"""Submissions that continue one another (``--until-done``), as far as the database knows."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from slurmband.domain.attempts import Outcome, Reason
from slurmband.domain.states import ACTIVE
from slurmband.domain.workers import LOCAL_CLUSTER, Worker
from slurmband.errors import RaceLost
from slurmband.store import growth, queries
from slurmband.store.counts import Counts
from slurmband.store.database import Transaction
from slurmband.store.schema import attempts, elements, submissions, workers, workflows


@dataclass(frozen=True, slots=True)
class Link:
    """One submission of a chain, when a worker of it has left.

    Parameters
    ----------
    row : dict
        The submission.
    length : int
        How many submissions the chain has, up to this one.
    most : int
        How many it may have.
    others : tuple of Worker
        Its workers that nobody has seen end.
    unseen : int
        Its elements in which no worker has shown up.
    furthered : int
        How often its workers completed a task, or saved what was done of one and handed it back.
    work_left : bool
        Whether tasks are left, or more are to come.
    stopped : bool
        Whether a person asked the workers to leave.
    """

    row: dict[str, Any]
    length: int
    most: int
    others: tuple[Worker, ...]
    unseen: int
    furthered: int
    work_left: bool
    stopped: bool


#: Whether a worker is of an array of this machine, not of SLURM: each numbers its arrays by itself.
_LOCAL = (func.coalesce(workers.c.cluster, "") == LOCAL_CLUSTER).label("local")


def link_of(tx: Transaction, worker: int) -> Link | None:
    """Return the submission that a worker belongs to; None where that does not continue itself."""
    array = select(workers.c.array_job_id, _LOCAL).where(workers.c.key == worker).subquery()
    found = tx.connection.execute(
        select(submissions, array.c.local)
        .join(array, array.c.array_job_id == submissions.c.array_job_id)
        .where(
            (submissions.c.cluster == LOCAL_CLUSTER) == array.c.local,
            submissions.c.max_submissions.is_not(None),
        )
    ).mappings()
    row = next((dict(row) for row in found), None)
    if row is None:
        return None
    own = (workers.c.array_job_id == row["array_job_id"]) & (row.pop("local") == _LOCAL)
    seen = select(workers.c.array_task_id).where(own)
    count = select(func.count())
    unseen = count.select_from(elements).where(
        elements.c.submission == row["id"], elements.c.array_task_id.not_in(seen)
    )
    went_on = (attempts.c.outcome == Outcome.COMPLETED) | (attempts.c.reason == Reason.HANDED_BACK)
    furthered = (
        count.select_from(attempts)
        .join(workers, workers.c.key == attempts.c.worker)
        .where(own, went_on)
    )
    counts = Counts(tx).states
    return Link(
        row=row,
        length=_length(tx, row),
        most=row["max_submissions"],
        others=tuple(worker for worker, _ in queries.live_workers(tx) if _is_of(worker, row)),
        unseen=tx.connection.execute(unseen).scalar_one(),
        furthered=tx.connection.execute(furthered).scalar_one(),
        work_left=any(counts[state] for state in ACTIVE) or growth.is_growing(tx),
        stopped=tx.connection.execute(select(workflows.c.stop)).scalar_one() is not None,
    )


def _is_of(worker: Worker, submission: dict[str, Any]) -> bool:
    """Whether a worker belongs to a submission's array."""
    element, local = worker.element, bool(submission["cluster"] == LOCAL_CLUSTER)
    if element is None or element.array_job_id != submission["array_job_id"]:
        return False
    return (element.cluster == LOCAL_CLUSTER) is local


def _length(tx: Transaction, row: dict[str, Any]) -> int:
    """Count a submission and those that it continues."""
    length, before = 1, row["follows"]
    while before is not None:
        query = select(submissions.c.follows).where(submissions.c.id == before)
        length, before = length + 1, tx.connection.execute(query).scalar_one()
    return length


def after(tx: Transaction, arrays: Collection[int], *, local: bool) -> list[dict[str, Any]]:
    """Return the queued submissions that continue some arrays, of SLURM's or of this machine."""
    before = submissions.alias("before")
    on = before.c.cluster == LOCAL_CLUSTER if local else before.c.cluster != LOCAL_CLUSTER
    query = (
        select(submissions)
        .join_from(submissions, before, before.c.id == submissions.c.follows)
        .where(before.c.array_job_id.in_(arrays), on, submissions.c.array_job_id.is_not(None))
    )
    return [dict(row) for row in tx.connection.execute(query).mappings()]


def follow(tx: Transaction, submission: int, link: Link) -> None:
    """Make a submission the one that continues another.

    Raises
    ------
    RaceLost
        If that has been continued, or the workers were asked to stop. Nothing has been written.
    """
    if tx.connection.execute(select(workflows.c.stop)).scalar_one() is not None:
        raise RaceLost("the workers were asked to stop meanwhile")
    try:
        tx.connection.execute(
            update(submissions)
            .where(submissions.c.id == submission)
            .values(follows=link.row["id"], max_submissions=link.most)
        )
    except IntegrityError as error:
        raise RaceLost(f"submission {link.row['id']} was continued meanwhile") from error
