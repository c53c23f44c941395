"""Who could take a task: the live workers, sorted by what keeps each of them from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from slurmband.domain.band_facts import WorkerFacts
from slurmband.domain.death import Evidence
from slurmband.domain.labels import satisfy
from slurmband.domain.processes import Fate


@dataclass(frozen=True, slots=True)
class Sign:
    """What can be seen of a worker from here.

    Parameters
    ----------
    silence : float or None
        Seconds since its last beat; None: it cannot be told.
    fate : Fate
        What this machine says of its process.
    """

    silence: float | None = None
    fate: Fate = Fate.UNKNOWN

    def suspicious(self, timeout: float) -> bool:
        """Whether a worker with that heartbeat timeout, in seconds, may well be dead."""
        return Evidence(self.fate, self.silence, timeout).suspect


NOTHING_SEEN = Sign()


@dataclass(slots=True)
class Takers:
    """Live workers, each in the first of these lists that fits.

    Parameters
    ----------
    silent : list of WorkerFacts
        They may be dead.
    lacking : list of WorkerFacts
        They do not offer what the task requires.
    leaving : list of WorkerFacts
        A person asked them to.
    short : list of WorkerFacts
        The time that they have left is too short for it.
    busy, free : list of WorkerFacts
        They will take it later, or could now.
    """

    silent: list[WorkerFacts] = field(default_factory=list)
    lacking: list[WorkerFacts] = field(default_factory=list)
    leaving: list[WorkerFacts] = field(default_factory=list)
    short: list[WorkerFacts] = field(default_factory=list)
    busy: list[WorkerFacts] = field(default_factory=list)
    free: list[WorkerFacts] = field(default_factory=list)

    @property
    def fit(self) -> list[WorkerFacts]:
        """All that will take it, now or later."""
        return self.free + self.busy


def takers(
    workers: Iterable[tuple[WorkerFacts, Sign]],
    *,
    requirements: frozenset[str],
    expected: float | None,
    now: float,
) -> Takers:
    """Sort live workers by what keeps each from a task.

    Parameters
    ----------
    workers : iterable of (WorkerFacts, Sign)
    requirements : frozenset of str
        Of the task.
    expected : float or None
        Seconds that it will take; None: nobody knows.
    now : float
        UTC seconds since the epoch.
    """
    found = Takers()
    for worker, sign in workers:
        if sign.suspicious(worker.timeout):
            found.silent.append(worker)
        elif not satisfy(worker.worker.labels, requirements):
            found.lacking.append(worker)
        elif worker.stop is not None:
            found.leaving.append(worker)
        elif too_short(worker, expected, now):
            found.short.append(worker)
        elif worker.held is not None:
            found.busy.append(worker)
        else:
            found.free.append(worker)
    return found


def too_short(worker: WorkerFacts, expected: float | None, now: float) -> bool:
    """Whether a worker's job will be over before a task that takes `expected` seconds."""
    if worker.ends_at is None:
        return False
    return now + (expected or 0.0) > worker.ends_at
