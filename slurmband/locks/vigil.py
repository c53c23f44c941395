"""How long one waiter has seen a lock's holder neither beat nor move, by the waiter's own clock.

Only what was seen by looking on time counts. If the waiter itself was held up between two looks
(stopped, or waiting for the file server), the holder may have beaten meanwhile, and the count starts
anew.
"""

from collections.abc import Callable
from typing import Final

#: Of the lifetime: a longer gap between two looks makes the count start anew.
LONGEST_GAP: Final = 0.25
#: In seconds; a waiter sleeps up to 0.05 s between two looks.
SHORTEST_GAP: Final = 0.2


class Vigil:
    """What one waiter has seen since it began to wait.

    Parameters
    ----------
    read_beat : callable
        Takes the key of a worker, returns its beat as it is now; None if it has no beat file.
    monotonic : callable
        The waiter's clock, in seconds.
    """

    def __init__(
        self, read_beat: Callable[[int], str | None], monotonic: Callable[[], float]
    ) -> None:
        self._read_beat = read_beat
        self._monotonic = monotonic
        self._seen: tuple[str, str | None] | None = None
        self._since = 0.0
        self._last_look = float("-inf")

    def over(self, record: str, worker: int, lifetime: float) -> bool:
        """Look once; say whether nothing has changed for the whole lifetime.

        Parameters
        ----------
        record : str
            What the lock file holds now.
        worker : int
            Key of the worker that holds the lock, as the record says.
        lifetime : float
            Seconds for which the lock holds without a beat, as the record says.
        """
        longest_gap = max(LONGEST_GAP * lifetime, SHORTEST_GAP)
        asked = self._monotonic()
        seen = (record, self._read_beat(worker))
        now = self._monotonic()  # the look itself may have waited for the file server
        late = asked - self._last_look > longest_gap or now - asked > longest_gap
        self._last_look = now
        if late or seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= lifetime
