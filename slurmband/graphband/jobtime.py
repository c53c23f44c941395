"""How much of its job's time a worker has left, and how it comes to know.

SLURM tells each job its end, but only since 23.02. Before that, one worker of an array asks for the time
limit, and the others find it in the database: in the round that they do anyway.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from slurmband.clock import Clock

#: Seconds that a worker keeps for its last report; of a short job, a part of it.
KEPT: Final = 30.0
KEPT_PART: Final = 0.1
#: Seconds before the time to begin nothing any more: a signal that comes later is for that.
NEAR: Final = 60.0
#: Seconds by which a signal of `--signal` may come sooner than asked for, sbatch(1).
TOO_EARLY: Final = 60.0
#: Seconds after which a worker in a long task asks by a round of its own, and each time twice as many.
ASK_AFTER: Final = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker's round says, and asks, of how long its job lasts.

    Parameters
    ----------
    submission : str
        Token of the `slurmband submit` that queued it.
    age : float
        Seconds for which the job has been running.
    limit : float or None
        The time limit that this worker has asked SLURM for, in seconds, 0 if SLURM did not say; None:
        it has not.
    """

    submission: str
    age: float
    limit: float | None = None

    def left(self, limit: float) -> float:
        """Return the seconds that a task may take which begins now."""
        return _to_begin(limit - self.age)


class JobTime:
    """The end of the job that this worker runs in; it may have none, or be learned later.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_begin: float | None = None
        self._lasts = 0.0
        self._submission: str | None = None
        self._began = 0.0
        self._to_ask = False
        self._answer: float | None = None
        self._told: float | None = None
        self._ask_at, self._pause = math.inf, ASK_AFTER
        #: Whether no task was begun in it yet.
        self.fresh = True
        #: UTC seconds since the epoch; None: not known, or never.
        self.ends_at: float | None = None

    def learn(self, ends_at: float) -> None:
        """Learn when the job ends; from then on this process's own clock counts."""
        self.ends_at, self._told = ends_at, None
        self._lasts = ends_at - self._clock.now()
        self._last_begin = self._clock.monotonic() + _to_begin(self._lasts)

    def inquire(self, submission: str, age: float) -> None:
        """Find out when the job ends, by way of the rounds to come.

        Parameters
        ----------
        submission : str
            Token of the `slurmband submit` that queued it.
        age : float
            Seconds for which the job has been running.
        """
        self._submission, self._began = submission, self._clock.monotonic() - age
        self._ask_at, self._pause = self._clock.monotonic() + ASK_AFTER, ASK_AFTER

    def question(self) -> Limits | None:
        """Return what the next round is to say and to ask."""
        if self._submission is None:
            return None
        return Limits(self._submission, self._clock.monotonic() - self._began, self._answer)

    def news(self) -> float | None:
        """Return the job's end, where the next round is to write it down."""
        return self.ends_at if self.ends_at != self._told else None

    @property
    def wants_a_round(self) -> bool:
        """Whether a round is worth while for this alone, as in a task that takes long."""
        answered = self._submission is not None and self._answer is not None
        due = self._submission is not None and self._clock.monotonic() >= self._ask_at
        return answered or due or self.news() is not None

    def heard(
        self, asked: Limits | None, told: float | None, limit: float | None, *, ask: bool
    ) -> None:
        """Learn from a round: what the limit is, or that this worker is to ask SLURM.

        Parameters
        ----------
        asked : Limits or None
            What the round asked.
        told : float or None
            Which end it wrote down.
        limit : float or None
            What it found.
        ask : bool
        """
        self._to_ask = self._to_ask or ask
        self._told = told or self._told
        self._ask_at, self._pause = self._clock.monotonic() + self._pause, 2 * self._pause
        if asked is not None and asked.limit is not None:
            self._submission = None  # it was told, and all is known
        elif limit:
            self._submission = None
            self._learn_limit(limit)

    def ask(self, slurm: Callable[[], float | None]) -> None:
        """Ask SLURM, if it is this worker that is to; call it from a thread that may wait."""
        if self._to_ask:
            self._to_ask = False
            answer = slurm()
            if answer:
                self._learn_limit(answer)
            self._answer = answer or 0.0

    def _learn_limit(self, limit: float) -> None:
        age = self._clock.monotonic() - self._began
        self.learn(self._clock.now() + limit - age)

    def left(self) -> float | None:
        """Return the seconds that a task may take which begins now; None: any."""
        if self._last_begin is None:
            return None
        return self._last_begin - self._clock.monotonic()

    @property
    def over(self) -> bool:
        """Whether nothing is to be begun any more."""
        left = self.left()
        return left is not None and left <= 0

    @property
    def is_nearly_over(self) -> bool:
        """Whether a signal that comes now is for the end of the job."""
        left = self.left()
        return left is not None and left <= NEAR

    @property
    def may_be_warned_of(self) -> bool:
        """Whether a warning that comes now may be for the end of the job.

        SLURM may give the same signal to a job that it is about to preempt (``send_user_signal``).
        Nobody asks to be warned in the first half of the time, but the signal may come too early.
        """
        left = self.left()
        return left is None or left <= max(self._lasts / 2, NEAR + TOO_EARLY)

    def allows(self, seconds: float) -> bool:
        """Whether what takes so long can be begun now."""
        left = self.left()
        return left is None or seconds <= left


def _to_begin(left: float) -> float:
    """Return how much of the time that is left a task may take."""
    return left - min(KEPT, KEPT_PART * max(left, 0.0))
