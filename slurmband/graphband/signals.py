"""Signals that ask a worker to leave: they set a flag, and the loop looks at it between tasks."""

import logging
import os
import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Final

log = logging.getLogger(__name__)

#: Ask to leave: at the time limit or at preemption, and the warning before it.
ASKED: Final = (signal.SIGTERM, signal.SIGUSR1)


class Drain:
    """Whether this worker was asked to leave.

    Parameters
    ----------
    forward : callable
        Told the number of each signal that asks.
    """

    def __init__(self, forward: Callable[[int], None]) -> None:
        self._forward = forward
        self._before: dict[int, object] = {}
        self.asked_by: str | None = None
        #: Called with the number of each signal that asks, in its handler: at any line of the program.
        self.on_signal: Callable[[int], object] = lambda _number: None

    def __bool__(self) -> bool:
        return self.asked_by is not None

    def ask(self, by: str) -> None:
        """Ask this worker to leave after the task in hand, otherwise than by a signal."""
        self.asked_by = self.asked_by or by

    def listen(self, *, interrupts: bool = False) -> None:
        """Take the signals over, where the program has not done so itself; main thread only.

        Parameters
        ----------
        interrupts : bool, default False
            Also take SIGINT: once to leave after the task in hand, twice to leave at once.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        wanted = (*ASKED, signal.SIGINT) if interrupts else ASKED
        free = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler)
        for number in wanted:
            if signal.getsignal(number) in free:
                self._before[number] = signal.signal(number, self._on_signal)
        _LISTENING.add(self)

    def restore(self) -> None:
        """Give the signals back as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it came from signal.signal
        self._before.clear()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGINT:
            if self.asked_by is not None:
                raise KeyboardInterrupt
            log.warning("%s: leaving after the task in hand; once more to leave now", name)
        self.asked_by = self.asked_by or name
        self._forward(number)
        self.on_signal(number)


#: Who took signals over in this process. A forked child is another process: a pool of the user's ends
#: its workers by SIGTERM, which must end them, and must not reach the worker's guardian.
_LISTENING: Final["weakref.WeakSet[Drain]"] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for drain in list(_LISTENING):
        drain.restore()
    _LISTENING.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
