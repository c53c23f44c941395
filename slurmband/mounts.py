"""Which file system a path lies on, from the mount table, and whether other machines see it.

Sources: proc_pid_mountinfo(5), exports(5).
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

MOUNTINFO: Final = Path("/proc/self/mountinfo")
#: What this machine gives to others by NFS: as it is configured, and as it is in force.
EXPORTS: Final = (Path("/etc/exports"), Path("/var/lib/nfs/etab"))
LOCAL_FILE_SYSTEMS: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs"}
    | {"tmpfs", "xfs", "zfs"}
)
#: Known to be seen by several machines: no word of a user makes them local.
NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "panfs", "smb3"}
)
#: Mount options under which locks do not reach other nodes, or not reliably.
UNSAFE_OPTIONS: Final = ("localflock", "noflock", "nolock", "local_lock=all", "local_lock=posix")


@dataclass(frozen=True, slots=True)
class Mount:
    """The mount that a path lies on."""

    point: str
    file_system: str
    options: tuple[str, ...]
    root: str = "/"  #: of what is mounted, the directory that is seen here
    exported: bool = False  #: this machine is the file server that gives the path to others

    @property
    def local(self) -> bool:
        """Whether only this machine can see it; what is not known to be local is not."""
        return self.file_system in LOCAL_FILE_SYSTEMS and not self.exported

    @property
    def described(self) -> str:
        """What it is, for messages."""
        exported = ", which this machine exports" if self.exported else ""
        options = f", {','.join(self.options)}" if self.options else ""
        return f"{self.file_system} ({self.point}{options}){exported}"

    @property
    def unsafe_options(self) -> tuple[str, ...]:
        """Options that a user should know of before trusting locks on it."""
        return tuple(option for option in self.options if option in UNSAFE_OPTIONS)


_UNKNOWN = Mount("?", "unknown", ())
#: How the kernel writes space, tab, newline and backslash; every other byte stands for itself.
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def find_mount(
    path: Path, *, mountinfo: Path = MOUNTINFO, exports: Sequence[Path] = EXPORTS
) -> Mount:
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
    return replace(best, exported=any(_exports(table, real) for table in exports))


def _exports(table: Path, real: str) -> bool:
    try:
        lines = table.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    points = [_plain(line.split()[0].strip('"')) for line in lines if line.strip()]
    return any(real == point or real.startswith(point.rstrip("/") + "/") for point in points)


def _parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields, (file_system, _source, *super_options) = before.split(" "), after.split(" ", 2)
    point = _plain(fields[4])
    options: Sequence[str] = fields[5].split(",") + ",".join(super_options).split(",")
    return Mount(
        point, file_system, tuple(option for option in options if option), _plain(fields[3])
    )


def _plain(field: str) -> str:
    return _OCTAL.sub(lambda code: chr(int(code[1], 8)), field)
