"""The notice: one small file that changes when there is something for waiting workers.

It exists from the start and is rewritten in place: on NFS a change is seen at the next open, while a
new name may stay unseen for half a minute.

Who looks again and again also keeps it open. Where processes of one node open and close a file that
nobody keeps open, a CLOSE may overtake an OPEN at the file server; the node's NFSv4.1 client then holds
that OPEN back until 5 s pass in which nobody else opens the file, and among many who look they never do.
"""

import logging
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slurmband.liveness.snapshot import publish, survey
from slurmband.store.database import Store, Transaction

log = logging.getLogger(__name__)


class Notice:
    """The file that waiting workers look at, instead of asking the database.

    Parameters
    ----------
    file : Path
        Must exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept_open = False

    def ring(self, sequence: int, share: float = 1.0) -> None:
        """Tell of the newest event.

        Parameters
        ----------
        sequence : int
            Its number in the event log, by which no two changes look alike.
        share : float, default 1
            Which part of those who wait is to come, so that a thousand do not come for one task.
        """
        try:
            self.write(f"{sequence:016} {share:.6f}")
        except (
            OSError
        ) as error:  # what it tells of is in the database, and the waiting ask now and then
            log.warning("the waiting workers were not told: %s", error)

    def write(self, words: str) -> None:
        """Change the file to `words`, which are always as many."""
        descriptor = self._open(os.O_WRONLY)
        try:
            os.pwrite(descriptor, words.encode(), 0)
        finally:
            os.close(descriptor)

    def look(self) -> bytes:
        """Return what it says now; another answer than last time means: ask the database.

        Where it cannot be read it says nothing, every time.
        """
        try:
            descriptor = self._open(os.O_RDONLY)
            try:
                return os.read(descriptor, 64)
            finally:
                os.close(descriptor)
        except OSError:
            return b""

    def _open(self, flags: int) -> int:
        """Open the file anew, which goes to the file server; and keep it open beside."""
        if not self._kept_open:
            with suppress(OSError):  # whoever may not write looks without
                weakref.finalize(self, os.close, os.open(self._file, os.O_RDWR))
                self._kept_open = True
        return os.open(self._file, flags)


def sequence_in(words: bytes | str) -> int:
    """Return which event a notice tells of.

    Raises
    ------
    ValueError
        If it tells of none.
    """
    return int(words[:16])


def share_in(words: bytes) -> float:
    """Return which part of those who wait a notice calls; all, where it does not say."""
    try:
        return float(words.split()[1])
    except (ValueError, IndexError):
        return 1.0


@contextmanager
def telling(store: Store) -> Iterator[Transaction]:
    """Open a write transaction after whose commit the waiting are told, workers and people."""
    with store.transaction() as tx:
        yield tx
        found = survey(tx)
    Notice(store.layout.notice).ring(found["sequence"])
    publish(store.layout.snapshot, found)
