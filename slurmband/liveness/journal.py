"""The journal: what an incarnation began and ended, in a file that only it appends to.

Whoever revokes a lost worker's claims reads it, so that work that ended but was not reported in time
is not done again, and what was never begun is not charged. A line is written before the work goes on; it
outlives the worker at once, and the worker's node a moment later.

A line also says how far the worker's logs had come, so that a task's part of them can be found; the
names of the logs stand in the first line, and again where they change.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from slurmband.domain.attempts import Ending, Outcome
from slurmband.errors import JournalFault
from slurmband.liveness.output import Output
from slurmband.store.file import is_there

log = logging.getLogger(__name__)

#: Seconds between two syncs: on a file server each takes as long as many a short task.
SYNC_EVERY: Final = 0.25


class Journal:
    """The file of one incarnation, opened when the first line is written.

    What could not be written is written again, on a new line: a line may be there twice, or in part.
    Two threads may write: the task's, and one that reports beside it.

    Parameters
    ----------
    folder : Path
    worker : int
        Key of the incarnation.
    durable : bool
        Whether lines go on to the file server: at once, or, after a line that just went, at the next
        line or `sync`.
    monotonic : callable, optional
        This process's own clock, in seconds.
    output : Output, optional
        Where the process's output goes; None: not noted.
    """

    def __init__(
        self,
        folder: Path,
        worker: int,
        *,
        durable: bool,
        monotonic: Callable[[], float] = time.monotonic,
        output: Output | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._output = output
        self._told: dict[str, str] | None = None
        self._synced = float("-inf")
        self._path = _file(folder, worker)
        self._durable = durable
        self._descriptor: int | None = None
        self._torn = False
        self._owed = b""
        self._unsynced = b""
        self._turn = threading.Lock()

    def begun(self, attempt: int) -> None:
        """Note that the user's code is about to run; it must not, where this raises `JournalFault`."""
        with self._turn:
            line = f'{{"begun": {attempt}{self._marks()}}}\n'
            self._append(self._owed + line.encode())

    def ended(self, attempt: int, ending: Ending) -> None:
        """Note how the user's code ended, before it is reported; what cannot be written is owed."""
        how = _how(ending.outcome, ending.reason, ending.error)
        try:
            with self._turn:
                line = f'{{"ended": {attempt}{how}{self._marks()}}}\n'
                self._owed += line.encode()
                self._append(self._owed)
        except JournalFault as fault:
            log.warning("attempt=%d ended, and is still to be written down: %s", attempt, fault)

    def settle(self) -> None:
        """Write what is owed.

        Raises
        ------
        JournalFault
            If it still cannot be written.
        """
        with self._turn:
            if self._owed:
                self._append(self._owed)

    def sync(self) -> None:
        """See to it that what was written outlives this node, too; what did not is owed."""
        with self._turn:
            if not self._unsynced:
                return
            try:
                self._sync()
            except OSError as error:
                self._distrust()
                log.warning("%s: is to be written again: %s", self._path, error)

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _marks(self) -> str:
        """Say how far the logs have come; and their names, unless a line has told them."""
        if self._output is None:
            return ""
        sizes = self._output.measure()
        marks = "".join([f', "{stream}": {size}' for stream, size in sizes.items()])
        if self._output.logs is not self._told:
            self._told = self._output.logs
            marks += _items({"logs": self._told})
        return marks

    def _append(self, text: bytes) -> None:
        try:
            self._write(b"\n" + text if self._torn else text)
            if self._durable and self._monotonic() >= self._synced + SYNC_EVERY:
                self._sync()
                text = b""
        except OSError as error:
            self._distrust()
            raise JournalFault(str(self._path), error.strerror or str(error)) from error
        self._torn, self._owed = False, b""
        if self._durable:
            self._unsynced += text

    def _distrust(self) -> None:
        """Open the file anew, since a handle may be stale; what was not synced is owed again."""
        self._owed, self._unsynced, self._torn = self._unsynced + self._owed, b"", True
        self._told = None
        self._close()

    def _write(self, text: bytes) -> None:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o644)
        while text:  # a disk that is nearly full may take a part
            text = text[os.write(self._descriptor, text) :]

    def _sync(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)
        self._unsynced, self._synced = b"", self._monotonic()


def read(folder: Path, worker: int) -> dict[int, Ending | None]:
    """Read an incarnation's journal: attempt id -> how it ended, None for begun and not ended."""
    found: dict[int, Ending | None] = {}
    for entry in entries(folder, worker):
        if "begun" in entry:
            found.setdefault(entry["begun"], None)
        else:
            ending = Ending(Outcome(entry["outcome"]), entry["reason"], entry["error"])
            found[entry["ended"]] = ending
    return found


def entries(folder: Path, worker: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of an incarnation's journal; none where it has no journal.

    A line that is cut off, as a crash or a full disk may leave it, says nothing.
    """
    try:
        if not is_there(_file(folder, worker)):
            return
        lines = _file(folder, worker).read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines[:-1]:
        with suppress(ValueError):
            yield json.loads(line)


@lru_cache(8)  # nearly all end alike
def _how(outcome: Outcome, reason: str | None, error: str | None) -> str:
    return _items({"outcome": outcome, "reason": reason, "error": error})


def _items(entry: dict[str, Any]) -> str:
    """Write what follows others in an object of JSON."""
    return ", " + json.dumps(entry)[1:-1]


def _file(folder: Path, worker: int) -> Path:
    return folder / f"{worker}.jsonl"
