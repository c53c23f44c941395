"""The event log, as people follow it."""

from collections.abc import Collection, Iterator
from typing import Any

from slurmband.observe.times import iso
from slurmband.store import listings
from slurmband.store.database import Store

#: Rows of one read while catching up.
_AT_A_TIME = 1000


def newest(
    store: Store, count: int, *, tasks: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Return the newest events, oldest first.

    Parameters
    ----------
    store : Store
    count : int
    tasks : collection of str, optional
        Only events of these tasks.

    Returns
    -------
    list of dict
        ``sequence time event task state worker attempt detail``; times are ISO 8601, UTC.
    """
    with store.read() as tx:
        rows = listings.event_rows(tx, newest=count, only=tasks)
    return [_event(row) for row in rows]


def since(
    store: Store, sequence: int, *, tasks: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the events after `sequence`, oldest first, as `newest` gives them."""
    while True:
        with store.read() as tx:
            rows = listings.event_rows(tx, after=sequence, oldest=_AT_A_TIME, only=tasks)
        yield from map(_event, rows)
        if len(rows) < _AT_A_TIME:
            return
        sequence = rows[-1]["sequence"]


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "sequence": row["sequence"],
        "time": iso(row["timestamp"]),
        "event": row["event"],
        "task": row["task"],
        "state": row["state"],
        "worker": row["worker"],
        "attempt": row["attempt"],
        "detail": row["detail"],
    }
