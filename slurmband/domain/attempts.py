"""A claim, how an attempt can end, and what that means for its task."""

from dataclasses import dataclass, field
from enum import StrEnum

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
    """

    attempt: int
    task: str
    task_key: int
    number: int
    slot: int
    awaited: bool = field(default=False, compare=False)


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
    TIME_LIMIT = "time limit"  #: SLURM says TIMEOUT or DEADLINE
    PREEMPTED = "preempted"  #: SLURM says PREEMPTED
    NODE_FAILURE = "node failure"  #: SLURM says NODE_FAIL or BOOT_FAIL
    CANCELLED = "cancelled"  #: scancel
    REQUEUED = "requeued"  #: a later incarnation of the same element registered
    SILENT = "silent"  #: no sign of life for too long
    JOB_OVER = "job over"  #: SLURM says that the job ended, and not why
    DRAINED = "drained"  #: told to leave by a signal
    LEFT = "left"  #: the worker ended its loop
    NOT_BEGUN = "not begun"  #: taken in advance, and handed back while another task took long

    @property
    def charged(self) -> bool:
        """Whether the task in hand is to blame until shown otherwise."""
        return self in _CHARGED


_CHARGED = frozenset(
    {
        Reason.PROCESS_GONE,
        Reason.OUT_OF_MEMORY,
        Reason.TIME_LIMIT,
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
    """

    outcome: Outcome
    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What a task has behind it when an attempt has just been closed.

    Parameters
    ----------
    open_attempts : int
        How many attempts of the task are still open.
    completed : bool
        Whether an attempt of the present round completed, this one included.
    failures, deaths : int
        How many attempts failed, or died and were charged, this one included.
    max_failed_retries, max_killed_retries : int
        The budgets: N retries are N further attempts after the first.
    """

    open_attempts: int
    completed: bool
    failures: int
    deaths: int
    max_failed_retries: int
    max_killed_retries: int

    @property
    def spent(self) -> bool:
        """Whether a budget is used up: without a completion, the task ends badly."""
        return self.failures > self.max_failed_retries or self.deaths > self.max_killed_retries


def event_after(outcome: Outcome, tally: Tally) -> Event | None:
    """Decide what the end of an attempt does to its task; None: others are still in it."""
    if tally.open_attempts:
        return None
    if tally.completed:
        return Event.COMPLETE
    if tally.failures > tally.max_failed_retries:
        return Event.FAIL
    if tally.deaths > tally.max_killed_retries:
        return Event.KILL
    return Event.RELEASE if outcome is Outcome.RELEASED else Event.RETRY
