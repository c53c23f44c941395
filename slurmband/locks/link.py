"""A flufl lock that waits milliseconds, and is taken only from a holder that is proven dead.

The protocol on disk is flufl's: a claim file that holds its own name, hard-linked to the lock file.
Four things differ from :class:`flufl.lock.Lock`. It polls in milliseconds with jitter instead of up
to two seconds, so that no waiter starves. It never expires by anybody's wall clock: the holder's
process is named in the claim file's name (boot, pid namespace, pid, start time), and the lock is
broken only when that process is provably gone. Breaking renames the lock away and looks at what it
caught, so that of many breakers one wins and a live lock is put back. And a LINK whose reply was
lost, which finds the lock to be ours already, is a lock taken and not an error.
"""

import enum
import errno
import logging
import os
import random
import secrets
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from flufl.lock import SEP, AlreadyLockedError, Lock, NotLockedError, TimeOutError

from slurmband.clock import Clock, SystemClock
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.processes import fate_of, identify

log = logging.getLogger(__name__)

#: Waits between tries in seconds: from the first, doubling, to the last; each with full jitter.
FIRST_WAIT: Final = 0.002
LAST_WAIT: Final = 0.05
DEFAULT_LOCK_LIFETIME: Final = timedelta(seconds=15)
#: What parts the claim from what a user's lock says besides.
NOTES: Final = "\nthread "
#: Endings of the names that are there for a moment, beside a claim file.
PROBE: Final = ".p"
CAUGHT: Final = ".caught"
#: What NFS says of a file that somebody else has just removed.
_VANISHED: Final = (errno.ENOENT, errno.ESTALE)


class Taken(enum.Enum):
    """What became of a lock file that was to be removed."""

    REMOVED = "removed"
    GONE = "gone"  #: somebody else was quicker
    NOT_MEANT = "not meant"  #: it was another's, and was put back


