"""The right to ask SLURM something: once a minute for all workers of a band together, and counted.

The one place where times of several nodes are compared. All that hangs on it is politeness: a clock that
is wrong makes SLURM be asked too early, or a little late.
"""

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.dialects.sqlite import insert

from slurmband.store.database import Transaction
from slurmband.store.schema import questions


def take(tx: Transaction, command: str, *, every: float, now: float) -> bool:
    """Take the right to call a command now, and count the call; whether nobody else did of late.

    Parameters
    ----------
    tx : Transaction
    command : str
    every : float
        Least time between two calls in seconds; 0: this one is made in any case.
    now : float
        UTC seconds since the epoch. A call that lies ahead of it by more was written by a wrong clock.
    """
    due = or_(questions.c.asked_at <= now - every, questions.c.asked_at >= now + every)
    taken = tx.connection.execute(
        insert(questions)
        .values(command=command, n=1, asked_at=now)
        .on_conflict_do_update(
            index_elements=[questions.c.command],
            set_={"n": questions.c.n + 1, "asked_at": now},
            where=due,
        )
    )
    return taken.rowcount == 1


def asked(tx: Transaction) -> list[dict[str, Any]]:
    """List the commands that were called: each with how often, and when last."""
    rows = tx.connection.execute(select(questions).order_by(questions.c.command)).mappings()
    return [dict(row) for row in rows]
