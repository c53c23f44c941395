"""The generations of a shared database: which file is the present one, and how the next is made.

The name that people know is a symbolic link to the present generation. The processes at work do not go
by it, but by the lock that they hold (`slurmband.locks.generations`), which says which generation it is
of: so a process that slept through the end of a generation goes on writing to a file that nobody reads.
"""

import hashlib
import logging
import os
import secrets
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from slurmband.errors import DatabaseFault, DatabaseMissing, DatabaseRefused
from slurmband.store.file import freshen, make_file
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode

log = logging.getLogger(__name__)

#: Bytes read at a time, and how often a copy is tried of what somebody may be writing to.
_CHUNK: Final = 1 << 20
_TRIES: Final = 100


def present(layout: Layout) -> int:
    """Return the generation that the link names; a newer one may have been announced since.

    Raises
    ------
    DatabaseMissing
        If there is no link.
    DatabaseRefused
        If what is there is not our link.
    """
    try:
        number = layout.linked_generation()
    except FileNotFoundError as error:
        raise DatabaseMissing(str(layout.database)) from error
    if number is None:
        raise DatabaseRefused(
            f"{layout.database} is not the link to the database that slurmband made. Was it copied or "
            "replaced while workers were at work? To bring back a copy: `slurmband doctor --restore`."
        )
    return number


def is_band(layout: Layout) -> bool:
    """Whether our link is there, and a generation that was made; not always the one that it names."""
    try:
        if layout.linked_generation() is None:
            return False
        freshen(layout.generations)
        return any(_made(layout, number).exists() for number in numbers(layout))
    except FileNotFoundError:
        return False


def make_first(layout: Layout) -> None:
    """Make an empty database and the link to it.

    The caller sees to it that only one process does so at a time, and that there is none.
    """
    number = _unused(layout)
    make_file(layout.generation(number), Mode.SHARED)
    if is_band(layout):
        return  # we slept, and somebody else has made one
    if layout.database.is_symlink():
        layout.database.unlink()  # it leads nowhere
    _made(layout, number).touch()
    with suppress(FileExistsError):
        os.symlink(layout.link_to(number), layout.database)


def adopt(layout: Layout) -> None:
    """Turn a plain file, as a copied study has it, into a generation and the link to it.

    The caller sees to it that only one process does so at a time.
    """
    number = _unused(layout)
    _copy(layout.database, layout.generation(number))
    if layout.linked_generation() is not None:
        return  # we slept, and somebody else has done it
    _made(layout, number).touch()
    _point_to(layout, number)
    for end in ("-wal", "-shm"):
        layout.database.with_name(f"{layout.database.name}{end}").unlink(missing_ok=True)
    log.warning(
        "%s is generation %d of the database now, and a link to it", layout.database, number
    )


def settle(layout: Layout, number: int) -> Path:
    """Return the file of a generation, made from the one before where it is yet to be made.

    To be called under the lock of that generation.
    """
    named = present(layout)
    if named > number:
        raise DatabaseRefused(
            f"{layout.database} is another database than when this process began. Start it again."
        )
    if named < number:  # it is new, or a sleeper has put the link back
        if is_made(layout, number):
            _point_to(layout, number)
        else:
            before = newest_made(layout, number)
            install(layout, number, layout.generation(before))
            log.warning("generation %d of the database goes on from generation %d", number, before)
    return layout.generation(number)


def is_made(layout: Layout, number: int) -> bool:
    """Whether processes work, or worked, with a generation; a file alone may be a leftover."""
    freshen(layout.generations)
    return number == present(layout) or _made(layout, number).exists()


def newest_made(layout: Layout, number: int) -> int:
    """Return the newest generation before `number` that processes worked with.

    Raises
    ------
    DatabaseFault
        If there is none.
    """
    before = (n for n in range(number - 1, 0, -1) if is_made(layout, n))
    found = next((n for n in before if layout.generation(n).exists()), None)
    if found is None:
        raise DatabaseFault(str(layout.database), f"no generation before {number} is there")
    return found


def install(layout: Layout, number: int, source: Path) -> None:
    """Make a generation from a copy of another one, or of a backup, and let the link lead there.

    To be called under the lock of that generation, before it is made.
    """
    for leftover in (layout.generation(number), _wal(layout.generation(number))):
        leftover.unlink(missing_ok=True)  # of who died while making it
    _copy(source, layout.generation(number))
    _made(layout, number).touch()
    _point_to(layout, number)


def remove_old(layout: Layout, number: int) -> list[Path]:
    """Remove the files of all generations before `number`; return them."""
    old = [layout.generation(n) for n in numbers(layout) if n < number]
    for file in old:
        for each in (file, _wal(file), _made(layout, int(file.stem))):
            each.unlink(missing_ok=True)
    return old


def _made(layout: Layout, number: int) -> Path:
    """Return the file that says that a generation was made whole, before anybody worked with it."""
    return layout.generations / f"{number}.made"


def _unused(layout: Layout) -> int:
    """Return a number that no generation has, nor one of a band that was here before."""
    with suppress(FileExistsError):
        layout.generations.mkdir()
    announced = (file.suffix[1:] for file in layout.locks.glob(f"{layout.database_locks.name}.*"))
    return 1 + max([*numbers(layout), *(int(n) for n in announced if n.isdecimal())], default=0)


def numbers(layout: Layout) -> list[int]:
    """Return the generations of which there is a file, whether they were made whole or not."""
    found = (Path(entry.name) for entry in os.scandir(layout.generations))
    return [int(name.stem) for name in found if name.suffix == ".sqlite" and name.stem.isdecimal()]


def _point_to(layout: Layout, number: int) -> None:
    link = layout.generations / f".link.{secrets.token_hex(6)}"
    os.symlink(layout.link_to(number), link)
    os.rename(link, layout.database)


def _copy(source: Path, target: Path) -> None:
    """Copy a database that a sleeper may wake up and write to; the copy appears whole or not at all."""
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        for _ in range(_TRIES):
            if _copied_alike(source, unfinished) and _recovered(unfinished):
                break
            time.sleep(0.05)
        else:
            raise DatabaseFault(str(source), "no whole copy of it could be read")
        with suppress(FileExistsError):
            os.link(unfinished, target)
    finally:
        for each in (unfinished, _wal(unfinished)):
            each.unlink(missing_ok=True)


def _copied_alike(source: Path, target: Path) -> bool:
    """Copy database and WAL; False if the source changed meanwhile.

    Whoever wrote them synced the WAL before it touched the database. So if the database, the WAL, and
    both again read the same, they belong together.
    """
    _wal(target).unlink(missing_ok=True)
    try:
        copied = _read(source, target)
        wal = _read(_wal(source), _wal(target)) if _wal(source).exists() else None
        again = _read(source)
        return copied == again and wal == (_read(_wal(source)) if _wal(source).exists() else None)
    except FileNotFoundError:  # the WAL went while we looked
        return False


def _read(source: Path, target: Path | None = None) -> str:
    """Return a digest of a file, and write it to `target`."""
    digest = hashlib.sha256()
    with open(source, "rb") as there, open(target or os.devnull, "wb") as here:
        while chunk := there.read(_CHUNK):
            digest.update(chunk)
            here.write(chunk)
        here.flush()
        if target is not None:
            os.fsync(here.fileno())
    return digest.hexdigest()


def _recovered(file: Path) -> bool:
    """Let SQLite move what the WAL has into the database; whether that is whole."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        (busy, *_pages) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
    return bool(verdict == "ok" and not busy)


def _wal(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