class LinkLock(Lock):
    """A lock file shared by all nodes.

    Parameters
    ----------
    lockfile : str
        Path of the lock file; its directory must exist.
    lifetime : int or timedelta, default 15 s
        Only what stock flufl.lock users of the same file would go by.
    clock : Clock, optional
    """

    def __init__(
        self,
        lockfile: str,
        lifetime: int | timedelta | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._owner: ProcessIdentity | None = None
        # Not flufl's own constructor: it asks DNS for this host's name, and may wait long for that.
        self._hostname = socket.gethostname()
        self._lockfile = os.path.abspath(lockfile)
        self.lifetime = DEFAULT_LOCK_LIFETIME if lifetime is None else lifetime
        self._separator = SEP
        self._default_timeout = None
        self._retry_errnos = []
        self._set_claimfile()

    def lock(self, timeout: float | timedelta | None = None) -> None:
        """Take the lock.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Seconds to try for; 0 tries once (and still breaks a dead holder's lock). None: for ever.

        Raises
        ------
        flufl.lock.TimeOutError
            If it was not to be had in that time.
        flufl.lock.AlreadyLockedError
            If this very object holds it.
        """
        if self._owner == identify() and self._read() == self._claimfile:
            raise AlreadyLockedError(f"{self._lockfile} is held by this very object")
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        deadline = None if seconds is None else self._clock.monotonic() + seconds
        self._set_claimfile()
        self._write()
        wait = FIRST_WAIT
        try:
            while not self._link():
                if self.break_if_lost():
                    continue
                if deadline is not None and self._clock.monotonic() >= deadline:
                    raise TimeOutError(f"{self._lockfile} is held by {self.holder}")
                self._clock.sleep(random.uniform(FIRST_WAIT, wait))
                wait = min(2 * wait, LAST_WAIT)
            self._touch()
        except BaseException:  # an interrupt may come just after the LINK worked
            self.unlock(unconditionally=True)
            raise

    def unlock(self, *, unconditionally: bool = False) -> None:
        """Give the lock back; NotLockedError if it is not ours (any more), OSError if none can tell."""
        if self._look():
            unlink(self._lockfile)
        elif not unconditionally:
            unlink(self._claimfile)
            raise NotLockedError(f"{self._lockfile} is not ours, but held by {self.holder}")
        unlink(self._claimfile)

    def still_mine(self) -> bool:
        """Look freshly whether this object holds the lock.

        NFS may answer from a cache that another node's break has made stale; changing the directory
        (here: a name made and removed) makes the next look-up go to the server. Where none can tell,
        the answer is no.
        """
        try:
            return self._look()
        except OSError:
            return False

    def _look(self) -> bool:
        """As `still_mine`, but OSError where nobody can tell: no answer is not a no."""
        probe = f"{self._claimfile}{PROBE}"
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(probe)
        return exists(self._claimfile) and self._is_in_lock()

    def _is_in_lock(self) -> bool:
        try:
            return claim_in(Path(self._lockfile).read_text()) == self._claimfile
        except FileNotFoundError:
            return False

    @property
    def holder(self) -> str:
        """Who holds the lock, for people."""
        owner = owner_in(self._read())
        return f"pid {owner.pid} on {owner.host}" if owner else "nobody known"

    def _link(self) -> bool:
        try:
            os.link(self._claimfile, self._lockfile)
        except OSError as error:
            if error.errno == errno.EEXIST:
                return bool(self._read() == self._claimfile)  # our LINK worked, its reply was lost
            if error.errno in _VANISHED:
                self._write()  # somebody tidied our claim away: make it again
                return False
            raise
        return True

    def break_if_lost(self) -> bool:
        """Remove the lock of a holder that has lost it; True if it is worth trying at once."""
        record = self._record()
        owner = owner_in(claim_in(record))
        why = None if record is None or owner is None else self._lost(record, owner)
        if record is None or owner is None or why is None:
            return False
        if self._take_away(record.__eq__) is Taken.NOT_MEANT:
            return False  # somebody else broke it and a living one took it
        log.warning(
            "broke lock=%s of pid=%d host=%s: %s", self._lockfile, owner.pid, owner.host, why
        )
        unlink(self._beside(claim_in(record) or ""))
        return True

    def _lost(self, _record: str, owner: ProcessIdentity) -> str | None:
        """Say why the holder has lost its lock; None: it has not."""
        return "it is dead" if fate_of(owner) is Fate.GONE else None

    def _take_away(self, meant: Callable[[str], object]) -> "Taken":
        """Remove the lock file if its record is the one that is meant; put it back if not."""
        caught = f"{self._claimfile}{CAUGHT}"
        try:
            os.rename(self._lockfile, caught)
        except OSError as error:
            if error.errno in _VANISHED:
                return Taken.GONE
            raise
        record = Path(caught).read_text()
        if not meant(record):
            self._put_back(caught, claim_in(record) or "")
            return Taken.NOT_MEANT
        unlink(caught)
        return Taken.REMOVED

    def _put_back(self, caught: str, claim: str) -> None:
        # A holder that gave it back meanwhile took its claim away: nobody would ever remove the lock.
        if os.path.exists(self._beside(claim)):
            try:
                os.link(caught, self._lockfile)
            except FileExistsError:
                log.warning("lock=%s changed hands twice while it was looked at", self._lockfile)
        unlink(caught)

    def _beside(self, claim: str) -> str:
        """Return where a claim file lies as seen from here: nodes may mount under other names."""
        return os.path.join(os.path.dirname(self._lockfile), os.path.basename(claim))

    def _record(self) -> str | None:
        """Read the whole lock file; None if there is none."""
        return super()._read()

    def _read(self) -> str | None:
        """Read the claim in the lock file."""
        return claim_in(self._record())

    def _set_claimfile(self) -> None:
        """Name the claim after this very process, so that its death can be proven."""
        me = self._owner = identify()
        proof = f"{me.boot_id}+{me.pid_namespace}+{me.start_ticks}+{secrets.token_hex(4)}"
        proof = proof.replace("/", "").replace(SEP, "")
        self._claimfile = SEP.join((self._lockfile, me.host, str(me.pid), proof))

    def __reduce__(self) -> Any:
        """Pickle as the path: a lock is built in the process that uses it."""
        return (type(self), (self._lockfile,))


def claim_anew(lock: Lock) -> None:
    """Let a lock that came over a fork name this process, and no longer its parent."""
    lock._set_claimfile()  # noqa: SLF001  # flufl has no other way


def claim_in(record: str | None) -> str | None:
    """Return what a lock file begins with: the name of its holder's claim file."""
    return None if record is None else record.partition(NOTES)[0]


def owner_in(claim: str | None) -> ProcessIdentity | None:
    """Read the owner out of a claim file's name; None for a lock of stock flufl.lock."""
    try:
        _path, host, pid, proof = (claim or "").rsplit(SEP, 3)
        boot_id, namespace, ticks, _nonce = proof.split("+")
        return ProcessIdentity(host, boot_id, namespace, int(pid), int(ticks))
    except ValueError:
        return None


def exists(path: str) -> bool:
    """Whether there is such a file; OSError where nobody can tell."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def unlink(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno not in _VANISHED:
            raise
