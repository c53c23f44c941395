"""How long one waiter has seen no change in a lock and its holder, by the waiter's own clock.

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
    monotonic : callable
        The waiter's clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen: object = None
        self._since = 0.0
        self._last_look = float("-inf")

    def over(self, look: Callable[[], object], lifetime: float) -> bool:
        """Look once; say whether nothing has changed for the whole lifetime.

        Parameters
        ----------
        look : callable
            Returns what changes for as long as the holder lives: what the lock file holds, its beat.
        lifetime : float
            Seconds for which the lock holds without a change.
        """
        longest_gap = max(LONGEST_GAP * lifetime, SHORTEST_GAP)
        asked = self._monotonic()
        seen = look()
        now = self._monotonic()  # the look itself may have waited for the file server
        late = asked - self._last_look > longest_gap or now - asked > longest_gap
        self._last_look = now
        if late or seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= lifetime
