"""How far a band is: counts of tasks and workers, and what stands in the way."""

from collections.abc import Callable
from typing import Any

from slurmband.domain.states import TaskState, wanted
from slurmband.errors import DatabaseMissing, DatabaseRefused
from slurmband.liveness.snapshot import Survey, read, survey
from slurmband.mounts import find_mount
from slurmband.observe.times import iso
from slurmband.store.database import Store
from slurmband.store.file import kept_mode, path_of
from slurmband.store.generations import present
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode


def status(
    database: str, *, open_store: Callable[[str], Store], now: bool = False
) -> dict[str, Any]:
    """Say how far a band is.

    A shared database is not even opened where its workers have published a snapshot; nor is one that
    this user may not write to.

    Parameters
    ----------
    database : str
        A path or a SQLAlchemy URL.
    open_store : callable
        Opens it, where that is needed.
    now : bool, default False
        Whether to ask the database in any case.

    Returns
    -------
    dict
        ``database``, ``mode``, ``file_system``, ``unsafe_options`` (of its mount), ``revision``,
        ``registered``; ``growing``: whether more tasks are to come, and the ``producer`` that makes
        them, or None; ``tasks``: ``total`` (of those still wanted) and one count per state;
        ``workers``: ``total`` and one count per status; ``submissions``; ``unservable``: requirements
        of ready tasks that no live worker satisfies; ``as_of``: when the snapshot was published, None
        where the database was asked; ``generation`` of a shared database, else None; ``unexplained``:
        how many lost workers SLURM is still to be asked about; ``questions``: the commands of SLURM's
        that were called, each with how often (``n``) and when last (``asked``).

    Raises
    ------
    DatabaseMissing
        If there is no such file.
    """
    layout = Layout(path_of(database))
    mode = kept_mode(layout.database)
    if mode is None:
        raise DatabaseMissing(str(layout.database))
    snapshot = read(layout.snapshot) if mode is Mode.SHARED and not now else None
    if snapshot is None:
        try:
            with open_store(database).read() as tx:
                found = survey(tx)
        except DatabaseRefused:
            snapshot = read(layout.snapshot)
            if snapshot is None or now:
                raise
    if snapshot is not None:
        found = snapshot
    return (
        _place(layout, mode)
        | _counted(found)
        | {"as_of": iso(layout.snapshot.stat().st_mtime) if snapshot is not None else None}
    )


def _place(layout: Layout, mode: Mode) -> dict[str, Any]:
    mount = find_mount(layout.database)
    return {
        "database": str(layout.database),
        "mode": str(mode),
        "generation": present(layout) if mode is Mode.SHARED else None,
        "file_system": mount.file_system,
        "unsafe_options": list(mount.unsafe_options),
    }


def _counted(found: Survey) -> dict[str, Any]:
    revision, tasks, workers = found["revision"], found["tasks"], found["workers"]
    return {
        "revision": revision["number"] if revision else None,
        "registered": iso(revision["registered_at"]) if revision else None,
        "growing": found["growing"],
        "producer": found["producer"],
        "tasks": {"total": wanted({TaskState(s): n for s, n in tasks.items()})} | tasks,
        "workers": {"total": sum(workers.values())} | workers,
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
            for row in found["submissions"]
        ],
        "unservable": found["unservable"],
        # A snapshot of an older slurmband has neither.
        "unexplained": found.get("unexplained", 0),
        "questions": [
            {"command": row["command"], "n": row["n"], "asked": iso(row["asked_at"])}
            for row in found.get("questions", [])
        ],
    }
