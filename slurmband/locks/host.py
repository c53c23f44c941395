"""A lock among the processes of one node, so that only one of them asks for the shared lock.

It is an optimisation only: jobs may have private temporary directories, and then it is not shared.
The kernel queues the waiters, and frees it when its holder dies.
"""

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from slurmband.errors import LockTimeout
from slurmband.mounts import find_mount

log = logging.getLogger(__name__)

#: Seconds between looks of who does not wait for ever.
LOOK_EVERY: Final = 0.01
#: Not the temporary directory that TMPDIR names, which may lie on a shared file system: there a flock
#: is slow (NFS looks again after up to 30 s) and takes in other nodes.
PLACES: Final = ("/dev/shm", "/tmp", "/var/tmp")  # noqa: S108  # a directory of our own in it


def _place() -> Path | None:
    """Return a directory of this user's that is certainly on this node; None if there is none."""
    for place in map(Path, PLACES):
        if os.access(place, os.W_OK) and find_mount(place).local:
            return place / f"slurmband-{os.getuid()}"
    return None


class HostLock:
    """``flock`` on a file of this node that stands for `path`.

    Parameters
    ----------
    path : Path
        What is guarded; every process of the node must spell it so that it resolves alike.
    directory : Path, optional
        Where the lock files of this node lie; by default the first of `PLACES` that is of this node.
    """

    def __init__(self, path: Path, *, directory: Path | None = None) -> None:
        name = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:24]
        directory = directory or _place()
        self.file = None if directory is None else directory / f"{name}.lock"

    @contextmanager
    def hold(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock; where it cannot be had at all, go on without.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; None: for ever, in the kernel's queue.

        Raises
        ------
        LockTimeout
            If it was not to be had in that time.
        """
        descriptor = self._open()
        if descriptor is None:
            yield
            return
        try:
            self._take(descriptor, timeout)
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child forked meanwhile has it open, too
            os.close(descriptor)

    def _take(self, descriptor: int, timeout: float | None) -> None:
        if timeout is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder, advice = (
                        "another process of this node",
                        "Is it stopped? `fuser` names it.",
                    )
                    raise LockTimeout(str(self.file), timeout, holder, advice=advice) from None
                time.sleep(LOOK_EVERY)
            else:
                return

    def _open(self) -> int | None:
        if self.file is None:
            return None
        try:
            self.file.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(self.file, flags, 0o600)
        except OSError as error:
            log.warning("no host lock at %s (%s): going on without, only slower", self.file, error)
            return None
