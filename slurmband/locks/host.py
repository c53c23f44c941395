"""A lock among the processes of one node, so that only one of them asks for the shared lock.

It is an optimisation only: jobs may have private temporary directories, and then it is not shared.
The kernel queues those who wait for ever, and frees it when its holder dies.
"""

import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, Protocol

from slurmband.errors import LockTimeout, UsageError
from slurmband.mounts import find_mount
from slurmband.processes import identify

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


@contextmanager
def _signed(descriptor: int) -> Iterator[None]:
    """Write into the lock file which thread holds it."""
    signature = _signature()
    os.pwrite(descriptor, signature, 0)
    try:
        yield
    finally:
        if _signature() == signature:  # not for a child that was forked inside
            os.ftruncate(descriptor, 0)


def _signature() -> bytes:
    """Name this very thread, for ever."""
    return f"{identify()} thread {threading.get_native_id()}\n".encode()


def held_twice(path: str) -> UsageError:
    """Make the error for a thread that would wait for itself."""
    return UsageError(
        f"this thread holds the lock {path} already, and would wait for itself for ever. Take it once, "
        "around all that needs it."
    )


class Errand(Protocol):
    """Something that the holder of the lock can do for who waits for it."""

    def leave(self) -> None:
        """Leave word of it with the holder."""

    def is_done(self) -> bool:
        """Whether a holder did it."""


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

    @property
    def folder(self) -> Path | None:
        """Where the processes that share this lock can leave word for each other."""
        return None if self.file is None else self.file.with_suffix(".d")

    @contextmanager
    def hold(
        self,
        timeout: float | None = None,
        *,
        signed: bool = False,
        errand: Errand | None = None,
    ) -> Iterator[bool]:
        """Hold the lock; where it cannot be had at all, go on without.

        Yields False if `errand` was done while this process waited for the lock.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; None: for ever, in the kernel's queue.
        signed : bool, default False
            Whether to write into the file which thread holds it: one that holds it for the user's code,
            which may ask for it again by another object.
        errand : Errand, optional
            What the lock is wanted for, if its holder can do that as well.

        Raises
        ------
        LockTimeout
            If it was not to be had in that time.
        UsageError
            If this very thread holds it, signed.
        """
        descriptor = self._open()
        if descriptor is None:
            yield True
            return
        pid = os.getpid()
        try:
            ours = self._take(descriptor, timeout, errand)
            with _signed(descriptor) if signed else nullcontext():
                yield ours
        finally:
            # Said, and not left to the close: a child forked meanwhile has the file open, too. But that
            # child may come by here as well, and holds nothing.
            if os.getpid() == pid:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _take(self, descriptor: int, timeout: float | None, errand: Errand | None) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        signed = os.pread(descriptor, 512, 0)
        if signed and signed == _signature():
            raise held_twice(str(self.file))
        if errand is not None:
            errand.leave()
        if timeout is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return errand is None or not errand.is_done()
        deadline = time.monotonic() + timeout
        while True:
            if errand is not None and errand.is_done():
                return False
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
                return errand is None or not errand.is_done()

    def _open(self) -> int | None:
        if self.file is None:
            return None
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with suppress(FileNotFoundError):
                return os.open(self.file, flags, 0o600)
            self.file.parent.mkdir(mode=0o700, exist_ok=True)
            return os.open(self.file, flags, 0o600)
        except OSError as error:
            log.warning("no host lock at %s (%s): going on without, only slower", self.file, error)
            return None
