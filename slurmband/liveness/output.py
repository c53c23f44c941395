"""Where this process's standard output and standard error go, and how far those files have come."""

import os
import stat
import sys
from contextlib import suppress
from typing import Final

#: As journals and listings call the two streams -> the descriptor.
STREAMS: Final = {"out": 1, "err": 2}


class Output:
    """The files of the two streams; a stream that goes to a pipe or a terminal has none.

    Where both go to one file, it is that of standard output. A stream that goes elsewhere later on is
    noticed where it had a file of its own, or when the other one moves.
    """

    def __init__(self) -> None:
        self._places = _look()
        #: Stream -> path; another mapping each time they change.
        self.logs = _names(self._places)

    def measure(self) -> dict[str, int]:
        """Write out what Python still holds, and return stream -> bytes in its file."""
        with suppress(Exception):  # the program may have put anything there, and None
            sys.stdout.flush()
            sys.stderr.flush()
        sizes: dict[str, int] = {}
        for stream, (device, inode) in self._places.items():
            try:
                found = os.fstat(STREAMS[stream])
            except OSError:  # it was closed
                continue
            if found.st_ino != inode or found.st_dev != device:
                self._places = _look()
                self.logs = _names(self._places)
                return self.measure()
            sizes[stream] = found.st_size
        return sizes


def _look() -> dict[str, tuple[int, int]]:
    """Return the streams that go to a file, each with what tells that file from others."""
    places: dict[str, tuple[int, int]] = {}
    for stream, descriptor in STREAMS.items():
        with suppress(OSError):
            found = os.fstat(descriptor)
            place = (found.st_dev, found.st_ino)
            if stat.S_ISREG(found.st_mode) and place not in places.values():
                places[stream] = place
    return places


def _names(places: dict[str, tuple[int, int]]) -> dict[str, str]:
    found = {stream: file_of(STREAMS[stream]) for stream in places}
    return {stream: path for stream, path in found.items() if path is not None}


def file_of(descriptor: int) -> str | None:
    """Return the file behind a descriptor; None for a terminal or a pipe, or where it was deleted."""
    try:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None
    return path if path.startswith("/") and os.path.isfile(path) else None
