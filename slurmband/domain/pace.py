"""How many tasks a worker takes at a time, and how long a report may wait, by what a round costs.

A round with the database takes milliseconds on a local disk, and a tenth of a second on a busy file
server. Where a task takes long beside that, a worker takes one at a time and reports it at once. Where
tasks are short it takes several, so that rounds stay a small part of its time; but no more than its
share of half of what is ready (factoring: Hummel, Schonberg and Flynn, 1992), so that nobody idles at
the end while somebody else has a pile. What is done within the time of a round is no pile.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

#: The work between two rounds is to be so many times what a round takes.
WORK_PER_ROUND: Final = 40.0
#: The same, where others wait for what has completed.
WORK_WHILE_AWAITED: Final = 4.0
#: Seconds after which a report is made, whatever that costs.
LONGEST: Final = 60.0
#: A task is longer than was foreseen after so many times what the last ones took, or a round does; and
#: after so many seconds at least.
UNFORESEEN: Final = 4.0
LONG: Final = 1.0
#: Claims in hand at most, where nobody says otherwise: they are lost for a while with their worker.
MOST: Final = 128
#: Waiting workers that are called for one task: one may not hear it soon, and another be quicker.
CALLED_PER_TASK: Final = 2.0
#: What a worker takes may be so many times what it took before.
GROWTH: Final = 4
#: Weight of what happened last in what is expected: of tasks, which come in kinds, and of rounds.
_LAST_TASK: Final = 0.5
_LAST_ROUND: Final = 0.3
#: A round counts as so many times what was expected at most, and what was expected as so many times that
#: round: one that waited for a hundred workers which were just starting says little of the next.
_FAR: Final = 8.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker would like to have in hand after a round.

    Parameters
    ----------
    want : int
        So many tasks, if that is no more than its share of half of what is ready.
    trifle : int
        So many even if it is more: they are done within the time of a round, and nobody else would have
        them sooner.
    in_hand : int
        So many it has, and will begin first.
    """

    want: int
    trifle: int = 1
    in_hand: int = 0

    def of(self, ready: int, workers: int) -> int:
        """Return how many to take where so many are ready for so many workers."""
        share = -(-ready // (2 * max(1, workers)))
        return max(0, min(self.want, max(self.trifle, share)) - self.in_hand)


NOTHING: Final = Wish(0)


class Pace:
    """What one worker has learned of how long tasks and rounds take, in seconds.

    Parameters
    ----------
    most : int
        Tasks to have in hand at most.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._task: float | None = None
        self._round: float | None = None
        self._taken = 0

    def ran(self, seconds: float) -> None:
        """Learn how long a task took, with all that is written down of it."""
        self._task = _mean(seconds if self._task is None else self._task, seconds, _LAST_TASK)

    def asked(self, seconds: float, taken: int) -> None:
        """Learn how long a round took, all its waiting included, and how many were in hand after it.

        Parameters
        ----------
        seconds : float
        taken : int
            0 where none were new, which says nothing.
        """
        before = seconds if self._round is None else min(self._round, _FAR * seconds)
        self._round = _mean(before, min(seconds, _FAR * before), _LAST_ROUND)
        self._taken = taken or self._taken

    def wish(self, in_hand: int = 0) -> Wish:
        """Say what to take in a round; from one task, it grows fourfold at most each time."""
        if self._task is None or self._round is None:
            return Wish(1, in_hand=in_hand)
        at_once = self._round / max(self._task, 1e-6)
        enough = min(round(WORK_PER_ROUND * at_once), GROWTH * self._taken, self._most)
        return Wish(max(1, enough), max(1, int(at_once)), in_hand)

    def patience(self, *, awaited: bool) -> float:
        """Say for how many seconds after a round it is too early for the next one.

        Parameters
        ----------
        awaited : bool
            Whether other tasks depend on what there is to report.
        """
        rounds = WORK_WHILE_AWAITED if awaited else WORK_PER_ROUND
        return min(rounds * (self._round or 0.0), LONGEST)

    def longest(self) -> float:
        """Say after how many seconds a task is so long that nobody should wait for what comes after."""
        return max(LONG, UNFORESEEN * max(self._task or 0.0, self._round or 0.0))


def called(ready: Collection[int], waiting: int) -> float:
    """Say which share of the waiting workers is to come for tasks that became ready.

    Who was not called looks again, and may be called then: this spares a round to most of those who
    would come in vain, and never lasts.

    Parameters
    ----------
    ready : collection of int
        How many, for each set of requirements. Where there are several, all are called: one that few
        workers meet must not wait for one of them to be drawn.
    waiting : int
        Workers that hold nothing.
    """
    tasks = sum(ready)
    if not tasks:
        return 0.0
    if len(ready) > 1 or waiting < 1:
        return 1.0
    return min(1.0, CALLED_PER_TASK * tasks / waiting)


def _mean(before: float, now: float, weight: float) -> float:
    return before + weight * (now - before)
