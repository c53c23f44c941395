"""What this process holds of the user's locks, thread by thread, and who beats for it."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from flufl.lock import LockError


class Grip(Protocol):
    """One taking of one lock, until it is given back."""

    def still_mine(self) -> bool:
        """Look freshly whether it is still held."""
        ...

    def give_back(self) -> bool:
        """End it; False if the lock was somebody else's by then."""
        ...

    def tell_worker(self) -> None:
        """Say in the lock whose beats keep it fresh from now on."""
        ...


class Held:
    """The grips of one band in one process; a child made by fork holds nothing."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._grips: dict[tuple[str, int], Grip] = {}
        self._worker: int | None = None
        #: Called at each beat of this process's worker.
        self.each_beat: list[Callable[[], object]] = []

    def grip(self, lock: str) -> Grip | None:
        """Return this thread's grip on a lock."""
        return self._mine().get((lock, threading.get_ident()))

    def add(self, lock: str, grip: Grip) -> None:
        """Remember that this thread holds, or is about to hold, a lock."""
        self._mine()[lock, threading.get_ident()] = grip

    def drop(self, lock: str) -> Grip | None:
        """Forget this thread's grip on a lock; return what it was."""
        return self._mine().pop((lock, threading.get_ident()), None)

    def worker(self) -> int | None:
        """Return the key of the worker that this process is now."""
        self._mine()
        return self._worker

    def worker_is(self, key: int | None) -> None:
        """Have the locks that are held kept fresh by this worker's beats; None: by nobody's."""
        grips = self._mine()
        self._worker = key
        for grip in list(grips.values()):
            grip.tell_worker()

    def beat(self) -> None:
        """Do what is to be done at a beat; runs in a thread of its own, which must not end by it."""
        for refresh in self.each_beat:
            with suppress(LockError, OSError):
                refresh()

    def _mine(self) -> dict[tuple[str, int], Grip]:
        if self._pid != os.getpid():
            self._pid, self._grips, self._worker = os.getpid(), {}, None
        return self._grips
