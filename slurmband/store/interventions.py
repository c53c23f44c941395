"""What happens to tasks from outside: by a person's wish, or by a new revision of the graph.

Like the transitions of the loop, each is one function, made of compare-and-swap moves.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import exists, select, update

from slurmband.domain.attempts import Claim, Ending, Outcome
from slurmband.domain.states import ENDED_BADLY, Event, TaskState
from slurmband.store import queries
from slurmband.store.database import Transaction
from slurmband.store.moves import (
    block_dependents,
    block_where_hopeless,
    chunks,
    downstream,
    free,
    move_from_there,
    state_of,
    states_of,
    unblock_dependents,
    wait_again,
)
from slurmband.store.schema import edges, tasks
from slurmband.store.transitions import begin_new_round, close, close_attempts

_CANCELLED: Final = Ending(Outcome.RELEASED, "the task was cancelled")
_GONE: Final = Ending(Outcome.RELEASED, "no longer in the graph")


# --- by people ----------------------------------------------------------------------------------


def reset(tx: Transaction, names: Sequence[str] | None, *, now: float) -> list[str]:
    """Let ended tasks be tried again, with whole budgets, and unblock what waited for them.

    Parameters
    ----------
    tx : Transaction
    names : sequence of str or None
        Which of the failed, killed and cancelled tasks; None: all that failed or were killed.
    now : float

    Returns
    -------
    list of str
        The tasks that are to be tried again.
    """
    states = {TaskState.FAILED, TaskState.KILLED} if names is None else ENDED_BADLY
    query = select(tasks.c.key, tasks.c.id, tasks.c.unmet).where(
        tasks.c.state.in_(states), tasks.c.in_graph == 1
    )
    chosen = _named(tx.connection.execute(query).all(), names)
    keys = [row.key for row in chosen]
    begin_new_round(tx, keys)
    events = {row.key: Event.HOLD if row.unmet else Event.RESET for row in chosen}
    move_from_there(tx, events, now)
    block_where_hopeless(tx, keys, now)
    unblock_dependents(tx, keys, now)
    return [row.id for row in chosen]


def cancel(tx: Transaction, names: Sequence[str], *, now: float) -> list[str]:
    """Give up tasks that have not completed; whoever is in one of them has its claim revoked.

    Parameters
    ----------
    tx : Transaction
    names : sequence of str
    now : float

    Returns
    -------
    list of str
        The tasks that are now cancelled; others had completed, were cancelled, or are unknown.
    """
    settled = [TaskState.COMPLETED, TaskState.CANCELLED]
    query = select(tasks.c.key, tasks.c.id).where(tasks.c.state.not_in(settled))
    chosen = _named(tx.connection.execute(query).all(), names)
    keys = [row.key for row in chosen]
    revoked = [(held, _CANCELLED) for held in queries.claims_on(tx, keys)]
    close_attempts(tx, revoked, now)
    move_from_there(tx, dict.fromkeys(keys, Event.CANCEL), now)
    for part in chunks(keys):  # what ran on an upstream that was invalidated meanwhile waits for it
        wait_again(tx, edges.c.downstream.in_(part), now)
    block_dependents(tx, keys, now)
    return [row.id for row in chosen]


def _named(rows: Sequence[Any], names: Sequence[str] | None) -> list[Any]:
    wanted = None if names is None else set(names)
    return [row for row in rows if wanted is None or row.id in wanted]


# --- by a new revision of the graph -------------------------------------------------------------


def drop(tx: Transaction, gone: Iterable[int], *, now: float) -> None:
    """Cancel tasks that the current revision of the graph does not have."""
    move_from_there(tx, dict.fromkeys(gone, Event.DROP), now)


def disown(tx: Transaction, held: Claim, *, now: float) -> None:
    """Hand back a claim on a task that the current revision does not have, and cancel the task.

    While others are in it, it is only closed to newcomers.
    """
    close(tx, held, _GONE, now=now)
    if state_of(tx, held.task_key) is TaskState.RUNNING:
        tx.connection.execute(
            update(tasks).where(tasks.c.key == held.task_key).values(free_slots=0)
        )
    else:
        drop(tx, [held.task_key], now=now)
        block_dependents(tx, [held.task_key], now)  # such as were not in the graph either


def hold(tx: Transaction, rewired: Sequence[int], *, now: float) -> None:
    """Make tasks wait, so that their dependencies can be written anew."""
    events = {
        TaskState.READY: Event.HOLD,
        TaskState.INVALIDATED: Event.HOLD,
        TaskState.BLOCKED: Event.UNBLOCK,
    }
    states = states_of(tx, rewired)
    move_from_there(tx, {task: events[s] for task, s in states.items() if s in events}, now)


def restore(tx: Transaction, back: Sequence[int], *, now: float) -> None:
    """Let tasks wait again, with whole budgets, that a revision had dropped and the present one has."""
    begin_new_round(tx, back)
    move_from_there(tx, dict.fromkeys(back, Event.RESTORE), now)


def settle(tx: Transaction, rewired: Sequence[int], *, now: float) -> None:
    """Free or block waiting tasks whose dependencies have just been written."""
    blocked = downstream(tx, rewired, TaskState.BLOCKED)
    move_from_there(tx, dict.fromkeys(blocked, Event.UNBLOCK), now)  # perhaps blocked again below
    free(tx, rewired, now)
    ended = select(tasks.c.key).where(tasks.c.state.in_([*ENDED_BADLY, TaskState.BLOCKED]))
    has_dependents = exists().where(edges.c.upstream == tasks.c.key)
    block_dependents(tx, tx.connection.execute(ended.where(has_dependents)).scalars().all(), now)
