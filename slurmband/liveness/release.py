"""The program that a guardian runs to release what a worker that cannot listen still holds.

Usage: ``python -m slurmband.liveness.release DATABASE WORKER``
"""

import sys

from slurmband.clock import SystemClock
from slurmband.domain.attempts import Reason
from slurmband.errors import WorkerLost
from slurmband.liveness.beats import Beats
from slurmband.liveness.notice import telling
from slurmband.store import membership, queries
from slurmband.store.database import Store

#: Seconds to wait for the database: SLURM kills soon.
PATIENCE = 10.0


def release(database: str, worker: int) -> None:
    """End an incarnation as drained, and release its open claims, fenced and uncharged."""
    store = Store(database, lock_timeout=PATIENCE)
    now = SystemClock().now()
    try:
        with telling(store) as tx:
            membership.leave(tx, queries.worker_by_key(tx, worker), Reason.DRAINED, now=now)
    except WorkerLost:
        return
    Beats(store.layout.beats).end(worker)


if __name__ == "__main__":
    release(sys.argv[1], int(sys.argv[2]))
