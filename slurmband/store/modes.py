"""Which way a database may be reached: decided by where it lies, and kept with it.

LOCAL is SQLite's WAL with shared memory: fast, and wrong as soon as two machines see the file.
SHARED is WAL without shared memory, one connection per transaction, under a lock: right everywhere.
What is not known to be local is shared.

Source: https://www.sqlite.org/wal.html#noshm.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final

from slurmband.errors import DatabaseRefused, UsageError
from slurmband.mounts import NETWORK_FILE_SYSTEMS, Mount


class Mode(StrEnum):
    """A way to reach the database file."""

    LOCAL = "local"
    SHARED = "shared"


#: Kept in the header of the file: "slbl" and "slbs" in ASCII.
APPLICATION_IDS: Final = {Mode.LOCAL: 0x736C626C, Mode.SHARED: 0x736C6273}


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
    if forced == Mode.LOCAL and mount.file_system in NETWORK_FILE_SYSTEMS:
        raise DatabaseRefused(
            f"{path} lies on {mount.described}, which other machines see: mode local would corrupt it. "
            "Leave the mode out."
        )
    asked = Mode(forced) if forced else Mode.LOCAL if mount.local else Mode.SHARED
    if kept is None:
        return asked
    if kept is Mode.SHARED and forced == Mode.LOCAL:
        raise DatabaseRefused(
            f"{path} was made for use from several machines (mode shared); mode local would corrupt "
            "it. Leave the mode out, or start a new database."
        )
    if kept is Mode.LOCAL and asked is Mode.SHARED:
        raise DatabaseRefused(
            f"{path} was made for one machine (mode local), and here it lies on "
            f"{mount.described}, which others may see. Start a new database here (another --db, or "
            "SLURMBAND_MODE=shared from the start)."
        )
    return kept
