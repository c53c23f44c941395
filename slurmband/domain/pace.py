"""How many tasks a worker takes at a time, and how long a report may wait, by what a round costs.

A round with the database takes milliseconds on a local disk, and a tenth of a second on a busy file
server. Where a task takes long beside that, a worker takes one at a time and reports it at once. Where
tasks are short it takes several, so that rounds stay a small part of its time; but never more than its
share of what is ready (guided self-scheduling: Polychronopoulos and Kuck, 1987), so that nobody idles at
the end while somebody else has a pile.
"""

from typing import Final

#: The work between two rounds is to be so many times what a round takes.
WORK_PER_ROUND: Final = 20.0
#: The same, where others wait for what has completed.
WORK_WHILE_AWAITED: Final = 4.0
#: Seconds after which a report is made, whatever that costs.
LONGEST: Final = 60.0
#: Claims in hand at most, where nobody says otherwise: they are lost for a while with their worker.
MOST: Final = 128
#: Weight of what happened last in what is expected.
_LATELY: Final = 0.3


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
        """Learn how long a task took."""
        self._task = _mean(self._task, seconds)

    def asked(self, seconds: float, taken: int) -> None:
        """Learn how long a round took, all its waiting included, and how many tasks it gave."""
        self._round = _mean(self._round, seconds)
        self._taken = taken or self._taken

    def want(self) -> int:
        """Say how many tasks to have in hand after a round; from one, it doubles at most each time."""
        if self._task is None or self._round is None:
            return 1
        enough = WORK_PER_ROUND * self._round / max(self._task, 1e-6)
        return max(1, min(round(enough), 2 * self._taken, self._most))

    def patience(self, *, awaited: bool) -> float:
        """Say for how many seconds after a round it is too early for the next one.

        Parameters
        ----------
        awaited : bool
            Whether other tasks depend on what there is to report.
        """
        rounds = WORK_WHILE_AWAITED if awaited else WORK_PER_ROUND
        return min(rounds * (self._round or 0.0), LONGEST)


def share(ready: int, workers: int) -> int:
    """Return how many of the ready tasks are one worker's fair share: at least one."""
    return max(1, -(-ready // max(1, workers)))


def _mean(before: float | None, now: float) -> float:
    return now if before is None else before + _LATELY * (now - before)
