"""Waiting for a band: until all is done, or until nobody is left who could do it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slurmband.clock import Clock
from slurmband.domain.states import ACTIVE, TaskState, wanted
from slurmband.domain.workers import LOCAL_CLUSTER, WorkerStatus
from slurmband.liveness.inquiry import ASK_EVERY, may_ask_for_person
from slurmband.slurm.arrays import parse
from slurmband.slurm.queue import SlurmQueue
from slurmband.store import chains, growth, queries
from slurmband.store.counts import Counts
from slurmband.store.database import Store
from slurmband.store.modes import Mode
from slurmband.submission.submit import Queued

#: Seconds between looks at the database; in shared mode each look takes a lock that workers want.
LOOK_EVERY = {Mode.LOCAL: 0.5, Mode.SHARED: 10.0}
#: Seconds without a live worker after which a band without arrays is given up, and SLURM is asked about
#: arrays; and the least seconds between two tries to ask it.
ABSENT_FOR = 30.0
#: What the questions of those who wait are counted as; workers ask for reasons of their own.
QUESTION = "squeue, to wait"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the band stands.

    Parameters
    ----------
    counts : dict of TaskState to int
    workers : int
        How many are alive as far as the database knows.
    deserted : bool
        Whether every array that was waited for is over.
    growing : bool or None
        Whether more tasks are to come; None where the graph was registered whole.
    newest : int
        The newest event.
    """

    counts: dict[TaskState, int]
    workers: int
    deserted: bool = False
    growing: bool | None = None
    newest: int = 0

    @property
    def total(self) -> int:
        """How many tasks are wanted."""
        return wanted(self.counts)

    @property
    def completed(self) -> int:
        """How many completed."""
        return self.counts[TaskState.COMPLETED]

    @property
    def over(self) -> bool:
        """Whether nothing will change any more by itself."""
        active = self.growing or any(self.counts[state] for state in ACTIVE)
        return (self.registered and not active) or self.deserted

    @property
    def registered(self) -> bool:
        """Whether a graph was registered, though all of it may be cancelled by now."""
        return any(self.counts.values()) or self.growing is False


def follow(
    store: Store,
    arrays: Sequence[Queued],
    *,
    queue: SlurmQueue,
    clock: Clock,
) -> Iterator[Progress]:
    """Yield where the band stands, now and then, until it is over or all `arrays` are.

    Arrays that continue these are waited for, too. SLURM is asked only while nothing happens.

    Parameters
    ----------
    store : Store
    arrays : sequence of Queued
    queue : SlurmQueue
    clock : Clock
    """
    seen = moved = asked = clock.monotonic()
    newest = -1
    while True:
        now, gone = clock.monotonic(), False
        quiet = now - seen >= ABSENT_FOR or now - moved >= ASK_EVERY
        due = quiet and now - asked >= ABSENT_FOR
        if arrays and (due or all(array.local for array in arrays)):
            asked = now
            gone = _are_over(store, arrays, queue, clock)
            continued = _continued(store, arrays) if gone else None
            if continued is not None:
                arrays, gone, seen = continued, False, now
        progress = look(store, deserted=gone or (now - seen >= ABSENT_FOR and not arrays))
        seen = now if progress.workers else seen
        moved, newest = (moved if progress.newest == newest else now), progress.newest
        yield progress
        if progress.over:
            return
        clock.sleep(LOOK_EVERY[store.mode])


def look(store: Store, *, deserted: bool = False) -> Progress:
    """Read where the band stands."""
    with store.read() as tx:
        alive = queries.worker_counts(tx)[WorkerStatus.ALIVE]
        found = growth.look(tx)
        growing = None if found is None else found.growing
        newest = queries.newest_event(tx)
        return Progress(Counts(tx).states, alive, deserted, growing, newest)


def _continued(store: Store, arrays: Sequence[Queued]) -> list[Queued] | None:
    """Return the arrays that continue these (``--until-done``); None if there are none.

    Those of this machine were started by others: there is nothing to be asked but whether workers live.
    """
    rows = []
    with store.read() as tx:
        for local in (True, False):
            these = [array.array_job_id for array in arrays if array.local is local]
            rows += chains.after(tx, these, local=local)
    if not rows:
        return None
    of_slurm = [row for row in rows if row["cluster"] != LOCAL_CLUSTER]
    return [Queued(row["array_job_id"], parse(row["array"])) for row in of_slurm]


def _are_over(store: Store, arrays: Sequence[Queued], queue: SlurmQueue, clock: Clock) -> bool:
    """Whether every array is over, as far as that is known now; SLURM is asked once for all of its."""
    own = [array for array in arrays if array.local and array.handle is not None]
    if not all(array.handle.done() for array in own if array.handle is not None):
        return False
    of_slurm = [array.array_job_id for array in arrays if array not in own]
    if not of_slurm:
        return True
    may_ask = may_ask_for_person(store, QUESTION, every=ASK_EVERY, now=clock.now())
    return may_ask and not queue.are_queued(of_slurm)
