"""How SQLite is opened in each mode: by settings that count before the first access to the file."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, NullPool, create_engine, event

from slurmband.errors import DatabaseFault
from slurmband.store.file import uri
from slurmband.store.modes import Mode

#: Seconds that SQLite itself waits in shared mode: who holds the lock around it has nobody to wait for,
#: but for a file server that keeps a lock of somebody who is gone.
_WAIT_SHARED: Final = 1.0
#: Prepared statements that a connection keeps: more than a round has, with all lengths of their lists.
_STATEMENTS: Final = 1000
#: What undoes a statement that fails halfway: else a file, and most of what is written.
_IN_MEMORY: Final = "temp_store = MEMORY"
_PRAGMAS: Final = {
    Mode.LOCAL: (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        _IN_MEMORY,
        "foreign_keys = ON",
    ),
    Mode.SHARED: (
        "locking_mode = EXCLUSIVE",  # before the first access: no shared memory is ever made
        "journal_mode = WAL",
        "synchronous = FULL",
        "mmap_size = 0",
        _IN_MEMORY,
        "foreign_keys = ON",
    ),
}


def make_engine(file: Path, mode: Mode, *, busy_timeout: float) -> Engine:
    """Make what opens connections to a file; none is kept.

    Parameters
    ----------
    file : Path
        Must exist: a database that was deleted under us is an error, not a new and empty one.
    mode : Mode
    busy_timeout : float
        Seconds that SQLite waits for its own locks, in local mode.
    """
    if mode is Mode.SHARED:
        busy_timeout = min(busy_timeout, _WAIT_SHARED)
    engine = create_engine(
        URL.create("sqlite", database=uri(file), query={"mode": "rw", "uri": "true"}),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",  # BEGIN and COMMIT are said by us, not by the driver
        connect_args={
            "timeout": busy_timeout,
            "check_same_thread": False,
            "cached_statements": _STATEMENTS,
        },
    )
    pragmas = _PRAGMAS[mode]

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        said = {pragma: cursor.execute(f"PRAGMA {pragma}").fetchall() for pragma in pragmas}
        cursor.close()
        if said["journal_mode = WAL"] != [("wal",)]:
            raise DatabaseFault(str(file), "SQLite would not use write-ahead logging here")

    return engine
