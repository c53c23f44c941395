"""A lock as users see it: ``with`` takes it, and says at the end whether it was theirs throughout."""

import os
from datetime import timedelta
from types import TracebackType
from typing import Self

from slurmband.errors import LockLost, UsageError
from slurmband.locks.held import Held
from slurmband.locks.host import held_twice
from slurmband.locks.ways import Way


class UserLock:
    """A lock between all processes and threads; use it by ``with``.

    It is not re-entrant: a thread that takes a lock which it holds is told so by a UsageError, and
    does not wait for itself. Made by a Graphband.

    Parameters
    ----------
    way : Way
        How it is taken.
    held : Held
        What this process holds.
    timeout : float, optional
        Seconds to wait for it; None: for ever.
    """

    def __init__(self, way: Way, held: Held, *, timeout: float | None = None) -> None:
        self._way = way
        self._held = held
        self.timeout = timeout
        self._pid = 0

    def lock(self, timeout: float | timedelta | None = None) -> None:
        """Take the lock.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Seconds to wait; 0 tries once. None: as the lock was made, which is for ever by default.

        Raises
        ------
        LockTimeout
            If it was not to be had in that time. The message names who holds it.
        UsageError
            If this thread holds it already.
        """
        if self._held.grip(self.lockfile) is not None:
            raise held_twice(self.lockfile)
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        worker = self._held.worker()
        grip = self._way.take(self.timeout if seconds is None else seconds)
        self._held.add(self.lockfile, grip)
        if self._held.worker() != worker:  # it began or left meanwhile, in another thread
            grip.tell_worker()

    def unlock(self) -> None:
        """Give the lock back.

        Raises
        ------
        LockLost
            If it was taken from this process meanwhile. It stays with its new holder.
        UsageError
            If this thread does not hold it.
        """
        grip = self._held.drop(self.lockfile)
        if grip is None:
            raise UsageError(f"this thread does not hold the lock {self.lockfile}: take it first.")
        if not grip.give_back():
            raise LockLost(self.lockfile)

    def still_mine(self) -> bool:
        """Look freshly whether this thread holds the lock, before doing what cannot be undone."""
        grip = self._held.grip(self.lockfile)
        return grip is not None and grip.still_mine()

    @property
    def is_locked(self) -> bool:
        """Whether this thread holds the lock."""
        return self.still_mine()

    @property
    def lockfile(self) -> str:
        """Path of the lock file."""
        return self._way.path

    @property
    def holder(self) -> str:
        """Who holds the lock, for people."""
        return self._way.holder()

    def __enter__(self) -> Self:
        self.lock()
        self._pid = os.getpid()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pid != os.getpid():
            return  # a child that was forked inside: the lock is its parent's
        try:
            self.unlock()
        except LockLost as lost:
            if error is None:
                raise
            error.add_note(str(lost))  # what went wrong inside matters more

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.lockfile}>"


class NoLock(UserLock):
    """What stands for a lock where there is nobody to exclude: of a band that is disabled."""

    def __init__(self) -> None:
        self.timeout = None

    def lock(self, timeout: float | timedelta | None = None) -> None:
        """Do nothing."""

    def unlock(self) -> None:
        """Do nothing."""

    def still_mine(self) -> bool:
        """Return True: nobody could have taken it."""
        return True

    @property
    def lockfile(self) -> str:
        """Return the empty string: there is no file."""
        return ""

    @property
    def holder(self) -> str:
        """Return who holds it: nobody."""
        return "nobody"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
