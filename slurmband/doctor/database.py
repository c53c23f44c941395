"""What is to be said of the database itself: whether it is whole, and keeps its promises."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from slurmband.doctor.findings import Finding, Level
from slurmband.errors import EnvironmentFault
from slurmband.store.schema import SCHEMA_VERSION
from slurmband.store.soundness import Soundness, of_database, schema_version

#: Seconds to wait for the lock.
LOCK_TIMEOUT: Final = 10.0
_NAME: Final = "database"
_RESTORE: Final = (
    "let no worker go on; keep a copy of the database and its folder, report this, and bring back a "
    "backup: `slurmband doctor --restore`"
)


def examine(database: Path, say: Callable[[str], object]) -> Iterator[Finding]:
    """Look at the database, if there is one, under its lock.

    Parameters
    ----------
    database : Path
        One of slurmband's, or nothing.
    say : callable
        Told what is being done.
    """
    if not database.exists():
        yield Finding(_NAME, Level.OK, "there is none yet")
        return
    version = schema_version(database)
    if version is not None and version < SCHEMA_VERSION:
        yield Finding(
            _NAME,
            Level.NOTE,
            "an older slurmband made it, and it is not looked at before it is upgraded",
            "any command does that, and keeps a copy: `slurmband tasks`, then this again",
        )
        return
    say("reading the whole database")
    try:
        found = of_database(database, lock_timeout=LOCK_TIMEOUT)
    except EnvironmentFault as fault:
        yield Finding(_NAME, Level.WARNING, "could not be examined", str(fault))
    else:
        yield from judge(found)


def judge(found: Soundness) -> Iterator[Finding]:
    """Turn what is wrong with a database into findings."""
    if found.integrity:
        said = "; ".join(" ".join(line.split()) for line in found.integrity)
        yield Finding(_NAME, Level.ERROR, f"SQLite finds it damaged: {said}", _RESTORE)
    for reference in found.references:
        yield Finding(_NAME, Level.ERROR, f"rows are missing: {reference}", _RESTORE)
    for says, offenders in found.broken.items():
        named = ", ".join(offenders)
        yield Finding(_NAME, Level.ERROR, f"does not hold: {says} ({named})", _RESTORE)
    if found.sound:
        tasks = f"{found.tasks} {'task' if found.tasks == 1 else 'tasks'}"
        yield Finding(_NAME, Level.OK, f"{tasks}, and everything in it agrees")
