"""Going on from a backup: a copy of it takes the place of the database, and no number is used twice.

What a backup does not know has left traces: journals, beats and directories that are named after
attempts and workers, and processes that still hold such numbers. So the copy goes on counting after all
that was ever given out.
"""

import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from slurmband.domain.workers import Worker
from slurmband.errors import (
    BackupRefused,
    CommitUnknown,
    DatabaseFault,
    DatabaseMissing,
    DatabaseRefused,
)
from slurmband.locks.generations import GenerationLock, announce
from slurmband.locks.host import HostLock
from slurmband.locks.ladder import Ladder
from slurmband.store import generations, queries
from slurmband.store.database import Store
from slurmband.store.file import uri
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode
from slurmband.store.schema import SCHEMA_VERSION
from slurmband.store.soundness import damage, of_connection

#: Left free after the largest number that is known to have been given out: there may be unknown ones.
GAP: Final = 10_000
#: How often a generation is announced for a backup before others are asked to stop.
_TRIES: Final = 10
#: The tables whose numbers are names elsewhere.
NUMBERED: Final = ("attempts", "workers", "events", "elements")


@dataclass(frozen=True, slots=True)
class Present:
    """What the database that is to be replaced knows.

    Parameters
    ----------
    workers : list of (Worker, float)
        Those that nobody has seen end, each with its heartbeat timeout in seconds.
    used : dict of str to int
        Table -> the largest number given out.
    """

    workers: list[tuple[Worker, float]]
    used: dict[str, int]


def present(layout: Layout, *, lock_timeout: float) -> Present | None:
    """Ask the present database; None if there is none, or it cannot be read.

    Raises
    ------
    LockTimeout
        If its lock is not to be had: somebody is at work.
    """
    try:
        store = Store(layout.database, lock_timeout=lock_timeout, busy_timeout=lock_timeout)
        try:
            with store.read() as tx:
                return Present(queries.live_workers(tx), _used(tx.connection))
        finally:
            store.close()
    except (DatabaseMissing, DatabaseRefused, DatabaseFault, DBAPIError):
        return None


def progress(backup: Path) -> tuple[int, int]:
    """Return how many tasks of a backup completed, of how many.

    Raises
    ------
    BackupRefused
        If it cannot be read.
    """
    query = "SELECT coalesce(sum(state = 'completed'), 0), count(*) FROM tasks"
    try:
        with closing(sqlite3.connect(f"{uri(backup)}?mode=ro&immutable=1", uri=True)) as connection:
            completed, total = connection.execute(query).fetchone()
    except sqlite3.DatabaseError as error:
        raise BackupRefused(str(backup), str(error)) from error
    return completed, total


@contextmanager
def prepared(
    backup: Path, layout: Layout, used: Mapping[str, int], *, now: float
) -> Iterator[tuple[Path, list[int]]]:
    """Copy a backup, see that it is whole, and let it count on after `used`.

    Parameters
    ----------
    backup : Path
    layout : Layout
    used : mapping of str to int
        Table -> the largest number given out, as far as is known.
    now : float
        UTC seconds since the epoch, for the event that tells of it.

    Yields
    ------
    Path, list of int
        The copy, gone afterwards, and the keys of the workers that it takes for alive.

    Raises
    ------
    BackupRefused
        If it is not whole, or of a newer slurmband.
    """
    layout.backups.mkdir(parents=True, exist_ok=True)
    copy = layout.backups / f".restoring.{secrets.token_hex(6)}"
    try:
        _copy_files(backup, copy)
        yield copy, _prepare(copy, backup, used, now)
    finally:
        for file in _files(copy):
            file.unlink(missing_ok=True)


def _prepare(copy: Path, backup: Path, used: Mapping[str, int], now: float) -> list[int]:
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(copy, isolation_level=None),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA locking_mode = EXCLUSIVE")
            version = _check(connection, backup)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _count_on(connection, used)
            if version == SCHEMA_VERSION:
                _tell(connection, backup, now)
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
            alive = "SELECT key FROM workers WHERE status = 'alive'"
            return list(connection.exec_driver_sql(alive).scalars())
    except (DBAPIError, sqlite3.DatabaseError) as error:
        raise BackupRefused(str(backup), str(error)) from error


