"""What the database knows of a task, and of what is upstream of it: facts to find reasons from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from slurmband.domain.budgets import Charge
from slurmband.domain.durations import Durations
from slurmband.domain.states import TaskState


@dataclass(frozen=True, slots=True)
class Typical:
    """How long tasks of a kind take, as far as they completed.

    Parameters
    ----------
    n : int
        How many completed.
    mean, deviation : float
        Seconds.
    """

    n: int
    mean: float
    deviation: float

    @property
    def foreseen(self) -> float:
        """Seconds that another one will hardly exceed, as workers reckon with."""
        spread = self.n * self.deviation**2
        return Durations(self.n, self.mean, spread).foreseen


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """One try at a task, and where it ran; times are seconds since the epoch, UTC."""

    id: int
    number: int
    outcome: str | None
    reason: str | None
    error: str | None
    claimed_at: float
    ended_at: float | None
    worker_key: int
    worker: str
    element: str | None
    job: int | None
    node: str
    log: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """One task.

    Parameters
    ----------
    key : int
    id : str
    state : TaskState
    since : float or None
        When it came into this state.
    event : str or None
        What brought it there.
    in_graph : bool
        Whether the present revision has it.
    requirements : frozenset of str
    max_parallel_workers : int
    kind : str
    time_limit : float or None
        Seconds that an attempt may take.
    typical : Typical or None
        Of its kind; None while nothing of it completed.
    ahead : int
        How many claimable tasks go first.
    charged, budgets : mapping of Charge to int
    attempts : tuple of AttemptFacts
        Oldest first.
    blocks : int
        How many tasks right below it are blocked.
    """

    key: int
    id: str
    state: TaskState
    since: float | None = None
    event: str | None = None
    in_graph: bool = True
    requirements: frozenset[str] = frozenset()
    max_parallel_workers: int = 1
    kind: str = ""
    time_limit: float | None = None
    typical: Typical | None = None
    ahead: int = 0
    charged: Mapping[Charge, int] = field(default_factory=lambda: dict.fromkeys(Charge, 0))
    budgets: Mapping[Charge, int] = field(default_factory=lambda: dict.fromkeys(Charge, 0))
    attempts: tuple[AttemptFacts, ...] = ()
    blocks: int = 0

    @property
    def expected(self) -> float | None:
        """Seconds for which a worker must have time to begin it; None where nobody knows."""
        known = [self.typical.foreseen if self.typical else None, self.time_limit]
        return min((seconds for seconds in known if seconds is not None), default=None)

    @property
    def open_attempts(self) -> tuple[AttemptFacts, ...]:
        """The claims on it."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome is None)


@dataclass(frozen=True, slots=True)
class Root:
    """A task at which a walk upstream ends, and the path to it.

    Parameters
    ----------
    id : str
    state : TaskState
    requirements : frozenset of str
    path : tuple of str
        From the task that was asked about to this one, both included.
    claimed_at : float or None
        When the oldest open attempt at it began.
    """

    id: str
    state: TaskState
    requirements: frozenset[str]
    path: tuple[str, ...]
    claimed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """What keeps a task waiting, or blocks it.

    Parameters
    ----------
    direct : mapping of TaskState to int
        How many of its own dependencies that have not completed are where.
    roots : tuple of Root
        Where the walk ended, the nearest first.
    whole : bool
        Whether the walk saw all there is to see.
    """

    direct: Mapping[TaskState, int]
    roots: tuple[Root, ...]
    whole: bool = True
