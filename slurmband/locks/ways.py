"""The ways to take a user's lock: by a file of ours, by a flufl.lock object, or by the ladder."""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from flufl.lock import AlreadyLockedError, Lock, LockError, NotLockedError, TimeOutError

from slurmband.clock import Clock
from slurmband.errors import LockTimeout
from slurmband.locks.held import Grip
from slurmband.locks.host import held_twice
from slurmband.locks.ladder import StillMine
from slurmband.locks.watched import Signs, WatchedLock

_ADVICE: Final = (
    "Look whether that process still works, or wait longer. If it is on a node that is gone for good, "
    "delete the lock file."
)


class Way(Protocol):
    """How to take one lock."""

    path: str

    def take(self, timeout: float | None) -> Grip:
        """Take the lock within so many seconds (None: for ever), or raise LockTimeout."""
        ...

    def holder(self) -> str:
        """Say who holds it, for people."""
        ...


class FileWay:
    """A lock file in the band's folder, built anew for each taking.

    Parameters
    ----------
    path : Path
        Its folder is made when the lock is taken.
    signs : Signs
    clock : Clock, optional
    """

    def __init__(self, path: Path, signs: Signs, *, clock: Clock | None = None) -> None:
        self.path = str(path)
        self._signs = signs
        self._clock = clock

    def take(self, timeout: float | None) -> "FileGrip":
        """Take the lock."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        lock = WatchedLock(self.path, self._signs, clock=self._clock)
        try:
            lock.lock(timeout)
        except AlreadyLockedError as error:
            raise held_twice(self.path) from error
        except TimeOutError as error:
            raise LockTimeout(self.path, timeout or 0.0, lock.holder, advice=_ADVICE) from error
        return FileGrip(lock)

    def holder(self) -> str:
        """Say who holds it."""
        return WatchedLock(self.path, self._signs).holder


class FileGrip:
    """A taking of a lock file of ours."""

    def __init__(self, lock: WatchedLock) -> None:
        self._lock = lock

    def still_mine(self) -> bool:
        """Look freshly whether it is still held."""
        return self._lock.still_mine()

    def give_back(self) -> bool:
        """End it; False if the lock was somebody else's by then."""
        try:
            self._lock.unlock()
        except NotLockedError:
            return False
        return True

    def tell_worker(self) -> None:
        """Say in the lock whose beats keep it fresh from now on."""
        self._lock.tell_worker()


class GivenWay:
    """A lock object that the user made; one object has one claim, so threads take turns at it.

    Parameters
    ----------
    lock : flufl.lock.Lock
    lifetime : float
        Seconds. A shorter lifetime of the lock is raised to it when it is taken: between two beats it
        must not expire.
    """

    def __init__(self, lock: Lock, lifetime: float) -> None:
        self.path = os.path.abspath(lock.lockfile)
        self._lock = lock
        self._lifetime = timedelta(seconds=lifetime)
        self._for_this_process()

    def take(self, timeout: float | None) -> "GivenGrip":
        """Take the lock."""
        if self._pid != os.getpid():
            self._for_this_process()
            self._lock._set_claimfile()  # noqa: SLF001  # what came over a fork names the parent
        if not self._turns.acquire(timeout=-1 if timeout is None else timeout):
            raise self._timeout(timeout, "another thread of this process")
        try:
            self._take(timeout)
        except BaseException:
            self._turns.release()
            raise
        return GivenGrip(self._lock, self._turns)

    def _take(self, timeout: float | None) -> None:
        if self._lock.is_locked:
            raise held_twice(self.path)  # by the object itself, outside of the band
        self._lock.lifetime = max(self._lock.lifetime, self._lifetime)
        try:
            self._lock.lock(None if timeout is None else timedelta(seconds=timeout))
        except AlreadyLockedError:
            pass  # flufl says so when its LINK worked and the reply was lost: it is taken
        except TimeOutError as error:
            raise self._timeout(timeout, self.holder()) from error

    def holder(self) -> str:
        """Say who holds it."""
        try:
            host, pid, _ = self._lock.details
        except (LockError, ValueError):
            return "nobody known"
        return f"pid {pid} on {host}"

    def refresh(self) -> None:
        """Let it live another lifetime, if this process holds it."""
        if self._pid == os.getpid():
            self._lock.is_locked  # noqa: B018  # flufl's check is its refresh, and leaves others' alone

    def _for_this_process(self) -> None:
        self._pid = os.getpid()
        self._turns = threading.Lock()

    def _timeout(self, timeout: float | None, holder: str) -> LockTimeout:
        return LockTimeout(self.path, timeout or 0.0, holder, advice=_ADVICE)


class GivenGrip:
    """A taking of a lock object that the user made."""

    def __init__(self, lock: Lock, turns: threading.Lock) -> None:
        self._lock = lock
        self._turns = turns

    def still_mine(self) -> bool:
        """Look whether it is still held."""
        return bool(self._lock.is_locked)

    def give_back(self) -> bool:
        """End it; False if the lock was somebody else's by then."""
        try:
            self._lock.unlock()
        except NotLockedError:
            return False
        finally:
            self._turns.release()
        return True

    def tell_worker(self) -> None:
        """Do nothing: stock locks live by their lifetime, which the beats renew."""


class LadderWay:
    """The locks of the database, taken as a whole.

    Parameters
    ----------
    path : Path
        For messages.
    guard : callable
        Takes a timeout, returns the context in which the database is this thread's alone.
    """

    def __init__(
        self, path: Path, guard: Callable[[float | None], AbstractContextManager[StillMine]]
    ) -> None:
        self.path = str(path)
        self._guard = guard

    def take(self, timeout: float | None) -> "LadderGrip":
        """Take the locks."""
        rungs = ExitStack()
        return LadderGrip(rungs, rungs.enter_context(self._guard(timeout)))

    def holder(self) -> str:
        """Say who holds it."""
        return "another process"


class LadderGrip:
    """A taking of the locks of the database."""

    def __init__(self, rungs: ExitStack, still_mine: StillMine) -> None:
        self._rungs = rungs
        self._still_mine = still_mine

    def still_mine(self) -> bool:
        """Look freshly whether all are still held."""
        return self._still_mine()

    def give_back(self) -> bool:
        """End it; False if a lock was somebody else's by then."""
        try:
            return self._still_mine()
        finally:
            self._rungs.close()

    def tell_worker(self) -> None:
        """Do nothing: the database's lock is taken from the dead only."""
