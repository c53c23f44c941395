"""Reading a stretch of a log as far as it has come, from its begin or from its last lines on."""

import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from slurmband.errors import LogFault
from slurmband.observe.stretches import Stretch

_BLOCK: Final = 1 << 16


class Tail:
    """One stretch, being read.

    The file is opened at each look, so that a file server's newest state is seen.

    Parameters
    ----------
    stretch : Stretch
        May be set anew when more is known of it.
    """

    def __init__(self, stretch: Stretch) -> None:
        self.stretch = stretch
        self._position = stretch.begin or 0
        self._seen = 0

    @property
    def missing(self) -> int:
        """How many bytes are known to belong to it and have not been read."""
        end = self.stretch.end
        return 0 if end is None else max(end - self._position, 0)

    def look(self) -> None:
        """See how far the file has come; no more than that is read before the next look.

        What is learnt of the stretch after that holds for all that was seen: what comes after an attempt
        is not taken for its own.

        Raises
        ------
        LogFault
            If the stretch is not known, or its file is not here or too short.
        """
        stretch = self.stretch
        with self._open() as file:
            self._seen = os.fstat(file.fileno()).st_size
        if self._seen < self._position:
            raise LogFault(
                stretch.log,
                f"the log {stretch.log} has {self._seen} bytes, and {stretch.what} begins after "
                f"{stretch.begin}: it was cut off or overwritten since. (If the task ran this minute, "
                f"node {stretch.node} may not have written it out yet: try again.)",
            )

    def skip_to_last(self, lines: int) -> None:
        """Leave out all but the last lines of what was seen."""
        with self._open() as file:
            self._position = _start_of_last(file, self._position, self._end, lines)

    def read(self) -> Iterator[bytes]:
        """Yield what was seen and not read yet."""
        with self._open() as file:
            file.seek(self._position)
            while block := file.read(max(0, min(_BLOCK, self._end - self._position))):
                self._position += len(block)
                yield block

    @property
    def _end(self) -> int:
        return self._seen if self.stretch.end is None else min(self.stretch.end, self._seen)

    def _open(self) -> BinaryIO:
        stretch = self.stretch
        if stretch.fault is not None or stretch.log is None:
            raise LogFault(stretch.log, stretch.fault or f"{stretch.what} has no log")
        try:
            return open(stretch.log, "rb")
        except OSError as error:
            raise LogFault(
                stretch.log,
                f"the log {stretch.log} of {stretch.what} cannot be read here: {error.strerror}. It was "
                f"deleted or moved, or only node {stretch.node or '(not known)'} sees it: look there.",
            ) from error


def _start_of_last(file: BinaryIO, begin: int, end: int, lines: int) -> int:
    """Return where the last lines between two offsets start; a last line may lack its end of line."""
    position, left = max(end - 1, begin), lines
    while position > begin and left > 0:
        start = max(begin, position - _BLOCK)
        file.seek(start)
        block = file.read(position - start)
        while left > 0 and (found := block.rfind(b"\n")) >= 0:
            block, left = block[:found], left - 1
            position = start + found + 1
        position = position if left == 0 else start
    return end if lines == 0 else position
