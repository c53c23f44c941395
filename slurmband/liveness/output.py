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

    Where both go to one file, it is that of standard output.
    """

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        #: Stream -> path, when they were measured last; another mapping each time they change.
        self.logs: dict[str, str] = {}

    def measure(self) -> dict[str, int]:
        """Write out what Python still holds, and return stream -> bytes in its file."""
        _flush()
        sizes: dict[str, int] = {}
        places: dict[str, tuple[int, int]] = {}
        for stream, descriptor in STREAMS.items():
            try:
                found = os.fstat(descriptor)
            except OSError:  # it is closed
                continue
            place = (found.st_dev, found.st_ino)
            if stat.S_ISREG(found.st_mode) and place not in places.values():
                places[stream], sizes[stream] = place, found.st_size
        if places != self._places:
            self._places = places
            self.logs = {s: path for s in places if (path := file_of(STREAMS[s])) is not None}
        return sizes


def file_of(descriptor: int) -> str | None:
    """Return the file behind a descriptor; None for a terminal or a pipe, or where it was deleted."""
    try:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None
    return path if path.startswith("/") and os.path.isfile(path) else None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the program may have put anything there, and None
            stream.flush()
