"""The beats: one small file per incarnation, rewritten by its guardian, read by whoever reaps.

A beat is a counter, not a time: no node's clock is compared with another's. A watcher measures by its
own monotonic clock for how long a counter has stood still, and forgets what it saw if it was itself
not looking for a while. A command that runs for a moment cannot watch; where the file server (or
this very machine) stamps all files by one clock, it goes by the age of the file.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

#: File systems on which one clock stamps every file: the server's, or this machine's.
_ONE_CLOCK: Final = ("nfs", "nfs4")


class Beats:
    """The folder of beat files.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, worker: int) -> Path:
        """Return the beat file of an incarnation; its guardian stops when the file is gone."""
        return self.folder / str(worker)

    def start(self, worker: int) -> None:
        """Make the file, with the zeroth beat."""
        self.file(worker).write_text("0\n")

    def read(self, worker: int) -> str | None:
        """Return the beat as it is now on the file server; None if there is no file.

        Raises
        ------
        OSError
            If nobody can tell, which must not be taken for silence.
        """
        try:
            descriptor = os.open(self.file(worker), os.O_RDONLY)  # an open goes to the server
        except FileNotFoundError:
            return None
        try:
            return os.read(descriptor, 64).decode()
        finally:
            os.close(descriptor)

    def end(self, worker: int) -> None:
        """Remove the file of an incarnation that is over; a living guardian learns it by that."""
        try:
            self.file(worker).unlink(missing_ok=True)
        except OSError as error:
            log.warning("the beat file of worker %d stays: %s", worker, error)


class Watch:
    """What one observer has seen of everyone's beats.

    Parameters
    ----------
    beats : Beats
    monotonic : callable
        The observer's own clock, in seconds.
    """

    def __init__(self, beats: Beats, monotonic: Callable[[], float]) -> None:
        self._beats = beats
        self._monotonic = monotonic
        self._seen: dict[int, tuple[str | None, float]] = {}
        self._last_look = float("-inf")

    def look(self, workers: list[int], *, longest_gap: float) -> dict[int, float]:
        """Read the beats of `workers`; return for how many seconds each has stood still.

        If the last look is longer ago than `longest_gap` seconds, the observer itself was held up
        (stopped, or waiting for the file server), and starts anew.
        """
        now = self._monotonic()
        if now - self._last_look > longest_gap:
            self._seen.clear()
        self._last_look = now
        before, self._seen = self._seen, {}
        silence = {}
        for worker in workers:
            try:
                beat = self._beats.read(worker)
            except OSError:
                continue  # begin to watch this one anew when it can be read again
            seen, since = before.get(worker, (None, now))
            if worker not in before or beat != seen:
                since = now
            self._seen[worker] = (beat, since)
            silence[worker] = now - since
        return silence


def ages(beats: Beats, workers: list[int], *, file_system: str, local: bool) -> dict[int, float]:
    """Return the age of each beat in seconds, by the one clock that stamps the files.

    Parameters
    ----------
    beats : Beats
    workers : list of int
    file_system : str
        As in the mount table. On others than NFS the stamps may come from the clients' clocks, and
        nothing is returned.
    local : bool
        Whether the files lie on this machine.

    Returns
    -------
    dict of int to float
        Only workers of whom it can be told.
    """
    if not local and file_system not in _ONE_CLOCK:
        return {}
    now_file = beats.folder / f".now.{os.getpid()}"
    now_file.write_text("now\n")
    try:
        now = _stamp(now_file)
        assert now is not None
        stamps = {worker: _stamp(beats.file(worker)) for worker in workers}
    finally:
        now_file.unlink()
    return {worker: now - stamp for worker, stamp in stamps.items() if stamp is not None}


def _stamp(file: Path) -> float | None:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
