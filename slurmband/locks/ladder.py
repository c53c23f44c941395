"""The way to a transaction: a thread lock, then the node's, then the one that all nodes share.

Cheap locks first: of all that want the database, one thread of one process of each node stands at
the lock file. In local mode the ladder ends at the node, and SQLite's own locks do the rest.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flufl.lock import Lock, LockError, NotLockedError, TimeOutError

from slurmband.errors import LockTimeout
from slurmband.locks.host import HostLock
from slurmband.locks.link import LinkLock

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
        Seconds to wait for the shared lock before saying who holds it; None: for ever.
    """

    def __init__(
        self, host: HostLock, link: Lock | None = None, *, timeout: float | None = None
    ) -> None:
        self.host = host
        self.link = link
        self.timeout = timeout
        self._threads = threading.Lock()

    @contextmanager
    def hold(self) -> Iterator[StillMine]:
        """Hold all rungs; yields a function that looks freshly whether they are still held.

        Raises
        ------
        LockTimeout
            If the shared lock was not to be had in time.
        """
        with self._threads, self.host.hold():
            if self.link is None:
                yield _always
                return
            self._take(self.link)
            try:
                yield lambda: _still_mine(self.link)
            finally:
                # Whoever holds it instead took it rightly; the last check has told us.
                with suppress(NotLockedError):
                    self.link.unlock()

    def _take(self, link: Lock) -> None:
        timeout = None if self.timeout is None else max(1, round(self.timeout))
        try:
            link.lock(timeout=timeout)
        except TimeOutError as error:
            holder = link.holder if isinstance(link, LinkLock) else "another process"
            raise LockTimeout(str(Path(link.lockfile)), self.timeout or 0.0, holder) from error


def _always() -> bool:
    return True


def _still_mine(link: Lock | None) -> bool:
    if isinstance(link, LinkLock):
        return link.still_mine()
    try:
        return bool(link is not None and link.is_locked)
    except (LockError, OSError):
        return False