def _check(connection: Connection, backup: Path) -> int:
    """Return the schema version of a copy that is whole."""
    faults = damage(connection)
    version = 0 if faults else connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if not faults and not 1 <= version <= SCHEMA_VERSION:
        faults = [f"its schema version {version} is not known here"]
    if version == SCHEMA_VERSION:
        found = of_connection(connection)
        faults = [*found.references, *found.broken]
    if faults:
        raise BackupRefused(str(backup), "; ".join(faults))
    return int(version)


def _used(connection: Connection) -> dict[str, int]:
    rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all()
    return {str(name): int(number) for name, number in rows}


def _count_on(connection: Connection, used: Mapping[str, int]) -> None:
    """Let every numbered table go on after what was given out, by this copy or after it was taken."""
    own = _used(connection)
    known = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table'")
    for table in set(NUMBERED) & set(known.scalars()):
        number = max(own.get(table, 0), used.get(table, 0)) + GAP
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, number))


def _tell(connection: Connection, backup: Path, now: float) -> None:
    """Write an event, newer than all that anybody has seen."""
    connection.exec_driver_sql(
        "INSERT INTO events (timestamp, event, detail) VALUES (?, 'restore', ?)",
        (now, f"from {backup.name}"),
    )


# --- in place ---------------------------------------------------------------------------------------


def put_in_place(
    copy: Path, layout: Layout, mode: Mode, *, aside: Path, lock_timeout: float
) -> None:
    """Let a copy take the place of the database; in shared mode, as a new generation.

    Parameters
    ----------
    copy : Path
        A whole database, in one file.
    layout : Layout
    mode : Mode
    aside : Path
        Where the present database is kept, if there is one.
    lock_timeout : float
        Seconds to wait for each lock.

    Raises
    ------
    CommitUnknown
        If the lock was taken away meanwhile.
    DatabaseFault
        If a process has the database open, in local mode.
    LockTimeout
        If a lock was not to be had.
    """
    layout.make()
    if mode is Mode.SHARED:
        _as_generation(copy, layout, aside, lock_timeout)
        return
    with Ladder(HostLock(layout.folder), timeout=lock_timeout).hold():
        _let_go(layout.database, lock_timeout)
        _copy_files(layout.database, aside)
        unfinished = layout.database.with_name(f".{layout.database.name}.{secrets.token_hex(6)}")
        shutil.copyfile(copy, unfinished)
        for file in _files(layout.database)[1:]:
            file.unlink(missing_ok=True)
        unfinished.replace(layout.database)


def _let_go(database: Path, timeout: float) -> None:
    """See that no process has the database open; what cannot be read, nobody works with."""
    if not database.exists():
        return
    said = f"a process has it open; end the workers first ({timeout:.0f} s were waited)"
    try:
        with closing(sqlite3.connect(database, timeout=timeout)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # only the last connection may
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise DatabaseFault(str(database), said) from error
    except sqlite3.DatabaseError:
        pass  # it is damaged


def _as_generation(copy: Path, layout: Layout, aside: Path, timeout: float) -> None:
    lock = GenerationLock(str(layout.database_locks), _named(layout, aside))
    ladder = Ladder(HostLock(layout.folder), lock, timeout=timeout)
    for _ in range(_TRIES):
        with ladder.hold():
            number = lock.generation
            if generations.is_made(layout, number):
                announce(str(layout.database_locks), number + 1, "a backup is brought back")
                continue  # and take the lock of that one, before anybody works with it
            with suppress(DatabaseFault):  # there is none left
                _copy_files(layout.generation(generations.newest_made(layout, number)), aside)
            generations.install(layout, number, copy)
            return
    raise CommitUnknown("others went on from the present database each time")


def _named(layout: Layout, aside: Path) -> int:
    """Return the generation that the link names; make the link where something else is, or nothing."""
    try:
        return generations.present(layout)
    except (DatabaseMissing, DatabaseRefused):
        _copy_files(layout.database, aside)
    layout.generations.mkdir(exist_ok=True)
    newest = max(generations.numbers(layout), default=1)
    layout.database.unlink(missing_ok=True)
    layout.database.symlink_to(layout.link_to(newest))
    return newest


def _copy_files(source: Path, target: Path) -> None:
    """Copy a database as it lies there, with its -wal, if there is one."""
    for file, there in zip(_files(source)[:2], _files(target)[:2], strict=True):
        if file.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, there)


def _files(database: Path) -> list[Path]:
    return [database.with_name(f"{database.name}{end}") for end in ("", "-wal", "-shm", "-journal")]
