"""The maps: which task is in which worker, in which element, on which node, in which log; and back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from slurmband.domain.states import TaskState
from slurmband.errors import UsageError
from slurmband.observe import names
from slurmband.observe.names import Named
from slurmband.observe.times import iso
from slurmband.slurm.local_array import element_log
from slurmband.store import listings
from slurmband.store.database import Store, Transaction

Row = dict[str, Any]


def tasks(
    store: Store, *, states: Collection[str] | None = None, only: Sequence[str] = ()
) -> list[Row]:
    """List tasks, in the order of the graph.

    Parameters
    ----------
    store : Store
    states : collection of str, optional
        Only tasks in one of these.
    only : sequence of str, optional
        Only tasks so named, and those whose newest attempt was in a worker, an element or a node so
        named; see `slurmband.observe.names`.

    Returns
    -------
    list of dict
        ``id state attempts worker job element node started ended reason log error``, of the newest
        attempt where there was one. Times are ISO 8601, UTC.

    Raises
    ------
    UsageError
        If a state is none, or a name in `only` matches nothing.
    """
    unknown = set(states or ()) - set(TaskState)
    if unknown:
        raise UsageError(f"no state {sorted(unknown)[0]!r}: it is one of {', '.join(TaskState)}.")
    with store.read() as tx:
        named = names.find(tx, only)
        rows = listings.task_rows(tx, states=states)
        causes = listings.blocking_tasks(tx)
        submissions = listings.submission_rows(tx)
    patterns = patterns_of(submissions)
    return [
        _task(row, causes, patterns)
        for row in rows
        if named is None or row["id"] in named.tasks or row["key"] in named.places
    ]


def _task(row: Row, causes: dict[str, tuple[str, str]], patterns: dict[int, str | None]) -> Row:
    reason = row["reason"]
    if row["state"] == TaskState.BLOCKED and row["id"] in causes:
        reason = "needs {!r}, which is {}".format(*causes[row["id"]])
    return {
        "id": row["id"],
        "state": row["state"],
        "attempts": row["attempts"],
        "worker": row["worker"],
        "job": row["job"],
        "element": element_id(row),
        "node": row["node"],
        "started": iso(row["started"]),
        "ended": iso(row["ended"]),
        "reason": reason,
        "log": log_of(row, patterns),
        "error": row["error"],
    }


def workers(store: Store, *, only: Sequence[str] = (), in_it: bool = False) -> list[Row]:
    """List incarnations, oldest first; of a task in `only`, those that had an attempt at it.

    Parameters
    ----------
    store : Store
    only : sequence of str
        Names, as `slurmband.observe.names` knows them; none: all.
    in_it : bool, default False
        Of a task, only those that hold it now.

    Returns
    -------
    list of dict
        ``worker state job element restarts rank node pid labels tasks completed started ended reason
        log``; ``tasks`` are those it holds now.
    """
    with store.read() as tx:
        named = names.find(tx, only)
        rows = listings.worker_rows(tx)
        submissions = listings.submission_rows(tx)
    patterns = patterns_of(submissions)
    return [
        {
            "worker": row["worker"],
            "state": row["state"],
            "job": row["job"],
            "element": element_id(row),
            "restarts": row["restarts"],
            "rank": row["rank"],
            "node": row["node"],
            "pid": row["pid"],
            "labels": row["labels"],
            "tasks": row["tasks"],
            "completed": row["completed"],
            "started": iso(row["started"]),
            "ended": iso(row["ended"]),
            "reason": row["reason"],
            "log": log_of(row, patterns),
        }
        for row in rows
        if named is None
        or row["key"] in named.places
        or (named.tasks.intersection(row["tasks"]) if in_it else row["key"] in named.tried_by)
    ]


def jobs(store: Store, *, only: Sequence[str] = ()) -> list[Row]:
    """List the elements of every array, and every other job a worker ran in.

    Returns
    -------
    list of dict
        ``array_job_id array_task_id job_id restarts worker node state task log``, of the newest
        incarnation; ``state`` is ``pending`` until a worker showed up, then ``running``, ``ended`` or
        ``lost``. ``workers`` and ``tasks`` name all of them where an element has several.
    """
    with store.read() as tx:
        found = _places(tx, names.find(tx, only))
    return [row for row in found if (row["array_job_id"], row["job_id"]) != (None, None)]


def _places(tx: Transaction, named: Named | None) -> list[Row]:
    """List elements, other jobs, and workers in no job at all."""
    patterns = patterns_of(listings.submission_rows(tx))
    found: dict[object, Row] = {}
    for row in listings.element_rows(tx):
        found[row["array_job_id"], row["array_task_id"]] = {**row, "here": []}
    for row in listings.worker_rows(tx):
        key: object = (row["array_job_id"], row["array_task_id"])
        if key == (None, None):
            key = row["worker"] if row["job"] is None else row["job"]
        place = found.setdefault(key, {**row, "job_id": row["job"], "here": []})
        place["here"].append(row)
    return [_job(place, patterns) for place in found.values() if _is_meant(place, named)]


def _is_meant(place: Row, named: Named | None) -> bool:
    if named is None or any(row["key"] in named.workers for row in place["here"]):
        return True
    return any(job.names(place) for job in named.jobs)


def _job(place: Row, patterns: dict[int, str | None]) -> Row:
    latest = max((row["restarts"] for row in place["here"]), default=0)
    here = [row for row in place["here"] if row["restarts"] == latest]
    alive = [row for row in here if row["state"] == "alive"]
    newest = (alive or here or [None])[-1]
    held = [task for row in here for task in row["tasks"]]
    row = {**place, "job": newest["job"] if newest else place["job_id"]}
    row["log"] = newest["log"] if newest else None
    return {
        "array_job_id": place["array_job_id"],
        "array_task_id": place["array_task_id"],
        "job_id": row["job"],
        "restarts": latest,
        "worker": newest["worker"] if newest else None,
        "node": newest["node"] if newest else None,
        "state": _STATES[newest["state"]] if newest else "pending",
        "task": held[0] if held else None,
        "log": log_of(row, patterns),
        "workers": [row["worker"] for row in here],
        "tasks": held,
    }


_STATES = {"alive": "running", "left": "ended", "lost": "lost"}


def where(store: Store, name: str) -> list[Row]:
    """List every attempt at a task, oldest first, with where it ran; or the places so named.

    Returns
    -------
    list of dict
        ``task attempt outcome worker job element node pid started ended reason log error``; ``outcome``
        is None while it runs. For a name that is no task's, what `jobs` gives, and so for workers that
        are in no job.

    Raises
    ------
    UsageError
        If nothing is so called.
    """
    with store.read() as tx:
        named = names.find(tx, [name])
        if named is None or not named.tasks:
            return _places(tx, named)
        rows = listings.attempt_rows(tx, name)
        submissions = listings.submission_rows(tx)
    patterns = patterns_of(submissions)
    return [
        {
            "task": name,
            "attempt": row["attempt"],
            "outcome": row["outcome"],
            "worker": row["worker"],
            "job": row["job"],
            "element": element_id(row),
            "node": row["node"],
            "pid": row["pid"],
            "started": iso(row["started"]),
            "ended": iso(row["ended"]),
            "reason": row["reason"],
            "log": log_of(row, patterns),
            "error": row["error"],
        }
        for row in rows
    ]


def patterns_of(submissions: Iterable[Row]) -> dict[int, str | None]:
    """Return array job id -> the pattern of its elements' logs, as it was asked for at submission."""
    return {row["array_job_id"]: row["log"] for row in submissions}


def element_id(row: Row) -> str | None:
    """Return ``36_1``; None for a worker outside an array."""
    if row["array_job_id"] is None or row["array_task_id"] is None:
        return None
    return f"{row['array_job_id']}_{row['array_task_id']}"


def log_of(row: Row, patterns: Mapping[int, str | None]) -> str | None:
    """Return the log file: as the worker found it, else as it was asked for at submission."""
    if row.get("log") is not None and "%" not in row["log"]:
        return str(row["log"])
    pattern = patterns.get(row["array_job_id"])
    if pattern is None or row["array_task_id"] is None:
        return None
    return element_log(pattern, row["array_job_id"], row["array_task_id"], row.get("job"))
