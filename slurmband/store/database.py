"""How a transaction reaches the file, in the two ways that are right.

LOCAL: one connection per process, WAL with shared memory, under the node's lock. SHARED: under the
lock of all nodes, open the newest generation, ``locking_mode=EXCLUSIVE`` before the first access, WAL,
one transaction, close; and only when the lock is still held after the close is the COMMIT believed.
"""

import logging
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DatabaseError, DBAPIError

from slurmband.errors import (
    CommitUnknown,
    DatabaseFault,
    DatabaseMissing,
    DatabaseRefused,
)
from slurmband.locks import Lock
from slurmband.locks.generations import PATIENCE, GenerationLock
from slurmband.locks.host import Errand, HostLock
from slurmband.locks.ladder import Ladder, StillMine
from slurmband.locks.link import claim_anew
from slurmband.masks import masked
from slurmband.mounts import find_mount
from slurmband.store import generations
from slurmband.store.engines import make_engine
from slurmband.store.file import copy_to, freshen, is_there, kept_mode, path_of
from slurmband.store.layout import Layout
from slurmband.store.making import make
from slurmband.store.modes import Mode, choose
from slurmband.store.schema import SCHEMA_VERSION, metadata
from slurmband.store.upgrades import upgrade

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that SQLite waits for its own locks before it says BUSY.
BUSY_TIMEOUT: Final = 60.0
#: Seconds after which a database that is not there is believed to be gone.
MISSING_FOR: Final = 1.0
#: No handler of these runs between the lock and the close.
_MASKED: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
_UNREADABLE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: Errors of an open or a BEGIN that another try may not meet.
_LOCKED: Final = "locked"
_TRANSIENT: Final = (_LOCKED, "locking protocol", "unable to open", "disk I/O error")


@dataclass(frozen=True)
class Transaction:
    """An open transaction; made by `Store` only, and dead when its ``with`` block ends."""

    connection: Connection

    @cached_property
    def driver(self) -> sqlite3.Connection:
        """The driver's own connection, for what is done many times."""
        return _driver_of(self.connection)


