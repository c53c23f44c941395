"""The only clock: everything else is told what time it is.

``now`` is for people and for the record (UTC); no decision compares it between nodes.
``monotonic`` measures how long this process has been watching something.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What the worker, the locks and the reaper know of time."""

    def now(self) -> float:
        """Return seconds since the Unix epoch (UTC)."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, with no meaning outside this process."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the Unix epoch (UTC)."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back, with no meaning outside this process."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        time.sleep(seconds)
