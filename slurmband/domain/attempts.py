"""A claim, how an attempt can end, and what that means for its task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import Final

from slurmband.domain.budgets import POISON, Charge
from slurmband.domain.states import Event


@dataclass(frozen=True, slots=True)
class Claim:
    """One incarnation's right to report on one attempt.

    Parameters
    ----------
    attempt : int
        Row id of the open attempt, never reused: the fence.
    task : str
        The user's id of the task.
    task_key : int
        Row number of the task.
    number : int
        Which try at the task this is, counted from 1.
    slot : int
        Which of the task's ``max_parallel_workers`` places it holds, counted from 0.
    awaited : bool
        Whether other tasks depend on it.
    time_limit : float or None
        Seconds after which it is to be stopped.
    foreseen : float
        Seconds that it will hardly exceed, as far as that is known.
    """

    attempt: int
    task: str
    task_key: int
    number: int
    slot: int
    awaited: bool = field(default=False, compare=False)
    time_limit: float | None = field(default=None, compare=False)
    foreseen: float = field(default=0.0, compare=False)

    def __reduce__(self) -> tuple[type["Claim"], tuple[object, ...]]:
        """Be pickled in a third of the time that a frozen dataclass takes: workers send many."""
        return Claim, _of_claim(self)


_of_claim: Final = attrgetter(*Claim.__slots__)


class Outcome(StrEnum):
    """How an attempt ended; the value is what the database stores."""

    COMPLETED = "completed"  #: the user's code came to its end
    FAILED = "failed"  #: the user's code raised, or left the loop
    RELEASED = "released"  #: handed back unharmed, or lost through nobody's fault
    KILLED = "killed"  #: died with its worker, and charged for it


class Reason(StrEnum):
    """Why a worker is no more, or why it gave a claim back."""

    PROCESS_GONE = "killed"  #: its process is provably gone
    OUT_OF_MEMORY = "out of memory"  #: SLURM says OUT_OF_MEMORY
    TIME_LIMIT = "time limit"  #: the time of its job was over; charged from the second time on
    OVERRUN = "over its time_limit"  #: the task took longer than it may, and was stopped
    PREEMPTED = "preempted"  #: SLURM says PREEMPTED
    NODE_FAILURE = "node failure"  #: SLURM says NODE_FAIL or BOOT_FAIL
    CANCELLED = "cancelled"  #: scancel
    REQUEUED = "requeued"  #: a later incarnation of the same element registered
    SILENT = "silent"  #: no sign of life for too long
    JOB_OVER = "job over"  #: SLURM says that the job ended, and not why
    DRAINED = "drained"  #: told to leave by a signal
    LEFT = "left"  #: the worker ended its loop
    HANDED_BACK = "handed back"  #: by the task's own code, which had saved what it had done
    NOT_BEGUN = "not begun"  #: taken in advance, and handed back, or its worker was lost before
    NO_TIME = "no time left"  #: nothing that is ready fits into the time its job has left
    STOPPED = "stopped"  #: a person said `slurmband stop`

    @property
    def charged(self) -> bool:
        """Whether the task in hand is to blame until shown otherwise; but see `judged`."""
        return self in _CHARGED


_CHARGED = frozenset(
    {
        Reason.PROCESS_GONE,
        Reason.OUT_OF_MEMORY,
        Reason.OVERRUN,
        Reason.SILENT,
        Reason.JOB_OVER,
    }
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ended.

    Parameters
    ----------
    outcome : Outcome
    reason : str, optional
        A word or a line for people; the last line of a traceback for a failure.
    error : str, optional
        The whole traceback.
    seconds : float, optional
        How long it took.
    """

    outcome: Outcome
    reason: str | None = None
    error: str | None = None
    seconds: float | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[type["Ending"], tuple[object, ...]]:
        """Be pickled as `Claim` is."""
        return Ending, _of_ending(self)


_of_ending: Final = attrgetter(*Ending.__slots__)


#: A claim, and how it ended.
Report = tuple[Claim, Ending]


def judged(ending: Ending, walls: int) -> Ending:
    """Say how an attempt is written down, of a task whose job's time was over so often before.

    A task may be unlucky once to be begun late. After that it takes too long for these jobs.
    """
    at_the_wall = ending.outcome is Outcome.RELEASED and ending.reason == Reason.TIME_LIMIT
    if at_the_wall and walls:
        return Ending(Outcome.KILLED, ending.reason, ending.error)
    return ending


def charge_of(ending: Ending) -> Charge | None:
    """Say what an attempt is charged for; None: for nothing."""
    if ending.outcome is Outcome.FAILED:
        return Charge.FAILED
    if ending.outcome is Outcome.KILLED:
        return _CHARGE_OF_DEATH.get(ending.reason or "", Charge.KILLED)
    return None


_CHARGE_OF_DEATH: Final[Mapping[str, Charge]] = {
    Reason.OUT_OF_MEMORY: Charge.OUT_OF_MEMORY,
    Reason.TIME_LIMIT: Charge.TIME_LIMIT,
    Reason.OVERRUN: Charge.TIME_LIMIT,
}


@dataclass(frozen=True)
class Tally:
    """What a task has behind it when an attempt has just been closed.

    Parameters
    ----------
    open_attempts : int
        How many attempts of the task are still open.
    completed : bool
        Whether an attempt of the present round completed, this one included.
    charged : mapping of Charge to int
        How many attempts were charged for what, this one included.
    budgets : mapping of Charge to int
        N retries are N further attempts after the first.
    """

    open_attempts: int
    completed: bool
    charged: Mapping[Charge, int]
    budgets: Mapping[Charge, int]

    @cached_property
    def spent(self) -> bool:
        """Whether a budget is used up: without a completion, the task ends badly."""
        return self.poisoned or any(n > self.budgets[of] for of, n in self.charged.items())

    @cached_property
    def poisoned(self) -> bool:
        """Whether it took so many workers with it that it is given to no more."""
        toll = self.charged[Charge.KILLED] + self.charged[Charge.OUT_OF_MEMORY]
        allowed = max(self.budgets[Charge.KILLED], self.budgets[Charge.OUT_OF_MEMORY])
        return toll >= max(POISON, allowed + 1)


def event_after(outcome: Outcome, tally: Tally) -> Event | None:
    """Decide what the end of an attempt does to its task; None: others are still in it."""
    if tally.open_attempts:
        return None
    if tally.completed:
        return Event.COMPLETE
    if tally.charged[Charge.FAILED] > tally.budgets[Charge.FAILED]:
        return Event.FAIL
    if tally.spent:
        return Event.KILL
    return Event.RELEASE if outcome is Outcome.RELEASED else Event.RETRY
