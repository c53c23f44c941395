"""The program that a guardian runs to release what a worker that cannot listen still holds.

Usage: ``python -m slurmband.liveness.release DATABASE WORKER [ATTEMPT]``, with an attempt that takes
longer than it may.
"""

import sys

from slurmband.clock import SystemClock
from slurmband.domain.attempts import Ending, Outcome, Reason
from slurmband.errors import WorkerLost
from slurmband.liveness import journal
from slurmband.liveness.beats import Beats
from slurmband.liveness.continuing import continue_array
from slurmband.liveness.notice import telling
from slurmband.store import membership, queries, stopping
from slurmband.store.database import Store

#: Seconds to wait for the database: SLURM kills soon.
PATIENCE = 10.0
#: Seconds before the end of its job from which on a worker is told to leave for that.
NEAR = 60.0


def release(database: str, worker: int, overdue: int | None = None) -> None:
    """End an incarnation, and its open claims: as its journal says, and charged if one is overdue."""
    store = Store(database, lock_timeout=PATIENCE)
    now = SystemClock().now()
    try:
        with telling(store) as tx:
            # Not before: the worker may have ended its task while this waited for the lock.
            written = journal.read(store.layout.journals, worker)
            who = queries.worker_by_key(tx, worker)
            reason = _reason(queries.end_of(tx, worker), now)
            if stopping.asked(tx, worker):
                reason = Reason.STOPPED
            unfinished = Ending(Outcome.RELEASED, reason)
            endings = {attempt: ended or unfinished for attempt, ended in written.items()}
            if overdue is not None:
                reason = Reason.OVERRUN
                endings[overdue] = written.get(overdue) or Ending(Outcome.KILLED, reason)
            membership.leave(tx, who, reason, endings=endings, now=now)
    except WorkerLost:
        return
    Beats(store.layout.beats).end(worker)
    store.close()
    if reason is Reason.TIME_LIMIT:
        continue_array(database, worker)


def _reason(ends_at: float | None, now: float) -> Reason:
    """Say why a worker that was asked to leave did not: by its job's end, where that is near."""
    at_the_wall = ends_at is not None and now > ends_at - NEAR
    return Reason.TIME_LIMIT if at_the_wall else Reason.DRAINED


if __name__ == "__main__":
    release(sys.argv[1], *map(int, sys.argv[2:]))
