"""Who holds the locks of a folder, and what lies there besides; it only looks."""

import os
from dataclasses import dataclass
from pathlib import Path

from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.locks.link import CAUGHT, PROBE, claim_in, owner_in
from slurmband.processes import fate_of


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock or a claim that lies in a folder.

    Parameters
    ----------
    file : Path
    claim : bool
        Whether it is only the claim of who holds, or waits for, a lock.
    owner : ProcessIdentity or None
        None: it does not say, as stock flufl.lock's do not.
    fate : Fate
        Of its owner.
    age : float
        Seconds since it was written, as the file system stamps files.
    """

    file: Path
    claim: bool
    owner: ProcessIdentity | None
    fate: Fate
    age: float


def survey(folder: Path) -> list[LockFile]:
    """Look at every file in a folder of locks, oldest first.

    Parameters
    ----------
    folder : Path
        It need not exist.
    """
    try:
        files = [Path(entry.path) for entry in os.scandir(folder) if entry.is_file()]
        now = _now(folder)
    except OSError:
        return []
    found = filter(None, (_look(file, now) for file in files))
    return sorted(found, key=lambda each: -each.age)


def _look(file: Path, now: float) -> LockFile | None:
    name = file.name.removesuffix(CAUGHT).removesuffix(PROBE)
    owner, claim = owner_in(name), True
    try:
        age = max(0.0, now - file.stat().st_mtime)
        if owner is None:
            owner, claim = owner_in(claim_in(file.read_text(errors="replace"))), False
    except OSError:
        return None  # given back meanwhile
    if owner is None and file.suffix != ".lock":
        return None
    return LockFile(file, claim, owner, fate_of(owner) if owner else Fate.UNKNOWN, age)


def _now(folder: Path) -> float:
    """Return the time as this file system stamps it."""
    probe = folder / f".now.{os.getpid()}"
    descriptor = os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, b"now\n")
        os.fsync(descriptor)
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        probe.unlink()
