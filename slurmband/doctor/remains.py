"""What lies beside a database: locks of the dead, and traces of programs that should not be there."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from slurmband.doctor.findings import Finding, Level
from slurmband.domain.processes import Fate
from slurmband.locks.generations import marker
from slurmband.locks.survey import LockFile, survey
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode

#: Seconds after which a lock of whom nothing can be told is worth a word.
OLD: Final = 120.0
#: How many locks are told one by one.
SHOWN: Final = 5


def of(layout: Layout, mode: str | None) -> Iterator[Finding]:
    """Say what lies beside a database.

    Parameters
    ----------
    layout : Layout
    mode : str or None
    """
    yield from locks(survey(layout.locks))
    yield from shared_memory(layout, mode)


def locks(found: Sequence[LockFile]) -> Iterator[Finding]:
    """Locks that nobody gives back, as far as that can be told from here."""
    dead = [each for each in found if each.fate is Fate.GONE]
    over = [each for each in found if _is_over(each)]
    held = [each for each in found if not (each.claim or each.fate is Fate.GONE or _is_over(each))]
    stuck = [each for each in held if each.fate is Fate.STOPPED or _is_old(each)]
    if dead:
        yield Finding(
            "locks",
            Level.NOTE,
            f"{_files(dead)} of processes that are dead",
            "nobody waits for these; `slurmband prune` removes them",
        )
    if over:
        yield Finding(
            "locks",
            Level.NOTE,
            f"{_files(over)} of generations of the database that are over: nobody could tell whether "
            "their holders were alive, and the others went on without them",
        )
    for each in stuck[:SHOWN]:
        yield _stuck(each)
    if len(stuck) > SHOWN:
        yield Finding("locks", Level.WARNING, f"{len(stuck) - SHOWN} more like these")
    if not (dead or over or stuck):
        now = f"{len(held)} held now" if held else "none is held now"
        yield Finding("locks", Level.OK, f"{now}, and nothing is left of the dead")


def _is_over(each: LockFile) -> bool:
    """Whether it is the lock of a generation that another one has followed."""
    stem, _, number = each.file.name.partition(".lock")[0].rpartition(".")
    if stem != "db" or not number.isdecimal():
        return False
    announced = marker(str(each.file.with_name(stem)), int(number) + 1)
    return each.fate is not Fate.GONE and Path(announced).exists()


def _files(found: Sequence[LockFile]) -> str:
    return f"{len(found)} {'files' if len(found) > 1 else 'file'}"


def _is_old(each: LockFile) -> bool:
    return each.fate is Fate.UNKNOWN and each.age > OLD


def _stuck(each: LockFile) -> Finding:
    who = f"pid {each.owner.pid} on {each.owner.host}" if each.owner else "nobody known"
    name = f"{each.file.name} is held by {who} since {_minutes(each.age)}"
    if each.fate is Fate.STOPPED:
        return Finding(
            "locks",
            Level.WARNING,
            f"{name}, and that process is stopped",
            "let it go on (kill -CONT), or end it",
        )
    return Finding(
        "locks",
        Level.WARNING,
        f"{name}; whether that process lives cannot be told from here",
        "look on that machine. Whoever needs the database goes on without its lock after a minute; any "
        "other lock may be deleted once that process is gone",
    )


def _minutes(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"


def shared_memory(layout: Layout, mode: str | None) -> Iterator[Finding]:
    """Files of SQLite's shared memory, which mode shared never makes."""
    if mode != Mode.SHARED:
        return
    files = _shared_memory_files(layout)
    for file in files:
        yield Finding(
            "shared memory",
            Level.WARNING,
            f"there is {file.name}: another program has opened the database in its own way (the sqlite3 "
            "shell, a database browser), which may lose what workers write",
            "end that program, and look at copies only, such as a file in backups/. When no worker "
            "runs, delete the -shm file and run this again",
        )
    if not files:
        yield Finding("shared memory", Level.OK, "no other program has the database open")


def _shared_memory_files(layout: Layout) -> list[Path]:
    database = layout.database
    beside = [database.with_name(f"{database.name}-shm")]
    generations = sorted((layout.folder / "generations").glob("*-shm"))
    return [file for file in (*beside, *generations) if file.exists()]
