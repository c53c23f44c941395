"""The database as a file: its name, what its header says, how it is made, and a copy of it."""

import os
import secrets
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from slurmband.errors import DatabaseRefused, UsageError
from slurmband.store.layout import Layout
from slurmband.store.modes import APPLICATION_IDS, Mode

#: Bytes. Large pages cost a local disk a little, and spare a file server a third of its messages.
PAGE_SIZE: Final = {Mode.LOCAL: 4096, Mode.SHARED: 16384}
#: As many links as the kernel follows, symlink(7).
_LINKS: Final = 40
#: Seconds between looks at a header that cannot be read: somebody may be writing to the file.
_LOOK_AGAIN: Final = (0.05, 0.1, 0.2, 0.4)


def path_of(database: str | Path) -> Path:
    """Return the file that a path or a SQLAlchemy URL names, as an absolute path.

    A user's own link to it is followed; the link that slurmband makes beside its folder is that file.
    """
    text = str(database)
    if "://" not in text:
        return _followed(Path(text).expanduser().absolute())
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise UsageError(f"{text!r} is no database URL: write sqlite:///FILE.") from error
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise UsageError(
            f"{text!r}: slurmband keeps its state in a SQLite file. Write sqlite:///FILE, or just FILE."
        )
    return _followed(Path(url.database).expanduser().absolute())


def _followed(path: Path) -> Path:
    named = path
    for _ in range(_LINKS):
        if not path.is_symlink() or Layout(path).linked_generation() is not None:
            return path
        target = path.parent / path.readlink()
        path = target.parent.resolve() / target.name
    raise DatabaseRefused(
        f"{named} is a link that leads round in a circle. Remove it, or name the database itself."
    )


def is_there(path: Path) -> bool:
    """Whether there is such a file, past this node's cache.

    NFS may go on saying for half a minute that there is none, where somebody has looked for it in vain.
    """
    if path.exists():
        return True
    with suppress(OSError):  # where it may not write, nobody can tell better
        freshen(path.parent)
    return path.exists()


def freshen(folder: Path) -> None:
    """Have the next look at a name in a folder go to the file server: by a change of the folder."""
    probe = folder / f".look.{secrets.token_hex(6)}"
    probe.touch()
    probe.unlink(missing_ok=True)


def kept_mode(path: Path) -> Mode | None:
    """Read which mode a file was made for, without locking it; None where it is yet to be made."""
    with suppress(FileNotFoundError):
        if Layout(path).linked_generation() is not None:
            return Mode.SHARED
    if not is_there(path):
        return None
    found = _application_id(path)
    for mode, application_id in APPLICATION_IDS.items():
        if found == application_id:
            return mode
    raise DatabaseRefused(
        f"{path} is a SQLite database, but not one of slurmband's. "
        "Name another file by --db or SLURMBAND_DB."
    )


def _application_id(path: Path) -> int:
    for wait in _LOOK_AGAIN:
        with suppress(sqlite3.DatabaseError):
            return _read_application_id(path)
        time.sleep(wait)
    try:
        return _read_application_id(path)
    except sqlite3.OperationalError:  # it may be one, and cannot be read now
        raise
    except sqlite3.DatabaseError as error:
        raise DatabaseRefused(
            f"{path} is no SQLite database ({error}). Name another file by --db or SLURMBAND_DB."
        ) from error


def _read_application_id(path: Path) -> int:
    # SQLite reads it itself: to open and close the file here would drop this process's locks.
    with closing(sqlite3.connect(f"{uri(path)}?mode=ro&immutable=1", uri=True)) as connection:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])


def uri(path: Path) -> str:
    """Write a path as SQLite's URI, in which ?, # and % mean something."""
    return f"file:{quote(str(path))}"


def make_file(path: Path, mode: Mode) -> None:
    """Make the file with its header: what must be there before WAL is switched on, and any table.

    It appears whole or not at all, and the first of several makers wins.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    connection = sqlite3.connect(unfinished)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE[mode]}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_IDS[mode]}")
    finally:
        connection.close()
    with suppress(FileExistsError):
        os.link(unfinished, path)
    unfinished.unlink()


def copy_to(connection: Connection, target: Path) -> None:
    """Copy the whole database; the copy appears whole or not at all."""
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        with closing(sqlite3.connect(unfinished)) as copied:
            driver: Any = connection.connection.dbapi_connection
            driver.backup(copied)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
