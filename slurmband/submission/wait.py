"""Waiting for a band: until all is done, or until nobody is left who could do it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slurmband.domain.states import ACTIVE, TaskState, wanted
from slurmband.domain.workers import LOCAL_CLUSTER, WorkerStatus
from slurmband.slurm.arrays import parse
from slurmband.slurm.queue import SlurmQueue
from slurmband.store import chains, growth, queries
from slurmband.store.database import Store
from slurmband.store.modes import Mode
from slurmband.submission.submit import Queued

#: Seconds between looks at the database; in shared mode each look takes a lock that workers want.
LOOK_EVERY = {Mode.LOCAL: 0.5, Mode.SHARED: 10.0}
#: Seconds without a live worker after which a band without arrays is given up.
ABSENT_FOR = 30.0
#: Seconds between questions to SLURM whether the arrays are still there.
ASK_EVERY = 30.0


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
    """

    counts: dict[TaskState, int]
    workers: int
    deserted: bool = False
    growing: bool | None = None

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
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Progress]:
    """Yield where the band stands, now and then, until it is over or all `arrays` are.

    Arrays that continue these are waited for, too.

    Parameters
    ----------
    store : Store
    arrays : sequence of Queued
    queue : SlurmQueue
    monotonic, sleep : callable
    """
    asked = seen = monotonic()
    while True:
        now, gone = monotonic(), False
        if arrays and (now - asked >= ASK_EVERY or all(array.local for array in arrays)):
            asked = now
            gone = all(_is_over(array, queue) for array in arrays)
            continued = _continued(store, arrays) if gone else None
            if continued is not None:
                arrays, gone, seen = continued, False, now
        progress = look(store, deserted=gone or (now - seen >= ABSENT_FOR and not arrays))
        seen = now if progress.workers else seen
        yield progress
        if progress.over:
            return
        sleep(LOOK_EVERY[store.mode])


def look(store: Store, *, deserted: bool = False) -> Progress:
    """Read where the band stands."""
    with store.read() as tx:
        alive = queries.worker_counts(tx)[WorkerStatus.ALIVE]
        found = growth.look(tx)
        growing = None if found is None else found.growing
        return Progress(queries.counts(tx), alive, deserted, growing)


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


def _is_over(array: Queued, queue: SlurmQueue) -> bool:
    if array.local and array.handle is not None:
        return bool(array.handle.done())
    return not queue.is_queued(array.array_job_id)
