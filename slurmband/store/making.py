"""The folder and the file of a database, made where there are none, by one process at a time."""

import errno
from typing import Final

from slurmband.errors import DatabaseRefused
from slurmband.locks.generations import making
from slurmband.store import generations
from slurmband.store.file import is_there, make_file
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode

#: Errors that another try will meet as well.
_LASTING: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
        *(errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
    }
)


def make(layout: Layout, mode: Mode, *, patience: float) -> None:
    """Make the folder and the file, where they are yet to be made.

    Parameters
    ----------
    layout : Layout
    mode : Mode
    patience : float
        Seconds to wait for another maker of whom nothing is heard.

    Raises
    ------
    DatabaseRefused
        If the folder cannot be written to.
    """
    try:
        layout.make()
        if not _is_made(layout, mode):
            with making(str(layout.making_locks), patience=patience):
                if not _is_made(layout, mode):
                    _make_file(layout, mode)
    except OSError as error:
        if error.errno not in _LASTING:
            raise
        raise DatabaseRefused(
            f"cannot write beside {layout.database} ({error.strerror}). "
            "Choose a directory that you may write to, by --db or SLURMBAND_DB."
        ) from error


def _is_made(layout: Layout, mode: Mode) -> bool:
    if mode is Mode.SHARED:
        return generations.is_band(layout)
    return is_there(layout.database)


def _make_file(layout: Layout, mode: Mode) -> None:
    if is_there(layout.database) and not layout.database.is_symlink():  # where a link should be
        generations.adopt(layout)
        return
    layout.set_aside()  # of a band whose database was deleted
    if mode is Mode.SHARED:
        generations.make_first(layout)
    else:
        make_file(layout.database, mode)
