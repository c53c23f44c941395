"""What this machine says about a directory: its mount, its room, and what else matters there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from slurmband.locks.host import PLACES, HostLock
from slurmband.mounts import MOUNTINFO, Mount, find_mount
from slurmband.processes import identify
from slurmband.store.soundness import SQLITE

#: "Y": a node that lost its NFS locks takes them again, whoever had them meanwhile.
RECOVER_LOST_LOCKS: Final = Path("/sys/module/nfs/parameters/recover_lost_locks")


@dataclass(frozen=True, slots=True)
class Place:
    """A directory, as one machine sees it.

    Parameters
    ----------
    host, boot : str
        The machine's name, and what tells it from all others until it boots again.
    there, writable : bool
    point, file_system, options
        Of its mount.
    exported : bool
        Whether this machine gives it to others by NFS.
    free_bytes, free_files : int or None
        None where the file system does not say, or has no limit.
    sqlite : tuple of int
        Version of the SQLite library.
    recovers_locks : bool
        Whether the kernel takes lost NFS locks again.
    lock_folder : str or None
        Where the locks of this node lie.
    private : str or None
        Why other jobs of this node may not see that folder; None: nothing says so.
    """

    host: str
    boot: str
    there: bool
    writable: bool
    point: str
    file_system: str
    options: tuple[str, ...]
    exported: bool
    free_bytes: int | None
    free_files: int | None
    sqlite: tuple[int, ...]
    recovers_locks: bool
    lock_folder: str | None
    private: str | None

    @property
    def mount(self) -> Mount:
        """The mount it lies on."""
        return Mount(self.point, self.file_system, self.options, exported=self.exported)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """Read what another process wrote of its own place."""
        lists = {"options": tuple(said["options"]), "sqlite": tuple(said["sqlite"])}
        return cls(**(dict(said) | lists))


def look(directory: Path, *, recover: Path = RECOVER_LOST_LOCKS) -> Place:
    """Look at a directory from this machine.

    Parameters
    ----------
    directory : Path
        It need not exist.
    recover : Path
        The kernel's parameter.
    """
    me, mount = identify(), find_mount(directory)
    room = _room(directory)
    lock = HostLock(directory).file
    return Place(
        host=me.host,
        boot=me.boot_id,
        there=directory.is_dir(),
        writable=os.access(directory, os.W_OK | os.X_OK),
        point=mount.point,
        file_system=mount.file_system,
        options=mount.options,
        exported=mount.exported,
        free_bytes=room[0],
        free_files=room[1],
        sqlite=SQLITE,
        recovers_locks=_says_yes(recover),
        lock_folder=None if lock is None else str(lock.parent),
        private=why_private(),
    )


def why_private(*, mountinfo: Path = MOUNTINFO, proc: Path = Path("/proc")) -> str | None:
    """Say why the places for a node's locks are not those of the whole node; None: nothing says so."""
    for place in map(Path, PLACES):
        mount = find_mount(place, mountinfo=mountinfo)
        if mount.point == str(place) and mount.root != "/":
            return f"{place} is a mount of its own of {mount.root}"
    try:
        ours, of_all = (os.readlink(proc / pid / "ns/mnt") for pid in ("self", "1"))
    except OSError:
        return None  # only root may look
    return None if ours == of_all else "this process has mounts of its own (a mount namespace)"


def _room(directory: Path) -> tuple[int | None, int | None]:
    try:
        said = os.statvfs(directory)
    except OSError:
        return None, None
    return (
        said.f_bavail * said.f_frsize if said.f_blocks else None,
        said.f_favail if said.f_files else None,
    )


def _says_yes(parameter: Path) -> bool:
    try:
        return parameter.read_text().strip().upper() in ("Y", "1")
    except OSError:
        return False
