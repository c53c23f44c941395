"""Whether a database is whole: as SQLite sees it, by its references, and by what must always hold."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from slurmband.errors import DatabaseFault
from slurmband.store import invariants
from slurmband.store.database import Store
from slurmband.store.file import uri

#: How many faults of one kind are told.
SHOWN: Final = invariants.SHOWN
#: The version of the SQLite library that this Python has.
SQLITE: Final = sqlite3.sqlite_version_info
#: Where two connections write and checkpoint at once, older ones may reset the WAL wrongly.
_MENDED: Final = (3, 51, 3)
_MENDED_BEFORE: Final = ((3, 50, 7), (3, 44, 6))


def may_reset_wal_wrongly(version: tuple[int, ...]) -> bool:
    """Whether a version of SQLite has the WAL-reset bug.

    Only mode local has more than one connection at a time, and so only it can meet the bug.

    Source: https://www.sqlite.org/wal.html#walresetbug.
    """
    return version < _MENDED and version not in _MENDED_BEFORE


@dataclass(frozen=True, slots=True)
class Soundness:
    """What was found; empty lists: nothing wrong.

    Parameters
    ----------
    integrity : list of str
        What SQLite's integrity check says.
    references : list of str
        Tables with rows that refer to nothing.
    broken : dict of str to list of str
        As of `invariants.broken`.
    tasks : int
        How many tasks there are.
    """

    integrity: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    broken: dict[str, list[str]] = field(default_factory=dict)
    tasks: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing was found wrong."""
        return not (self.integrity or self.references or self.broken)


def of_database(database: Path, *, lock_timeout: float) -> Soundness:
    """Examine a database where it lies, under its lock.

    Parameters
    ----------
    database : Path
    lock_timeout : float
        Seconds to wait for the lock, and for SQLite's own.

    Raises
    ------
    EnvironmentFault
        If it could not be reached: nothing is known of it then.
    """
    found = _look(database, lock_timeout)
    # A read that failed looks like damage to SQLite: only what is seen twice is in the file.
    return _look(database, lock_timeout) if found.integrity else found


def _look(database: Path, lock_timeout: float) -> Soundness:
    try:
        store = Store(database, lock_timeout=lock_timeout, busy_timeout=lock_timeout)
        try:
            with store.read() as tx:
                return of_connection(tx.connection)
        finally:
            store.close()
    except DBAPIError as error:  # SQLite gave up before it could be asked
        return Soundness(integrity=[str(error.orig)])
    except DatabaseFault as fault:
        if _is_damage(fault.__cause__):
            return Soundness(integrity=[fault.said])
        raise


def _is_damage(cause: BaseException | None) -> bool:
    code = getattr(getattr(cause, "orig", None), "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def schema_version(database: Path) -> int | None:
    """Read the schema version from the header, without a lock or an upgrade; None: it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{uri(database)}?mode=ro&immutable=1", uri=True)) as opened:
            return int(opened.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError:
        return None


def of_connection(connection: Connection) -> Soundness:
    """Examine what a connection sees."""
    if damaged := damage(connection):
        return Soundness(integrity=damaged)  # further questions mean nothing
    lost = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    tasks = connection.exec_driver_sql("SELECT count(*) FROM tasks").scalar_one()
    references = sorted({f"{row[0]} refers to {row[2]}" for row in lost})
    return Soundness([], references, invariants.broken(connection), int(tasks))


def damage(connection: Connection) -> list[str]:
    """Return what SQLite's own check says; empty: nothing."""
    try:
        rows = connection.exec_driver_sql(f"PRAGMA integrity_check({SHOWN})").scalars().all()
    except DBAPIError as error:
        return [str(error.orig)]
    return [] if rows == ["ok"] else [str(row) for row in rows]
