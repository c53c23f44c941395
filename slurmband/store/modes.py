"""Which way a database may be reached: decided by where it lies, and kept with it.

LOCAL is SQLite's WAL with shared memory: fast, and wrong as soon as two machines see the file.
SHARED is WAL without shared memory, one connection per transaction, under a lock: right everywhere.
What is not known to be local is shared.

Sources: https://www.sqlite.org/wal.html#noshm and proc_pid_mountinfo(5).
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from slurmband.errors import DatabaseRefused, UsageError

MOUNTINFO: Final = Path("/proc/self/mountinfo")
LOCAL_FILE_SYSTEMS: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs"}
    | {"tmpfs", "xfs", "zfs"}
)
#: Mount options under which locks do not reach other nodes, or not reliably.
UNSAFE_OPTIONS: Final = ("localflock", "noflock", "nolock", "local_lock=all", "local_lock=posix")


class Mode(StrEnum):
    """A way to reach the database file."""

    LOCAL = "local"
    SHARED = "shared"


#: Kept in the header of the file: "slbl" and "slbs" in ASCII.
APPLICATION_IDS: Final = {Mode.LOCAL: 0x736C626C, Mode.SHARED: 0x736C6273}


@dataclass(frozen=True, slots=True)
class Mount:
    """The mount that a path lies on."""

    point: str
    file_system: str
    options: tuple[str, ...]

    @property
    def mode(self) -> Mode:
        """The mode that is safe on it."""
        return Mode.LOCAL if self.file_system in LOCAL_FILE_SYSTEMS else Mode.SHARED

    @property
    def unsafe_options(self) -> tuple[str, ...]:
        """Options that a user should know of before trusting locks on it."""
        return tuple(option for option in self.options if option in UNSAFE_OPTIONS)


_UNKNOWN = Mount("?", "unknown", ())
#: How the kernel writes space, tab, newline and backslash; every other byte stands for itself.
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def find_mount(path: Path, *, mountinfo: Path = MOUNTINFO) -> Mount:
    """Return the mount that `path` (or its nearest existing parent) lies on."""
    real = os.path.realpath(path)
    try:
        lines = os.fsdecode(mountinfo.read_bytes()).split("\n")
    except OSError:
        return _UNKNOWN
    best = _UNKNOWN
    for mount in map(_parse, filter(None, lines)):
        inside = real == mount.point or real.startswith(mount.point.rstrip("/") + "/")
        # A later line of the same mount point covers the earlier one.
        if inside and (best is _UNKNOWN or len(mount.point) >= len(best.point)):
            best = mount
    return best


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields, (file_system, _source, *super_options) = before.split(" "), after.split(" ", 2)
    point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4])
    options: Sequence[str] = fields[5].split(",") + ",".join(super_options).split(",")
    return Mount(point, file_system, tuple(option for option in options if option))


def choose(path: Path, *, forced: str | None, kept: Mode | None, mount: Mount) -> Mode:
    """Choose the mode for a database.

    Parameters
    ----------
    path : Path
        The file, for messages.
    forced : str or None
        What the user asked for.
    kept : Mode or None
        What the file says of itself; None for a file that is yet to be made.
    mount : Mount

    Raises
    ------
    DatabaseRefused
        If the asked mode is weaker than the one kept with the file.
    UsageError
        If `forced` names no mode.
    """
    if forced is not None and forced not in tuple(Mode):
        raise UsageError(f"no mode {forced!r}: it is one of {', '.join(Mode)}.")
    if kept is None:
        return Mode(forced) if forced else mount.mode
    if kept is Mode.SHARED and forced == Mode.LOCAL:
        raise DatabaseRefused(
            f"{path} was made for use from several machines (mode shared); mode local would corrupt "
            "it. Leave the mode out, or start a new database."
        )
    if kept is Mode.LOCAL and Mode.SHARED in (forced, mount.mode):
        raise DatabaseRefused(
            f"{path} was made for one machine (mode local), and here it lies on {mount.file_system} "
            f"({mount.point}), which others may see. Start a new database here (another --db, or "
            "SLURMBAND_MODE=shared from the start)."
        )
    return kept
