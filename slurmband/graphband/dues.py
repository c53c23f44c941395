"""Whether a worker is held up: it holds claims, and for long has neither begun nor reported any of them.

A file server that answers a worker's guardian may not answer the worker: then it would keep its claims
for as long as its guardian beats. So the beats stop, others go on with what it holds, and what ended is
believed from its journal. When the worker can go on, so do the beats.
"""

import logging
from typing import Final

from slurmband.clock import Clock
from slurmband.liveness.heartbeat import Heartbeat

log = logging.getLogger(__name__)

#: After how many heartbeat timeouts a worker is held up.
PATIENCE: Final = 5
_NEVER: Final = float("inf")


class Dues:
    """Since when claims are held of which none is begun, or which are still to be reported.

    Parameters
    ----------
    clock : Clock
    timeout : float
        Of the heartbeat, in seconds.
    """

    def __init__(self, clock: Clock, timeout: float) -> None:
        self._clock = clock
        self._patience = PATIENCE * timeout
        self._since = _NEVER

    def owe(self) -> None:
        """Note that there is something to begin or to report from now on."""
        self._since = self._clock.monotonic()

    def settle(self, heartbeat: Heartbeat) -> None:
        """Note that there is not, or no longer; the worker goes on, and beats."""
        self._since = _NEVER
        heartbeat.go_on()

    def check(self, heartbeat: Heartbeat, *, paused_at: float) -> None:
        """Stop the beats of a worker that is held up; called by another thread than the worker's.

        Parameters
        ----------
        heartbeat : Heartbeat
        paused_at : float
            When the worker last found that it is to try again later, by the monotonic clock: who can
            say so is not held up.
        """
        since = self._since
        seconds = self._clock.monotonic() - max(since, paused_at)
        if seconds <= self._patience:
            return
        log.warning(
            "held up for %.0f s: this worker stops beating, so that others go on with what it holds",
            seconds,
        )
        heartbeat.hold_back()
        if self._since != since:  # it went on just now
            heartbeat.go_on()
