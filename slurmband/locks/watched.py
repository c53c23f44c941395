"""A lock of the user's: held for as long as its holder lives and, if it is a worker, beats.

Beside the claim its file says which thread holds it, and whose beats keep it fresh. A process without
beats is held to be alive until it is proven dead. A worker loses its lock, too, when a waiter has seen
its beats stand still for the lifetime: so a frozen worker keeps nobody waiting for ever, and one whose
code keeps the interpreter busy keeps its lock, since its guardian beats.

Of many whose patience ends at the same moment one may take such a lock away: who makes a file named
after that very holder. The others begin to count anew, so that if this one freezes, too, another will.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flufl.lock import AlreadyLockedError, NotLockedError

from slurmband.clock import Clock
from slurmband.domain.processes import ProcessIdentity
from slurmband.locks.link import NOTES, LinkLock, Taken, claim_in, unlink
from slurmband.locks.vigil import Vigil

#: Ending, but for a number, of the file that gives the right to break a lock; beside its claim file.
RIGHT: Final = ".break"


@dataclass(frozen=True, slots=True)
class Signs:
    """How a process shows that it lives, and how it sees that of others.

    Parameters
    ----------
    worker : callable
        Returns the key of the worker that this process is now; None: it is none, and does not beat.
    read_beat : callable
        Takes the key of a worker, returns its beat; None if it has no beat file.
    lifetime : float
        Seconds for which a lock of this worker holds without a beat.
    """

    worker: Callable[[], int | None]
    read_beat: Callable[[int], str | None]
    lifetime: float


class WatchedLock(LinkLock):
    """A lock file of the user's; made anew for each taking.

    Parameters
    ----------
    lockfile : str
        Path of the lock file; its directory must exist.
    signs : Signs
    clock : Clock, optional
    """

    def __init__(self, lockfile: str, signs: Signs, *, clock: Clock | None = None) -> None:
        super().__init__(lockfile, timedelta(seconds=signs.lifetime), clock=clock)
        self._signs = signs
        #: The file that gives this waiter the right to break the lock it sees.
        self._right: str | None = None
        self._begin_vigil(tries=0)

    def lock(self, timeout: float | timedelta | None = None) -> None:
        """Take the lock; AlreadyLockedError if this very thread holds it, by whatever object."""
        self._begin_vigil(tries=0)
        super().lock(timeout)

    def unlock(self, *, unconditionally: bool = False) -> None:
        """Give the lock back; NotLockedError if it is not ours (any more)."""
        # By rename and a look: a holder that is frozen after the check wakes up to another's lock.
        taken = self._take_away(self._is_mine) if self.still_mine() else Taken.NOT_MEANT
        unlink(self._claimfile)
        if taken is not Taken.REMOVED and not unconditionally:
            raise NotLockedError(f"{self._lockfile} is not ours, but held by {self.holder}")

    def tell_worker(self) -> None:
        """Write down whose beats keep this lock fresh from now on."""
        # Into our own claim file, which is the lock file for as long as we hold it, and nobody else's.
        with suppress(FileNotFoundError):
            descriptor = os.open(self._claimfile, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(descriptor, self._beats_line().encode())
            finally:
                os.close(descriptor)

    def _is_mine(self, record: str) -> bool:
        return claim_in(record) == self._claimfile

    def _write(self) -> None:
        with open(self._claimfile, "w") as claim:
            thread = threading.get_native_id()
            claim.write(f"{self._claimfile}{NOTES}{thread}\n{self._beats_line()}")

    def _beats_line(self) -> str:
        worker = self._signs.worker()
        return "beats none\n" if worker is None else f"beats {worker} {self._signs.lifetime:g}\n"

    def _lost(self, record: str, owner: ProcessIdentity) -> str | None:
        if owner == self._owner and f"{NOTES}{threading.get_native_id()}\n" in record:
            raise AlreadyLockedError(f"{self._lockfile} is held by this very thread")
        beats = beats_in(record)
        if beats is not None and self._still(record, *beats) and self._may_break(record):
            return f"it is frozen: no beat of worker {beats[0]} for {beats[1]:g} s"
        return super()._lost(record, owner)

    def break_if_lost(self) -> bool:
        """Remove the lock of a holder that has lost it; True if it is worth trying at once."""
        try:
            return super().break_if_lost()
        finally:
            if self._right is not None:
                unlink(self._right)
                self._right = None

    def _may_break(self, record: str) -> bool:
        """Whether, of all that would break this taking of the lock, it is this waiter's turn."""
        right = f"{self._beside(claim_in(record) or '')}{RIGHT}{self._tries}"
        try:
            os.close(os.open(right, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            self._begin_vigil(tries=self._tries + 1)
            return False
        self._right = right
        return self._record() == record  # and nobody but its holder can change that now

    def _begin_vigil(self, *, tries: int) -> None:
        self._vigil = Vigil(self._clock.monotonic)
        self._tries = tries

    def _still(self, record: str, worker: int, lifetime: float) -> bool:
        return self._vigil.over(lambda: (record, self._signs.read_beat(worker)), lifetime)


def beats_in(record: str) -> tuple[int, float] | None:
    """Return whose beats keep a lock fresh, and its lifetime in seconds; None: nobody's."""
    whole_lines = record.partition(NOTES)[2].split("\n")[:-1]
    for line in reversed(whole_lines):
        words = line.split()
        if words[:1] == ["beats"]:
            return (int(words[1]), float(words[2])) if len(words) == 3 else None
    return None
