"""How far a band is: counts of tasks and workers, and what stands in the way."""

from typing import Any

from slurmband.domain.states import wanted
from slurmband.observe.times import iso
from slurmband.store import growth, queries
from slurmband.store.database import Store


def status(store: Store) -> dict[str, Any]:
    """Say how far a band is.

    Returns
    -------
    dict
        ``database``, ``mode``, ``file_system``, ``unsafe_options`` (of its mount), ``revision``,
        ``registered``; ``growing``: whether more tasks are to come, and the ``producer`` that makes
        them, or None; ``tasks``: ``total`` (of those still wanted) and one count per state;
        ``workers``: ``total`` and one count per status; ``submissions``; ``unservable``: requirements
        of ready tasks that no live worker satisfies.
    """
    with store.read() as tx:
        tasks = queries.counts(tx)
        workers = queries.worker_counts(tx)
        revision = queries.revision_row(tx)
        submissions = queries.submission_rows(tx)
        unservable = queries.unservable(tx)
        grown = growth.look(tx)
    return {
        "database": str(store.layout.database),
        "mode": str(store.mode),
        "file_system": store.mount.file_system,
        "unsafe_options": list(store.mount.unsafe_options),
        "revision": revision["number"] if revision else None,
        "registered": iso(revision["registered_at"]) if revision else None,
        "growing": grown is not None and grown.growing,
        "producer": grown.producer if grown else None,
        "tasks": {"total": wanted(tasks)} | {str(state): n for state, n in tasks.items()},
        "workers": {"total": sum(workers.values())} | {str(s): n for s, n in workers.items()},
        "submissions": [
            {
                "array_job_id": row["array_job_id"],
                "array": row["array"],
                "cluster": row["cluster"],
                "status": row["status"],
                "created": iso(row["created_at"]),
                "command": row["command"],
                "directory": row["directory"],
                "error": row["error"],
            }
            for row in submissions
        ],
        "unservable": unservable,
    }
