"""A lock among the processes of one node, so that only one of them asks for the shared lock.

It is an optimisation only: jobs may have private temporary directories, and then it is not shared.
The kernel queues the waiters, and frees it when its holder dies.
"""

import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


class HostLock:
    """``flock`` on a file of this node that stands for `path`.

    Parameters
    ----------
    path : Path
        What is guarded; every process of the node must spell it so that it resolves alike.
    directory : Path, optional
        Where the lock files of this node lie; by default one of this user in the temporary
        directory.
    """

    def __init__(self, path: Path, *, directory: Path | None = None) -> None:
        directory = directory or Path(tempfile.gettempdir()) / f"slurmband-{os.getuid()}"
        name = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:24]
        self.file = directory / f"{name}.lock"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock; where it cannot be had at all, go on without."""
        descriptor = self._open()
        if descriptor is None:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _open(self) -> int | None:
        try:
            self.file.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(self.file, flags, 0o600)
        except OSError as error:
            log.warning("no host lock at %s (%s): going on without, only slower", self.file, error)
            return None
