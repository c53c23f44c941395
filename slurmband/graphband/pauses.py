"""Pauses before the same is tried again: what is known must not be lost when a disk is full."""

import logging
import random
from typing import Final

from slurmband.clock import Clock
from slurmband.errors import CommitUnknown, EnvironmentFault

log = logging.getLogger(__name__)

#: Seconds to wait when the database or the journal cannot be used.
AFTER_A_FAULT: Final = 10.0


class Pauses:
    """Those of one incarnation.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._doubts = 0
        #: When the last one began, by this process's own clock.
        self.last = float("-inf")

    def pause(self, fault: EnvironmentFault) -> None:
        """Wait, after a commit of which nobody knows only a moment: where it stays so, longer."""
        seconds = AFTER_A_FAULT
        if isinstance(fault, CommitUnknown):
            seconds = min(seconds, random.uniform(0.1, 1.0) * 2**self._doubts)
            self._doubts += 1
        log.warning("trying again in %.1f s: %s", seconds, fault)
        self.last = self._clock.monotonic()
        self._clock.sleep(seconds)

    def over(self) -> None:
        """Forget the doubts: it is known now."""
        self._doubts = 0
