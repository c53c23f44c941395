"""What one side of a trial does with files: the moves that slurmband's own locks and files rest on.

Each move opens, acts and closes, as a program does that shares files with another machine. Only a
lock outlives its move.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

#: Bytes of what `replace_often` writes: more than one page, so that half of it could be seen.
WHOLE: Final = 8192


class Moves:
    """The files of one side.

    Parameters
    ----------
    folder : Path
        Shared with the other side.
    side : int
        0 or 1; names this side's own files.
    """

    def __init__(self, folder: Path, side: int) -> None:
        self._folder = folder
        self._side = side
        self._locked: dict[str, int] = {}

    def make(self, move: str, words: Mapping[str, Any]) -> Any:
        """Make a move by its name; returns what JSON can carry."""
        moves: Mapping[str, Callable[..., Any]] = {
            "see": self.see,
            "write": self.write,
            "rewrite": self.rewrite,
            "append": self.append,
            "read": self.read,
            "read_freshly": self.read_freshly,
            "link_all": self.link_all,
            "create_all": self.create_all,
            "replace": self.replace,
            "replace_often": self.replace_often,
            "read_often": self.read_often,
            "point": self.point,
            "lock": self.lock,
            "unlock": self.unlock,
        }
        return moves[move](**words)

    def see(self) -> bool:
        """Whether the folder is there."""
        return self._folder.is_dir()

    def write(self, name: str, text: str) -> None:
        """Write a file, new or not."""
        self._write(name, text, os.O_CREAT | os.O_TRUNC)

    def rewrite(self, name: str, text: str) -> None:
        """Write over a file in place."""
        self._write(name, text, 0)

    def append(self, name: str, text: str) -> None:
        """Write at the end of a file."""
        self._write(name, text, os.O_CREAT | os.O_APPEND)

    def read(self, name: str) -> str | None:
        """Open a file and read it; None where there is none."""
        try:
            try:
                return (self._folder / name).read_text()
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
                # NFS says that what was opened has been replaced: that is no fault.
                return (self._folder / name).read_text()
        except FileNotFoundError:
            return None

    def read_freshly(self, name: str) -> str | None:
        """Read after a change to the folder, by which NFS asks the server what a name stands for."""
        probe = self._folder / f"probe-{self._side}"
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
        probe.unlink()
        return self.read(name)

    def link_all(self, names: Sequence[str]) -> list[bool]:
        """Link a file of one's own to each name in turn; say for which this side was the first."""
        own = self._folder / f"own-{self._side}"
        own.write_text(own.name)
        return [self._link(own, name) for name in names]

    def _link(self, own: Path, name: str) -> bool:
        try:
            os.link(own, self._folder / name)
        except FileExistsError:
            return self.read(name) == own.name  # our LINK worked, and its reply was lost
        return True

    def create_all(self, names: Sequence[str]) -> list[bool]:
        """Create each name in turn, exclusively; say for which this side was the first."""
        return [self._create(name) for name in names]

    def _create(self, name: str) -> bool:
        try:
            os.close(os.open(self._folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        return True

    def replace(self, name: str, text: str) -> None:
        """Put a new file in the place of a name."""
        unfinished = self._folder / f"new-{self._side}"
        unfinished.write_text(text)
        unfinished.replace(self._folder / name)

    def replace_often(self, name: str, times: int) -> None:
        """Put one file after the other in the place of a name, each all of one letter."""
        for turn in range(times):
            self.replace(name, "abcdefgh"[turn % 8] * WHOLE)

    def read_often(self, name: str, times: int) -> list[str]:
        """Read a name many times; return what was not one whole file."""
        texts = (self.read(name) for _ in range(times))
        return ["no file" if text is None else "a part" for text in texts if not _is_whole(text)]

    def point(self, name: str, target: str) -> None:
        """Put a new symbolic link in the place of a name."""
        unfinished = self._folder / f"new-{self._side}"
        unfinished.symlink_to(target)
        unfinished.replace(self._folder / name)

    def lock(self, name: str) -> bool:
        """Take a POSIX lock without waiting; False if another has it."""
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._locked[name] = descriptor
        return True

    def unlock(self, name: str) -> None:
        """Give a lock back."""
        descriptor = self._locked.pop(name)
        fcntl.lockf(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def _write(self, name: str, text: str, flags: int) -> None:
        descriptor = os.open(self._folder / name, os.O_WRONLY | flags, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _is_whole(text: str | None) -> bool:
    return text is not None and len(text) == WHOLE and len(set(text)) == 1
