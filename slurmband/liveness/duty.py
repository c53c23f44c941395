"""One worker at a time looks after the dead: a file shows that somebody does.

Whoever is on duty rewrites it at each pass. A worker that has seen it unchanged for a while, by its
own clock, takes over. Two on duty at once do no harm, since every judgement is fenced.
"""

import random
import secrets
from collections.abc import Callable

from slurmband.liveness.notice import Notice


class Duty:
    """The file, and what this worker has seen of it.

    Parameters
    ----------
    notice : Notice
        On the duty file.
    patience : float
        Seconds without a change after which to take over; jittered, so that not all do at once.
    monotonic : callable
        This worker's own clock, in seconds.
    """

    def __init__(self, notice: Notice, *, patience: float, monotonic: Callable[[], float]) -> None:
        self._notice = notice
        self._patience = patience * random.uniform(1.0, 1.5)
        self._monotonic = monotonic
        self._seen = (notice.look(), monotonic())

    def mine(self) -> bool:
        """Whether this worker is to look after the dead now; if so, others are told."""
        now, seen = self._monotonic(), self._notice.look()
        if seen != self._seen[0]:
            self._seen = (seen, now)
            return False
        if now - self._seen[1] < self._patience:
            return False
        self._notice.write(secrets.token_hex(8))
        self._seen = (self._notice.look(), now - self._patience)
        return True
