"""Stopping a task that takes longer than its ``time_limit``.

The task's own code is interrupted by an exception. Where that cannot be (C code that does not return, a
loop outside the main thread, a program with an alarm of its own), or is caught, the guardian ends
the worker a little later, and says why.
"""

import signal
import threading
from types import FrameType

from slurmband.errors import TimeLimitReached


class Alarm:
    """Interrupts the main thread after a while, by SIGALRM."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    def set(self, seconds: float) -> None:
        """Raise `TimeLimitReached` in the main thread after so many seconds, if this can be done."""
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            return
        signal.signal(signal.SIGALRM, self._ring)
        self._seconds = seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def stop(self) -> None:
        """Raise nothing any more."""
        if self._seconds is None:
            return
        self._seconds = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if self._seconds is not None:
            raise TimeLimitReached(self._seconds)
