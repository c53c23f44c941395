"""What follows from a place: findings about the file system, its options, its room, and the machine."""

from collections.abc import Iterator
from typing import Final

from slurmband.doctor.findings import Finding, Level
from slurmband.doctor.place import Place
from slurmband.store.modes import Mode
from slurmband.store.soundness import may_reset_wal_wrongly

#: Less is a warning, or none at all an error.
FEW_BYTES: Final = 200 * 2**20
FEW_FILES: Final = 10_000

_LOCKS_STAY: Final = (
    "slurmband's own lock does not need them, but SQLite's second line of defence is gone: ask for "
    "a mount with shared locks, and never open the database with another program"
)
_SOFT: Final = (
    Level.WARNING,
    "an operation fails when the server is slow, instead of waiting for it",
    "files of your tasks may end up cut off (slurmband looks again at its own): ask for a hard mount",
)
#: Mount option -> level, what it does, what to do. An option with a value is looked up whole first.
#: They are those of the mount table: the kernel writes actimeo as acregmin, acdirmin and so on.
OPTIONS: Final = {
    "ro": (Level.ERROR, "nothing can be written", "choose another directory"),
    "nocto": (
        Level.ERROR,
        "what another node wrote may not be seen when a file is opened",
        "ask for a mount without nocto, or choose another directory",
    ),
    "cache=loose": (
        Level.ERROR,
        "what another machine wrote is not seen when a file is opened",
        "ask for a mount with cache=strict, or choose another directory",
    ),
    "nolock": (Level.WARNING, "fcntl locks do not reach other nodes", _LOCKS_STAY),
    "localflock": (Level.WARNING, "fcntl locks do not reach other nodes", _LOCKS_STAY),
    "noflock": (Level.WARNING, "there are no fcntl locks", _LOCKS_STAY),
    "local_lock=all": (Level.WARNING, "fcntl locks do not reach other nodes", _LOCKS_STAY),
    "local_lock=posix": (Level.WARNING, "fcntl locks do not reach other nodes", _LOCKS_STAY),
    "nobrl": (Level.WARNING, "fcntl locks do not reach other machines", _LOCKS_STAY),
    "soft": _SOFT,
    "softerr": _SOFT,
    "noac": (Level.NOTE, "nothing is cached: right, and slow", ""),
    "acdirmax=0": (Level.NOTE, "no names are cached: right, and slow", ""),
    "acdirmin": (
        Level.NOTE,
        "new names are seen so many seconds late; slurmband waits for none",
        "",
    ),
    "vers=3": (
        Level.NOTE,
        "the server keeps the fcntl locks of a dead node until that node is back",
        "",
    ),
}


def of(place: Place, mode: str | None) -> Iterator[Finding]:
    """Say what there is to say of a place.

    Parameters
    ----------
    place : Place
    mode : str or None
        That a database has here; None: it is refused.
    """
    yield from options(place)
    yield from room(place)
    yield sqlite(place, mode)
    yield from lost_locks(place)
    yield host_lock(place)


def options(place: Place) -> Iterator[Finding]:
    """Mount options that matter."""
    known = 0
    for option in place.options:
        level, does, advice = OPTIONS.get(option) or OPTIONS.get(option.partition("=")[0]) or _NONE
        if does:
            known += 1
            yield Finding("mount option", level, f"{option}: {does}", advice)
    if not known and not place.mount.local:
        yield Finding("mount options", Level.OK, "none that slurmband would mind")


_NONE: Final = (Level.OK, "", "")


def room(place: Place) -> Iterator[Finding]:
    """Free space, and how many files may still be made."""
    advice = "delete what is not needed, or choose another directory; a quota is not seen here"
    said = []
    for free, few, shown in (
        (place.free_bytes, FEW_BYTES, _bytes(place.free_bytes or 0)),
        (place.free_files, FEW_FILES, f"{place.free_files} files"),
    ):
        if free is None:
            continue
        if free < few:
            level = Level.WARNING if free else Level.ERROR
            yield Finding("room", level, f"only {shown} left", advice)
        said.append(shown)
    if place.free_bytes is not None and place.free_bytes >= FEW_BYTES:
        yield Finding("room", Level.OK, f"{' and '.join(said)} free")


def sqlite(place: Place, mode: str | None) -> Finding:
    """The SQLite library, and its WAL-reset bug."""
    version = ".".join(map(str, place.sqlite))
    if not may_reset_wal_wrongly(place.sqlite):
        return Finding("SQLite", Level.OK, version)
    if mode == Mode.SHARED:
        return Finding(
            "SQLite", Level.OK, f"{version}; its WAL-reset bug cannot be met in mode shared"
        )
    return Finding(
        "SQLite",
        Level.WARNING,
        f"{version} has the WAL-reset bug, which two connections can meet in mode local, very rarely",
        "use a Python with SQLite 3.51.3 or newer, or make the database with --mode shared",
    )


def lost_locks(place: Place) -> Iterator[Finding]:
    """The kernel's parameter for NFS locks that were lost."""
    if place.file_system.startswith("nfs") and place.recovers_locks:
        yield Finding(
            "kernel",
            Level.WARNING,
            "nfs.recover_lost_locks=Y: a node that was cut off takes its locks again, though another "
            "may have held them meanwhile",
            "ask for nfs.recover_lost_locks=0",
        )


def host_lock(place: Place) -> Finding:
    """Where the processes of a node queue, before one of them goes for the lock of all nodes."""
    if place.lock_folder is None:
        return Finding(
            "host lock",
            Level.WARNING,
            "no directory of this node can be written to",
            "many workers on a node will be slower, and nothing worse: make /dev/shm or /tmp writable",
        )
    if place.private:
        return Finding(
            "host lock",
            Level.WARNING,
            f"in {place.lock_folder}, which other jobs of this node may not see: {place.private}",
            "jobs that share a node will be slower, and nothing worse: rather start several workers in "
            "one job (--workers-per-element)",
        )
    return Finding(
        "host lock",
        Level.OK,
        f"in {place.lock_folder}, and nothing says that it is private to a job",
    )


def _bytes(count: int) -> str:
    """Write ``12 MB``, ``3.4 GB``."""
    if count < 2**30:
        return f"{count / 2**20:.0f} MB"
    return f"{count / 2**30:.1f} GB" if count < 2**40 else f"{count / 2**40:.1f} TB"
