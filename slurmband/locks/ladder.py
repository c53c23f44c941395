"""The way to a transaction: a thread lock, then the node's, then the one that all nodes share.

Cheap locks first: of all that want the database, one thread of one process of each node stands at
the lock file. In local mode the ladder ends at the node, and SQLite's own locks do the rest.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from flufl.lock import AlreadyLockedError, Lock, LockError, NotLockedError, TimeOutError

from slurmband.errors import LockTimeout
from slurmband.locks.host import HostLock
from slurmband.locks.link import LinkLock

_ADVICE: Final = (
    "It is never taken from a process that may be alive: if that process or its node is gone for good, "
    "delete the lock file; otherwise wait."
)
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
            If a lock was not to be had in time.
        """
        with self._threads, self.host.hold(self.timeout):
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
        ours = isinstance(link, LinkLock)
        timeout = None if self.timeout is None else timedelta(seconds=self.timeout)
        try:
            link.lock(timeout=timeout)
        except AlreadyLockedError:
            if ours:
                raise  # the thread lock above makes this impossible
            # Stock flufl.lock says so when its LINK worked and the reply was lost: it is taken.
        except TimeOutError as error:
            holder = link.holder if isinstance(link, LinkLock) else "another process"
            raise LockTimeout(
                str(Path(link.lockfile)), self.timeout or 0.0, holder, advice=_ADVICE
            ) from error


def _always() -> bool:
    return True


def _still_mine(link: Lock | None) -> bool:
    if isinstance(link, LinkLock):
        return link.still_mine()
    try:
        return bool(link is not None and link.is_locked)
    except (LockError, OSError):
        return False
