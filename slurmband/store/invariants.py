"""What holds of every sound database, as questions that find what breaks it.

What the schema itself refuses (a second claim of one slot, a state that there is not) is not here. Old
history and ended attempts may have been pruned, so nothing here needs them.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

#: How many offenders of each kind are named.
SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that holds.

    Parameters
    ----------
    says : str
        What holds.
    offenders : str
        A SELECT of one column, for people: the rows of which it does not hold.
    """

    says: str
    offenders: str


_UPSTREAM: Final = (
    "FROM edges JOIN tasks below ON below.key = downstream JOIN tasks above ON above.key = upstream"
)
_OPEN: Final = "SELECT count(*) FROM attempts WHERE attempts.task = tasks.key AND outcome IS NULL"
_HOPELESS: Final = (
    "EXISTS (SELECT 1 FROM edges JOIN tasks above ON above.key = upstream "
    "WHERE downstream = tasks.key AND above.state IN ('failed', 'killed', 'cancelled', 'blocked'))"
)

INVARIANTS: Final = (
    Invariant(
        "exactly the running tasks have open attempts",
        f"SELECT id FROM tasks WHERE (state = 'running') <> (({_OPEN}) > 0)",
    ),
    Invariant(
        "only workers that are alive hold open attempts",
        "SELECT 'attempt ' || attempts.id || ' of worker ' || workers.name FROM attempts "
        "JOIN workers ON workers.key = worker WHERE outcome IS NULL AND status <> 'alive'",
    ),
    Invariant(
        "only a worker that is alive makes the graph grow",
        "SELECT name FROM producers JOIN workers ON workers.key = worker WHERE status <> 'alive'",
    ),
    Invariant(
        "what is claimable depends only on what completed",
        f"SELECT below.id || ' on ' || above.id {_UPSTREAM} "
        "WHERE below.state IN ('ready', 'invalidated') AND above.state <> 'completed'",
    ),
    Invariant(
        "what has not started counts only dependencies that completed",
        f"SELECT below.id || ' counts ' || above.id {_UPSTREAM} WHERE satisfied = 1 "
        "AND above.state <> 'completed' AND below.state NOT IN ('running', 'completed')",
    ),
    Invariant(
        "the number of unmet dependencies is that of the edges",
        "SELECT id FROM tasks WHERE unmet <> "
        "(SELECT count(*) FROM edges WHERE downstream = tasks.key AND satisfied = 0)",
    ),
    Invariant(
        "what waits has something to wait for, and nothing that ended without completing",
        f"SELECT id FROM tasks WHERE state = 'waiting' AND (unmet = 0 OR {_HOPELESS})",
    ),
    Invariant(
        "what is blocked depends on something that ended without completing",
        f"SELECT id FROM tasks WHERE state = 'blocked' AND NOT {_HOPELESS}",
    ),
    Invariant(
        "what is claimable has all its slots free, what runs no more than are left",
        "SELECT id FROM tasks WHERE (state IN ('ready', 'invalidated') AND "
        "free_slots <> max_parallel_workers) OR (state = 'running' AND free_slots > 0 AND "
        f"free_slots + ({_OPEN}) <> max_parallel_workers)",
    ),
    Invariant(
        "a completed task has an attempt that completed",
        "SELECT id FROM tasks WHERE state = 'completed' AND NOT EXISTS "
        "(SELECT 1 FROM attempts WHERE attempts.task = tasks.key AND outcome = 'completed')",
    ),
    Invariant(
        "no attempt has a number that its task has not given yet",
        "SELECT id FROM tasks WHERE attempts < "
        "(SELECT coalesce(max(number), 0) FROM attempts WHERE attempts.task = tasks.key)",
    ),
    Invariant(
        "the newest line of a task's history is its state",
        "SELECT tasks.id FROM tasks JOIN task_statuses newest ON newest.id = "
        "(SELECT max(id) FROM task_statuses WHERE task_id = tasks.key) WHERE status <> state",
    ),
    Invariant(
        "the tasks are counted right",
        "SELECT counted.state || ' ' || counted.requirements FROM task_counts counted WHERE n <> "
        "(SELECT count(*) FROM tasks WHERE tasks.state = counted.state "
        "AND tasks.requirements = counted.requirements) "
        "UNION ALL SELECT DISTINCT state || ' ' || requirements FROM tasks WHERE NOT EXISTS "
        "(SELECT 1 FROM task_counts counted WHERE tasks.state = counted.state "
        "AND tasks.requirements = counted.requirements)",
    ),
)


def broken(connection: Connection) -> dict[str, list[str]]:
    """Ask for everything that does not hold.

    Returns
    -------
    dict of str to list of str
        What does not hold, and the first of those of which it does not; empty: all is well.
    """
    found = {}
    for invariant in INVARIANTS:
        rows = connection.exec_driver_sql(f"{invariant.offenders} LIMIT {SHOWN}").scalars()
        if offenders := [str(row) for row in rows]:
            found[invariant.says] = offenders
    return found
