"""What the database knows of the band, its workers and its arrays: facts to find reasons from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from slurmband.domain.states import ACTIVE, CLAIMABLE, TaskState
from slurmband.domain.workers import Worker


@dataclass(frozen=True, slots=True)
class Held:
    """What a worker has in hand: how many tasks, and the one it claimed first."""

    n: int
    task: str
    attempt: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """One live worker; times are seconds since the epoch, UTC.

    Parameters
    ----------
    worker : Worker
    node : str
    log : str or None
    timeout : float
        Seconds of silence after which it is a suspect.
    ends_at : float or None
        When its job's time is over.
    stop : str or None
        "drain" or "now": a person asked it to leave.
    started_at : float
    held : Held or None
    """

    worker: Worker
    node: str
    log: str | None
    timeout: float
    ends_at: float | None
    stop: str | None
    started_at: float
    held: Held | None = None

    @property
    def name(self) -> str:
        """What people see, such as ``36_1``."""
        return self.worker.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayFacts:
    """One submission.

    Parameters
    ----------
    array_job_id : int or None
        None: it is not known to be queued.
    array : str
        As given to sbatch.
    cluster, status : str
    token : str
    error : str or None
        Why it is not queued.
    log : str or None
        File name pattern of the elements' logs.
    script : str
    command : tuple of str
        What an element runs.
    created_at : float
    elements, unseen : int
        How many it has, and in how many no worker ever joined.
    first_unseen : int or None
        Index of one of these.
    """

    array_job_id: int | None
    array: str
    cluster: str
    status: str
    token: str = ""
    error: str | None = None
    log: str | None = None
    script: str = ""
    command: tuple[str, ...] = ()
    created_at: float = 0.0
    elements: int = 0
    unseen: int = 0
    first_unseen: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Tasks that ended badly for one reason: how many, and one of them with its log."""

    state: TaskState
    reason: str | None
    n: int
    task: str
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Blocker:
    """A task that ended badly, and how many tasks that blocks; `whole`: not one more."""

    task: str
    state: TaskState
    blocked: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Head:
    """The first of the claimable tasks with some requirements; `expected`: seconds that it takes."""

    task: str
    expected: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BandFacts:
    """The whole band, as of one moment.

    Parameters
    ----------
    counts : mapping of (frozenset of str, TaskState) to int
        How many tasks with which requirements are where.
    heads : mapping of frozenset of str to Head
        The first claimable task with each set of requirements.
    workers : tuple of WorkerFacts
        The live ones.
    gone : mapping of str to int
        Workers that are no more, by the reason.
    arrays : tuple of ArrayFacts
        Oldest first.
    stop : str or None
        "drain" or "now": a person asked all workers to leave.
    growing : bool
    producer : str or None
    last_event : float or None
        When anything happened last.
    recent : mapping of str to int
        How often what happened to tasks lately, by event.
    failures : tuple of Failure
        The most frequent first.
    blockers : tuple of Blocker
        Those that block most first.
    """

    counts: Mapping[tuple[frozenset[str], TaskState], int]
    heads: Mapping[frozenset[str], Head] = field(default_factory=dict)
    workers: tuple[WorkerFacts, ...] = ()
    gone: Mapping[str, int] = field(default_factory=dict)
    arrays: tuple[ArrayFacts, ...] = ()
    stop: str | None = None
    growing: bool = False
    producer: str | None = None
    last_event: float | None = None
    recent: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    blockers: tuple[Blocker, ...] = ()

    def count(self, *states: TaskState) -> int:
        """Count the tasks in some states."""
        return sum(n for (_, state), n in self.counts.items() if state in states)

    @property
    def left(self) -> int:
        """How many tasks may still run without anybody's help."""
        return self.count(*ACTIVE)

    @property
    def claimable(self) -> dict[frozenset[str], int]:
        """How many tasks can be claimed, for each set of requirements."""
        return {
            needs: n for (needs, state), n in self.counts.items() if state in CLAIMABLE and n > 0
        }
