"""What processes that died left in a folder of locks, removed when their death is proven."""

import logging
import os
from contextlib import suppress
from pathlib import Path

from slurmband.domain.processes import Fate
from slurmband.locks.generations import is_generation_lock
from slurmband.locks.link import CAUGHT, PROBE, LinkLock, owner_in
from slurmband.processes import fate_of

log = logging.getLogger(__name__)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove locks and claims of processes that are provably dead, and nothing else.

    A lock that its dead holder's successor takes is tidied by that; this is for those that nobody
    wants any more, and for who died waiting. What lies there of living processes, of other nodes, of
    stock flufl.lock, or of nobody known, stays.

    Parameters
    ----------
    folder : Path
        Such as ``slurmband.sqlite.d/locks``. It need not exist.

    Returns
    -------
    list of Path
        What was removed, sorted.
    """
    before = _files(folder)
    for file in before:
        if file.suffix == ".lock" and not is_generation_lock(file.name):
            with suppress(OSError, UnicodeDecodeError):
                LinkLock(str(file)).break_if_lost()
    for file in before:  # claims after their locks: a lock without its claim names nobody
        owner = owner_in(file.name.removesuffix(CAUGHT).removesuffix(PROBE))
        if owner is not None and fate_of(owner) is Fate.GONE:
            file.unlink(missing_ok=True)
    removed = sorted(set(before) - set(_files(folder)))
    for file in removed:
        log.info("removed %s of a dead process", file)
    return removed


def _files(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_file()]
    except FileNotFoundError:
        return []
