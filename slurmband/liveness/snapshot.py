"""The snapshot: how far the band is, in a small file that anybody may read without a lock.

Who commits also publishes, every few seconds at most. What came too soon after another snapshot is kept,
and published at the next beat, if nobody has published anything newer by then: so the file is never
behind for longer than a heartbeat interval, however long the tasks are.
"""

import json
import logging
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from slurmband.store import growth, listings, queries, questions
from slurmband.store.counts import Counts
from slurmband.store.database import Transaction

log = logging.getLogger(__name__)

#: Seconds between two snapshots, unless there may be none to come for long.
EVERY: Final = 3.0
#: Seconds between two that are kept to be published later.
KEEP_EVERY: Final = 0.25

#: What `survey` returns.
Survey = dict[str, Any]


def survey(tx: Transaction) -> Survey:
    """Count what people ask for first, all as of one moment.

    Returns
    -------
    dict
        ``sequence`` of the newest event; ``tasks`` and ``workers``: one count per state; ``revision``
        and ``submissions``: rows; ``unservable``: requirements of ready tasks that no live worker
        satisfies; ``growing`` and ``producer``; ``unexplained``: how many lost workers SLURM is still to
        be asked about; ``questions``: what it was asked, how often. All of it can be written as JSON.
    """
    grown = growth.look(tx)
    return {
        "sequence": queries.newest_event(tx),
        "tasks": {str(state): count for state, count in Counts(tx).states.items()},
        "workers": {str(status): count for status, count in queries.worker_counts(tx).items()},
        "revision": listings.revision_row(tx),
        "submissions": listings.submission_rows(tx),
        "unservable": queries.unservable(tx),
        "growing": grown is not None and grown.growing,
        "producer": grown.producer if grown else None,
        "unexplained": len(queries.unexplained_workers(tx)),
        "questions": questions.asked(tx),
    }


class Snapshots:
    """The file, and what this process has to publish in it.

    Parameters
    ----------
    file : Path
        Its folder must exist.
    monotonic : callable
        This process's own clock, in seconds.
    """

    def __init__(self, file: Path, monotonic: Callable[[], float]) -> None:
        self._file = file
        self._monotonic = monotonic
        self._kept: Survey | None = None
        self._kept_at = float("-inf")
        self._seen: tuple[int, int] | None = None
        self._since = float("-inf")
        self._turn = threading.Lock()  # the beats are heard in a thread of their own

    def due(self) -> bool:
        """Whether nobody has published for a while, as far as this process has looked."""
        now = self._monotonic()
        if now - self._since < EVERY:
            return False
        self._since = now
        seen, self._seen = self._seen, _signature(self._file)
        return seen is None or seen == self._seen

    def is_old(self) -> bool:
        """Whether what is kept is from a while ago."""
        return self._monotonic() >= self._kept_at + KEEP_EVERY

    def keep(self, found: Survey) -> None:
        """Keep what a transaction found for the next `flush`."""
        with self._turn:
            self._kept, self._kept_at = found, self._monotonic()

    def flush(self) -> None:
        """Publish what was kept."""
        with self._turn:
            if self._kept is not None:
                self._publish(self._kept)

    def publish(self, found: Survey) -> None:
        """Publish what a transaction found, after its commit, unless something newer is published."""
        with self._turn:
            self._publish(found)

    def _publish(self, found: Survey) -> None:
        self._kept = None
        publish(self._file, found)
        self._seen = _signature(self._file)


def publish(file: Path, found: Survey) -> None:
    """Write what a transaction found, after its commit, unless something newer is there."""
    newest = read(file)
    if newest is not None and newest["sequence"] > found["sequence"]:
        return
    unfinished = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    try:
        unfinished.write_text(json.dumps(found))
        unfinished.replace(file)
    except OSError as error:  # people see an older one; nothing else depends on it
        log.warning("no snapshot was published: %s", error)
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def read(file: Path) -> Survey | None:
    """Read the newest snapshot; None where there is none that can be read."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    known = isinstance(found, dict) and isinstance(found.get("sequence"), int)
    return found if known else None


def _signature(file: Path) -> tuple[int, int] | None:
    try:
        descriptor = os.open(file, os.O_RDONLY)  # an open goes to the file server
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
