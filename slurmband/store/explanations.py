"""What SLURM says late of a loss amends the worker, the attempts that the loss closed, and their tasks.

The dead are judged at once, and SLURM may know a moment later that it was memory, or preemption. Then
what was written is put right as if it had been known before: the reason, what is charged for it, and,
where that ended a task, its end. What has gone on meanwhile goes on: no task is given up by it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, func, or_, select, update

from slurmband.domain.attempts import Ending, Outcome, Reason, charge_of, judged
from slurmband.domain.budgets import COUNTERS
from slurmband.domain.states import Event, TaskState
from slurmband.domain.workers import Worker, WorkerStatus
from slurmband.errors import InvariantBroken, RaceLost
from slurmband.store.database import Transaction
from slurmband.store.moves import Move, block_where_hopeless, move, unblock_dependents
from slurmband.store.schema import attempts, task_statuses, tasks, workers
from slurmband.store.statements import KEYS, Row, Statement
from slurmband.store.transitions import require_more, standing


@dataclass(frozen=True, slots=True)
class Amended:
    """What became of one attempt.

    Parameters
    ----------
    task : str
    number : int
        Which try at the task it was.
    ending : Ending
        How it is written down now.
    again : bool
        Whether its task had been given up for it, and is tried again.
    """

    task: str
    number: int
    ending: Ending
    again: bool


def explain(
    tx: Transaction, worker: Worker, was: Reason, told: Reason | None, *, settled: bool, now: float
) -> list[Amended]:
    """Write down why a lost worker was lost, and put right what was charged for it.

    Parameters
    ----------
    tx : Transaction
    worker : Worker
    was : Reason
        What it is down as lost for.
    told : Reason or None
        The better reason; None: there is none.
    settled : bool
        Whether SLURM need not be asked again.
    now : float
        UTC seconds since the epoch.

    Returns
    -------
    list of Amended
        The attempts that are written down in another way now.

    Raises
    ------
    RaceLost
        If somebody else explained it meanwhile. Nothing has been written.
    """
    noted = tx.connection.execute(
        update(workers)
        .where(
            workers.c.key == worker.key,
            workers.c.status == WorkerStatus.LOST,
            workers.c.unexplained == 1,
            workers.c.reason == was,
        )
        .values(reason=told or was, unexplained=int(not settled))
    )
    if noted.rowcount != 1:
        raise RaceLost(f"somebody else explained why worker {worker.name} was lost")
    if told is None:
        return []
    closed = _CLOSED.run(tx, worker=worker.key, why=was.value)
    endings = {row.id: _amended(row, told) for row in closed}
    _amend(tx, closed, endings)
    again = _try_again(tx, [row for row in closed if _recount(tx, row, endings[row.id])], now)
    return [Amended(row.name, row.number, endings[row.id], row.task in again) for row in closed]


_CLOSED: Final = Statement(
    select(
        attempts.c.id,
        attempts.c.task,
        attempts.c.number,
        attempts.c.outcome,
        attempts.c.reason,
        attempts.c.worker,
        tasks.c.id.label("name"),
        tasks.c.walls,
    )
    .join_from(attempts, tasks)
    .where(
        attempts.c.worker == bindparam("worker"),
        attempts.c.reason == bindparam("why"),
        or_(attempts.c.outcome == Outcome.KILLED, attempts.c.outcome == Outcome.RELEASED),
    )
)


def _amended(row: Row, told: Reason) -> Ending:
    """Say how an attempt is written down, now that it is known what its worker was lost for."""
    charged = told.charged and row.outcome == Outcome.KILLED
    return judged(Ending(Outcome.KILLED if charged else Outcome.RELEASED, told), row.walls)


def _amend(tx: Transaction, closed: Sequence[Row], endings: dict[int, Ending]) -> None:
    values = {
        row.id: {
            "was": row.outcome,
            "as": endings[row.id].outcome.value,
            "why": endings[row.id].reason,
        }
        for row in closed
    }
    if _AMEND.change(tx, values) != len(closed):
        raise InvariantBroken("attempts that were closed changed within one transaction")


_AMEND: Final = Statement(
    update(attempts)
    .where(attempts.c.id.in_(KEYS), attempts.c.outcome == bindparam("was"))
    .values(outcome=bindparam("as"), reason=bindparam("why"))
)


# --- what the task has behind it -----------------------------------------------------------------


def _recount(tx: Transaction, row: Row, ending: Ending) -> bool:
    """Charge a task for one attempt in another way; whether there was anything to be changed.

    What ended before the task began a new round, with whole budgets, does not count any more.
    """
    if not _is_of_this_round(tx, row):
        return False
    task, _ = standing(tx, [row.task])[row.task]
    if task.state == TaskState.COMPLETED:
        return False
    of_before, charge = charge_of(Ending(Outcome(row.outcome), row.reason)), charge_of(ending)
    counted: dict[str, Any] = {
        name: getattr(task, name) + (each is charge) - (each is of_before)
        for each, name in COUNTERS.items()
    }
    counted["walls"] = task.walls + (ending.reason == Reason.TIME_LIMIT)
    if _RECOUNT.change(tx, {row.task: counted}) != 1:
        raise InvariantBroken(f"task {row.name!r} is gone, within one transaction")
    if charge is not of_before:
        require_more(tx, task, charge, row.worker)
    return True


def _is_of_this_round(tx: Transaction, row: Row) -> bool:
    """Whether its task has not begun anew since; no, where the history of that was pruned."""
    last = _LAST_STEP.value(tx, task=row.task, attempt=row.id)
    return last is not None and not _NEW_ROUNDS.value(tx, task=row.task, last=last)


_LAST_STEP: Final = Statement(
    select(func.max(task_statuses.c.id)).where(
        task_statuses.c.task_id == bindparam("task"),
        task_statuses.c.attempt == bindparam("attempt"),
    )
)
#: Steps at which budgets become whole again. One that has an attempt is of `_try_again`, and does not.
_BEGINNING_ANEW: Final = (Event.RESET, Event.HOLD, Event.INVALIDATE, Event.RESTORE)
_NEW_ROUNDS: Final = Statement(
    select(func.count()).where(
        task_statuses.c.task_id == bindparam("task"),
        task_statuses.c.id > bindparam("last"),
        task_statuses.c.attempt.is_(None),
        or_(*(task_statuses.c.event == event for event in _BEGINNING_ANEW)),
    )
)
_RECOUNT: Final = Statement(
    update(tasks)
    .where(tasks.c.key.in_(KEYS))
    .values({name: bindparam(name) for name in ("walls", *COUNTERS.values())})
)


# --- where the task is ---------------------------------------------------------------------------


def _try_again(tx: Transaction, recounted: Collection[Row], now: float) -> set[int]:
    """Try tasks again that were given up for these attempts, and say anew who may join those that run.

    Returns
    -------
    set of int
        Those that had been given up.
    """
    by_task = {row.task: row for row in recounted}
    places = {row.key: row for row in _PLACES.run_for(tx, by_task)}
    again: list[Move] = []
    for key, (task, tally) in standing(tx, by_task).items():
        if not places[key].in_graph:
            continue
        if task.state == TaskState.RUNNING:
            joinable = not tally.completed and not tally.spent
            free = task.max_parallel_workers - tally.open_attempts if joinable else 0
            if _OPEN_SLOTS.change(tx, {key: {"free": free}}) != 1:
                raise InvariantBroken(f"task number {key} is gone, within one transaction")
        if task.state == TaskState.KILLED and not tally.spent:
            of, was = by_task[key], TaskState.KILLED
            event = Event.HOLD if places[key].unmet else Event.RESET
            again.append(Move(key, was, event, of.worker, of.id, task.fingerprint))
    move(tx, again, now)
    keys = [step.task for step in again]
    block_where_hopeless(tx, keys, now)
    unblock_dependents(tx, keys, now)
    return set(keys)


_PLACES: Final = Statement(
    select(tasks.c.key, tasks.c.in_graph, tasks.c.unmet).where(tasks.c.key.in_(KEYS))
)
_OPEN_SLOTS: Final = Statement(
    update(tasks).where(tasks.c.key.in_(KEYS)).values(free_slots=bindparam("free"))
)
