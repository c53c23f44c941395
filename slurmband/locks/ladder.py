"""The way to a transaction: a thread lock, then the node's, then the one that all nodes share.

Cheap locks first: of all that want the database, one thread of one process of each node stands at
the lock file. In local mode the ladder ends at the node, and SQLite's own locks do the rest.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from flufl.lock import AlreadyLockedError, Lock, LockError, NotLockedError, TimeOutError

from slurmband.errors import LockLost, LockTimeout
from slurmband.locks.generations import PATIENCE
from slurmband.locks.host import Errand, HostLock
from slurmband.locks.link import LinkLock

log = logging.getLogger(__name__)

_ADVICE: Final = (
    "It is at work, or was a moment ago: a lock that its holder no longer changes is given up after a "
    "while (SLURMBAND_LOCK_PATIENCE). Try again."
)
#: Seconds between tries to give a lock back that the file system would not let go.
GIVE_BACK_AGAIN: Final = (0.01, 0.1, 0.5)
#: Asks freshly whether all locks are still held.
StillMine = Callable[[], bool]


class Ladder:
    """The locks around one database.

    Parameters
    ----------
    host : HostLock
    link : flufl.lock.Lock, optional
        None in local mode.
    timeout : float, optional
        Seconds to wait for each lock before saying who holds it; None: for ever.
    patience : float, default 60
        Seconds after which a process goes on without the host lock, where there is another one.
    """

    def __init__(
        self,
        host: HostLock,
        link: Lock | None = None,
        *,
        timeout: float | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.patience = patience
        self.host = host
        self.link = link
        self.timeout = timeout
        self._threads = threading.Lock()
        #: Whether the host lock was waited for in vain: not again, before it was free once.
        self._host_is_stuck = False
        self._guarding: tuple[int, StillMine] | None = None
        #: The thread that stands on the host's rung, by `turn`.
        self._on_host: int | None = None

    @contextmanager
    def hold(self) -> Iterator[StillMine]:
        """Hold all rungs; yields a function that looks freshly whether they are still held.

        A thread that holds them by `guard` goes on under that.

        Raises
        ------
        LockTimeout
            If a lock was not to be had in time.
        """
        guarding = self._guarding
        if guarding is not None and guarding[0] == threading.get_ident():
            if not guarding[1]():
                raise LockLost(str(self.link.lockfile if self.link else self.host.file))
            yield guarding[1]
            return
        with self._climb(self.timeout) as still_mine:
            yield still_mine

    @contextmanager
    def turn(self, errand: Errand | None = None) -> Iterator[bool]:
        """Hold the rungs of this node, so that this thread's next `hold` has only the last one to take.

        Yields False if another process of the node did `errand` meanwhile: there is nothing to do.

        Raises
        ------
        LockTimeout
            If a lock was not to be had in time.
        """
        if self._guarding is not None and self._guarding[0] == threading.get_ident():
            yield True
            return
        with self._thread_lock(self.timeout), ExitStack() as rungs:
            ours = self._step_on_host(rungs, self.timeout, errand=errand)
            self._on_host = threading.get_ident()
            try:
                yield ours
            finally:
                self._on_host = None

    @contextmanager
    def guard(self, timeout: float | None = None) -> Iterator[StillMine]:
        """Hold all rungs for the user's code: what this thread asks of the database goes on inside.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for each lock; None: for ever.

        Raises
        ------
        LockTimeout
            If a lock was not to be had in time.
        UsageError
            If this very thread holds them by another object, and would wait for itself.
        """
        with self._climb(timeout, signed=True) as still_mine:
            self._guarding = (threading.get_ident(), still_mine)
            try:
                yield still_mine
            finally:
                self._guarding = None

    @contextmanager
    def _climb(self, timeout: float | None, *, signed: bool = False) -> Iterator[StillMine]:
        with ExitStack() as rungs:
            if self._on_host != threading.get_ident():
                rungs.enter_context(self._thread_lock(timeout))
                self._step_on_host(rungs, timeout, signed=signed)
            if self.link is None:
                yield _always
                return
            pid = os.getpid()
            self._take(self.link, timeout)
            try:
                yield lambda: _still_mine(self.link)
            finally:
                # Whoever holds it instead took it rightly; the last check has told us. And a child
                # that was forked inside must not give back what its parent holds.
                if os.getpid() == pid:
                    _give_back(self.link)

    def _step_on_host(
        self,
        rungs: ExitStack,
        timeout: float | None,
        *,
        signed: bool = False,
        errand: Errand | None = None,
    ) -> bool:
        """Take the host lock; where it only spares another one, from a stopped holder not for ever."""
        if self.link is None:
            return rungs.enter_context(self.host.hold(timeout, signed=signed, errand=errand))
        longest = self.patience if timeout is None else min(timeout, self.patience)
        if self._host_is_stuck:
            longest = 0.0
        try:
            ours = rungs.enter_context(self.host.hold(longest, signed=signed, errand=errand))
            self._host_is_stuck = False
        except LockTimeout as held:
            if self._host_is_stuck:
                return True
            if timeout is not None and timeout <= self.patience:
                raise
            self._host_is_stuck = True
            log.warning("going on without the lock of this node: %s", held)
            return True
        return ours

    @contextmanager
    def _thread_lock(self, timeout: float | None) -> Iterator[None]:
        if not self._threads.acquire(timeout=-1 if timeout is None else timeout):
            who, advice = "another thread of this process", "It holds `band.db_lock`: shorten that."
            raise LockTimeout(str(self.host.file), timeout or 0.0, who, advice=advice)
        try:
            yield
        finally:
            self._threads.release()

    def _take(self, link: Lock, seconds: float | None) -> None:
        ours = isinstance(link, LinkLock)
        timeout = None if seconds is None else timedelta(seconds=seconds)
        try:
            link.lock(timeout=timeout)
        except AlreadyLockedError:
            # Stock flufl.lock says so when its LINK worked and the reply was lost: it is taken. Ours
            # says so when it could not be given back last time: the thread lock rules out all else.
            if ours:
                link.unlock(unconditionally=True)
                link.lock(timeout=timeout)
        except TimeOutError as error:
            holder = link.holder if isinstance(link, LinkLock) else "another process"
            raise LockTimeout(
                str(Path(link.lockfile)), seconds or 0.0, holder, advice=_ADVICE
            ) from error


def _give_back(link: Lock) -> None:
    """Unlock, more than once if the file system errs: a lock that stays keeps everybody waiting."""
    for pause in (*GIVE_BACK_AGAIN, None):
        try:
            link.unlock()
        except NotLockedError:
            return
        except OSError as error:
            if pause is None:  # whatever was done under it is done
                log.warning("the lock %s is not given back yet: %s", link.lockfile, error)
            else:
                time.sleep(pause)
        else:
            return


def _always() -> bool:
    return True


def _still_mine(link: Lock | None) -> bool:
    try:
        if isinstance(link, LinkLock):
            return link.still_mine()
        return bool(link is not None and link.is_locked)
    except (LockError, OSError):
        return False