class Store:
    """One database of a band.

    Parameters
    ----------
    database : str or Path
        A path, or a SQLAlchemy URL such as ``sqlite:///slurmband.sqlite``.
    mode : str, optional
        "local" or "shared"; found from the file system where not given.
    create : bool, default False
        Make the database where there is none.
    db_lock : flufl.lock.Lock, optional
        The lock to use between nodes, instead of the one in the band's folder.
    lock_timeout : float, optional
        Seconds to wait for that lock; None: for ever, as workers do.
    lock_patience : float, default 60
        Seconds after which that lock is given up if its holder, who may be alive, does not change it:
        then the database goes on in a new generation. At least 10.
    busy_timeout : float, default 60
        Seconds to wait for SQLite's own locks, and to try again what may be a passing fault; in shared
        mode it is `lock_patience`, and then the database goes on in a new generation.

    Raises
    ------
    DatabaseMissing
        If there is no such file and `create` is false.
    DatabaseRefused
        If the file is no database of slurmband, was written by a newer one, or must not be reached
        in this mode from here.
    DatabaseFault
        If it cannot be read or written now.
    """

    def __init__(
        self,
        database: str | Path,
        *,
        mode: str | None = None,
        create: bool = False,
        db_lock: Lock | None = None,
        lock_timeout: float | None = None,
        lock_patience: float = PATIENCE,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> None:
        self.layout = Layout(path_of(database))
        self._db_lock = db_lock
        self._lock_timeout = lock_timeout
        self._lock_patience = lock_patience
        self._busy_timeout = busy_timeout
        path = self.layout.database
        self._kept: Connection | None = None
        with self._faults_named():
            if not create and not (is_there(path) or generations.is_band(self.layout)):
                raise DatabaseMissing(str(path))
            self.mount = find_mount(path)
            kept = kept_mode(path)
            self.mode = choose(path, forced=mode, kept=kept, mount=self.mount)
            make(self.layout, self.mode, patience=lock_patience)
            if kept is None:  # somebody else may have been quicker, with another mode
                choose(path, forced=self.mode, kept=kept_mode(path), mount=self.mount)
            self._open_for_this_process()
        self._prepare()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a write transaction; it commits when the block ends well.

        Raises
        ------
        CommitUnknown
            If it cannot be told whether the transaction is in the database.
        DatabaseFault
            If SQLite would not read or write. Nothing has been written.
        LockTimeout
            If the lock was not to be had in `lock_timeout`.
        """
        with self._locked() as (connection, still_mine):
            self._begin(connection)
            yield Transaction(connection)
            _commit(connection, still_mine)

    @property
    def node_folder(self) -> Path | None:
        """Where the processes of this node can leave word for each other; None if there is none."""
        return self._ladder.host.folder

    @contextmanager
    def turn(self, errand: Errand | None = None) -> Iterator[bool]:
        """Keep the other processes of this node from writing; this thread's own transactions go on.

        Yields False if one of them did `errand` before it was this one's turn.

        Raises
        ------
        LockTimeout
            If the lock was not to be had in `lock_timeout`.
        """
        self._mind_fork()
        with self._faults_named(), self._ladder.turn(errand) as ours:
            yield ours

    @contextmanager
    def guard(self, timeout: float | None = None) -> Iterator[StillMine]:
        """Keep every other thread and process from writing; this thread's own transactions go on.

        At the beginning the file is whole by itself, and this process has it open no more: it can be
        copied. In local mode others may still read it.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for each lock; None: for ever.

        Raises
        ------
        LockTimeout
            If a lock was not to be had in time.
        """
        self._mind_fork()
        with self._ladder.guard(timeout) as still_mine:
            if self.mode is Mode.LOCAL:
                with self._faults_named():
                    busy = (
                        self._connect().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
                    )
                if busy:
                    log.warning(
                        "%s: a reader keeps the end of it in the -wal", self.layout.database
                    )
                self.close()
            else:
                with self._locked():
                    pass  # what a dead one left in the -wal is moved into the file
            yield still_mine

    def copy(self, target: Path) -> None:
        """Copy the whole database as it is now; the copy appears whole or not at all."""
        with self._locked() as (connection, _):
            copy_to(connection, target)

    def remove_old_generations(self) -> list[Path]:
        """Remove the database files that a newer generation has taken the place of; return them."""
        if not isinstance(self._link, GenerationLock):
            return []
        with self._locked():
            return generations.remove_old(self.layout, self._link.generation)

    def _mind_fork(self) -> None:
        if os.getpid() != self._pid:
            self._open_for_this_process()  # locks and connections do not cross a fork
            if self._db_lock is not None:
                claim_anew(self._db_lock)

    @contextmanager
    def _locked(self) -> Iterator[tuple[Connection, StillMine]]:
        """Hold the locks around a connection, and believe what was committed only after the close."""
        self._mind_fork()
        with self._faults_named(), self._ladder.hold() as still_mine, masked(_MASKED):
            self._find_generation()
            connection = self._connect()
            try:
                yield connection, still_mine
            except BaseException as error:
                try:
                    _roll_back(connection)
                except sqlite3.Error:
                    self.close()  # which rolls back, too
                # Who reads files that others went on from may see anything.
                if isinstance(error, (sqlite3.Error, DBAPIError, OSError)) and not still_mine():
                    raise CommitUnknown("the lock was taken away before the commit") from error
                raise
            finally:
                self._disconnect(connection)
            if not still_mine():
                raise CommitUnknown("the lock was taken away during the commit")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that reads one consistent state and writes nothing."""
        if self.mode is Mode.SHARED:
            with self.transaction() as tx:
                yield tx
            return
        with self._faults_named(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield Transaction(connection)
            finally:
                _roll_back(connection)

    def close(self) -> None:
        """Give back the connection that local mode keeps."""
        if self._kept is not None and os.getpid() == self._pid:
            self._kept.close()
        self._kept = None

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        """Turn errors of SQLite and of files (full, busy, unreadable) into one that says what to do."""
        try:
            yield
        except (sqlite3.DatabaseError, DatabaseError) as error:
            told = error.orig if isinstance(error, DatabaseError) else error
            # "malformed" is also what SQLite says where the file system could not read.
            if not isinstance(told, sqlite3.OperationalError) and _code(told) not in _UNREADABLE:
                raise
            raise DatabaseFault(str(self.layout.database), str(told)) from error
        except OSError as error:
            raise DatabaseFault(str(self.layout.database), str(error)) from error

    def _open_for_this_process(self) -> None:
        self._pid = os.getpid()
        self._of_parent = self._kept  # never closed: SQLite forbids it after a fork
        self._kept = None
        #: The file that SQLite opens: in shared mode, of the newest generation that was reached.
        self.file = self.layout.database
        self._link: Lock | None = None
        if self.mode is Mode.SHARED:
            number = generations.present(self.layout)
            self.file = self.layout.generation(number)
            self._link = self._db_lock or GenerationLock(
                str(self.layout.database_locks), number, patience=self._lock_patience
            )
        self._engine = make_engine(self.file, self.mode, busy_timeout=self._busy_timeout)
        self._ladder = Ladder(
            HostLock(self.layout.folder),
            self._link,
            timeout=self._lock_timeout,
            patience=self._lock_patience,
        )

    def _find_generation(self) -> None:
        """Go on to the file of the generation whose lock is held."""
        if not isinstance(self._link, GenerationLock):
            return
        try:
            try:
                file = generations.settle(self.layout, self._link.generation)
            except DatabaseMissing:
                time.sleep(MISSING_FOR)
                file = generations.settle(self.layout, self._link.generation)
        except DatabaseRefused:
            if not self._link.still_mine():
                raise CommitUnknown("the lock was taken away before the transaction") from None
            raise
        if file != self.file:
            freshen(file.parent)  # this node may have looked for it before it was made
            self.file = file
            self._engine = make_engine(self.file, self.mode, busy_timeout=self._busy_timeout)

    def _connect(self) -> Connection:
        if self.mode is Mode.SHARED:
            return self._retry(self._engine.connect)
        if self._kept is None:
            self._kept = self._engine.connect()
        return self._kept

    def _disconnect(self, connection: Connection) -> None:
        if self.mode is Mode.SHARED:
            connection.close()

    def _begin(self, connection: Connection) -> None:
        self._retry(lambda: _driver_of(connection).execute("BEGIN IMMEDIATE"))

    def _retry(self, action: Callable[[], T]) -> T:
        """Do `action` again while SQLite gives a reason that may pass, such as another node's lease."""
        shared = isinstance(self._link, GenerationLock)
        deadline = time.monotonic() + (self._lock_patience if shared else self._busy_timeout)
        while True:
            try:
                return action()
            except (DBAPIError, sqlite3.Error) as error:
                told = str(error.orig if isinstance(error, DBAPIError) else error)
                if not any(words in told for words in _TRANSIENT):
                    raise
                if time.monotonic() >= deadline:
                    self._leave_behind(told)
                    raise
                time.sleep(0.05)

    def _leave_behind(self, error: str) -> None:
        """End the generation whose file somebody keeps locked, although we hold the lock around it.

        A file server may keep such a lock for a process, or for a node, that is long gone.
        """
        if isinstance(self._link, GenerationLock) and _LOCKED in error:
            self._link.give_up(f"{self.file}: {error} for {self._lock_patience:g} s")

    def _prepare(self) -> None:
        """Make the tables, or check that they are ones that we know."""
        path = self.layout.database
        with self.read() as tx:
            version = _schema_version(tx.connection)
        if version > SCHEMA_VERSION:
            raise DatabaseRefused(
                f"{path} has schema version {version}; this slurmband knows versions up to "
                f"{SCHEMA_VERSION}. Use the newer slurmband that wrote it, or another database."
            )
        if version == 0:
            with self.transaction() as tx:
                if _schema_version(tx.connection) == 0:  # nobody was quicker
                    metadata.create_all(tx.connection, checkfirst=False)
                    tx.connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version < SCHEMA_VERSION:
            self._upgrade()

    def _upgrade(self) -> None:
        """Bring the tables of an older slurmband to ours, after a copy was kept."""
        with self._locked() as (connection, still_mine):
            version = _schema_version(connection)
            if version >= SCHEMA_VERSION:
                return  # somebody was quicker
            kept = self.layout.backups / f"{self.layout.database.name}.schema-{version}"
            copy_to(connection, kept)
            self._begin(connection)
            upgrade(connection, version)
            _commit(connection, still_mine)
        log.warning(
            "upgraded %s from schema version %d to %d; the database as it was is in %s",
            *(self.layout.database, version, SCHEMA_VERSION, kept),
        )


def inserted_key(result: CursorResult[Any]) -> int:
    """Return the row number that an INSERT made."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def _schema_version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _commit(connection: Connection, still_mine: StillMine) -> None:
    if not still_mine():
        raise CommitUnknown("the lock was taken away before the commit")
    try:
        _driver_of(connection).execute("COMMIT")
    except sqlite3.Error as error:
        raise CommitUnknown(f"COMMIT said: {error}") from error


def _driver_of(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _roll_back(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if driver is not None and driver.in_transaction:
        driver.rollback()
