"""Requests of the workers of one node to whoever of them holds its lock, and the answers.

Flat combining (Hendler, Incze, Shavit and Tzafrir, 2010): who finds the lock taken publishes what it
wants, and the holder does that along with its own. It is an optimisation only. A request that was not
answered is done by its own worker, and the database counts rounds, so that none is done twice.
"""

import hashlib
import os
import pickle
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slurmband.graphband.rounds import Request, Round

#: Changes with what is in the files.
FORMAT: Final = 2
#: Seconds after which nobody waits for an answer any more. Both times are of this machine.
LEFT_BEHIND: Final = 3600.0
#: What reading a file may raise that another program version, or a full disk, left there.
_UNREADABLE: Final = (OSError, EOFError, ValueError, TypeError, AttributeError, LookupError)


class Publications:
    """The requests and answers of those workers of a node that can do each other's rounds.

    Parameters
    ----------
    folder : Path or None
        Of this node and this band; it is made. If it, or the folder it lies in, could be written by
        somebody else, nothing is published.
    worker : int
        Key of this incarnation.
    alike : sequence
        What decides how a round is done. Workers for which it is the same can do each other's.
    """

    def __init__(self, folder: Path | None, worker: int, alike: Sequence[object]) -> None:
        self._published = 0
        self._alike = hashlib.sha256(repr((FORMAT, *alike)).encode()).hexdigest()[:16]
        self._worker = worker
        self._folder = folder if folder is not None and _is_ours_alone(folder) else None

    def publish(self, request: Request) -> None:
        """Ask whoever holds the lock."""
        self._published = request.number
        self._write(self._file(request, "asked"), request)

    def is_answered(self, request: Request) -> bool:
        """Whether somebody did it."""
        file = self._file(request, "told")
        return file is not None and file.exists()

    def withdraw(self, request: Request) -> Round | None:
        """Take the request back; return the answer, if there is one."""
        if self._published != request.number:
            return None
        asked, told = self._file(request, "asked"), self._file(request, "told")
        if asked is None or told is None:
            return None
        with suppress(OSError):
            asked.unlink(missing_ok=True)
        found: Round | None = _read(told, Round)
        with suppress(OSError):
            told.unlink(missing_ok=True)
        return found

    def of_others(self) -> Iterator[Request]:
        """Read what other workers ask; the caller holds the lock."""
        if self._folder is None:
            return
        with suppress(OSError):
            for name in os.listdir(self._folder):
                if name.startswith(self._alike) and name.endswith(".asked"):
                    request = _read(self._folder / name, Request)
                    if request is not None and request.worker.key != self._worker:
                        yield request

    def answer(self, request: Request, found: Round) -> None:
        """Tell another worker what its request brought, which has been committed."""
        self._write(self._file(request, "told"), found)
        self.discard(request)

    def discard(self, request: Request) -> None:
        """Remove a request that is answered, or out of date: its own worker does what is left to do."""
        asked = self._file(request, "asked")
        if asked is not None:
            with suppress(OSError):
                asked.unlink(missing_ok=True)

    def tidy(self, *, now: float) -> None:
        """Remove what workers left behind that were killed."""
        if self._folder is None:
            return
        with suppress(OSError):
            for file in self._folder.iterdir():
                with suppress(OSError):
                    if file.stat().st_mtime < now - LEFT_BEHIND:
                        file.unlink()

    def _file(self, request: Request, kind: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{self._alike}.{request.worker.key}.{request.number}.{kind}"

    def _write(self, file: Path | None, value: object) -> None:
        if file is None:
            return
        unfinished = file.with_suffix(f".{self._worker}")
        try:
            unfinished.write_bytes(pickle.dumps(value))
            unfinished.replace(file)
        except OSError:  # it is done without
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class RoundErrand:
    """One request, for the lock: what to do while another process holds it."""

    publications: Publications
    request: Request

    def leave(self) -> None:
        """Leave word of it with the holder."""
        self.publications.publish(self.request)

    def is_done(self) -> bool:
        """Whether a holder did it."""
        return self.publications.is_answered(self.request)


def _read(file: Path, kind: type[Any]) -> Any:
    try:
        found = pickle.loads(file.read_bytes())  # noqa: S301  # only this user can have written it
    except (*_UNREADABLE, pickle.UnpicklingError, ImportError):
        return None
    return found if isinstance(found, kind) else None


def _is_ours_alone(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [os.lstat(folder), os.lstat(folder.parent)]
    except OSError:
        return False
    return all(
        stat.S_ISDIR(status.st_mode)  # not a link to one
        and status.st_uid == os.getuid()
        and not status.st_mode & 0o022
        for status in found
    )
