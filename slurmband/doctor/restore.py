"""Bringing back a backup: which there are, whether nobody is at work, and what is put out of the way."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from slurmband.domain.processes import Fate
from slurmband.domain.workers import Worker
from slurmband.errors import BackupRefused, DatabaseRefused, UsageError, WorkersAtWork
from slurmband.liveness import journal
from slurmband.liveness.beats import Beats, ages
from slurmband.liveness.notice import Notice, sequence_in
from slurmband.mounts import Mount, find_mount
from slurmband.processes import fate_of
from slurmband.store import restoring
from slurmband.store.file import kept_mode
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode, choose
from slurmband.store.restoring import Present

#: Seconds to wait for a lock: longer than for one of which nothing is heard.
LOCK_TIMEOUT: Final = 90.0
#: Seconds of silence after which a worker of whom nothing else is known is taken for dead.
SILENCE: Final = 180.0


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database.

    Parameters
    ----------
    file : Path
    taken : float
        UTC seconds since the epoch.
    completed, total : int or None
        Tasks; None: it cannot be read.
    """

    file: Path
    taken: float
    completed: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done: which backup is in place, and where the database is that was there before."""

    backup: Backup
    aside: Path | None


def available(layout: Layout) -> list[Backup]:
    """Return the backups there are, newest first."""
    files = layout.backups.iterdir() if layout.backups.is_dir() else iter(())
    found = [_look(file) for file in files if _is_database(file)]
    return sorted(found, key=lambda backup: backup.taken, reverse=True)


def _is_database(file: Path) -> bool:
    beside = ("-wal", "-shm", "-journal")
    return file.is_file() and not file.name.startswith(".") and not file.name.endswith(beside)


def _look(file: Path) -> Backup:
    taken = file.stat().st_mtime
    try:
        completed, total = restoring.progress(file)
    except BackupRefused:
        return Backup(file, taken, None, None)
    return Backup(file, taken, completed, total)


def find(layout: Layout, name: str) -> Path:
    """Return the backup that a person named: a file, or the name of one in the folder of backups.

    Raises
    ------
    UsageError
        If there is none.
    """
    for file in (layout.backups / name, Path(name).expanduser().absolute()):
        if file.is_file():
            return file
    raise UsageError(
        f"there is no backup {name!r}: `slurmband doctor --restore` lists those there are."
    )


def restore(layout: Layout, file: Path, *, force: bool, now: float) -> Restored:
    """Let a backup take the place of the database.

    Parameters
    ----------
    layout : Layout
    file : Path
        The backup.
    force : bool
        Also where workers may be at work.
    now : float
        UTC seconds since the epoch.

    Raises
    ------
    BackupRefused
        If the backup is not whole.
    DatabaseRefused
        If it cannot be used in this place.
    WorkersAtWork
        If a worker may be alive, and `force` is false.
    """
    mount = find_mount(layout.database)
    mode = choose(layout.database, forced=None, kept=kept_mode(file), mount=mount)
    if _kept(layout) not in (None, mode):
        raise BackupRefused(str(file), f"it is of mode {mode}, and the database is of the other")
    there = restoring.present(layout, lock_timeout=LOCK_TIMEOUT)
    at_work = may_be_alive(layout, there, mount)
    if at_work and not force:
        raise WorkersAtWork(at_work)
    moment = datetime.fromtimestamp(now, UTC)
    aside = layout.backups / f"replaced-{moment:%Y-%m-%dT%H%M%SZ}.sqlite"
    used = _largest(traces(layout), there.used if there else {})
    with restoring.prepared(file, layout, used, now=now) as (copy, alive):
        restoring.put_in_place(copy, layout, mode, aside=aside, lock_timeout=LOCK_TIMEOUT)
    _end_beats(layout, set(alive))
    layout.snapshot.unlink(missing_ok=True)
    Notice(layout.notice).ring(used.get("events", 0) + restoring.GAP + 1)
    return Restored(_look(file), aside if aside.exists() else None)


def _kept(layout: Layout) -> Mode | None:
    with contextlib.suppress(DatabaseRefused):  # damaged: it says nothing any more
        return kept_mode(layout.database)
    return None


def may_be_alive(layout: Layout, there: Present | None, mount: Mount) -> list[str]:
    """Return the names of workers that are alive, or of which it cannot be told that they are not."""
    if there is None:
        return [f"worker {key}" for key in _beating(layout, mount)]
    known = [(worker, timeout) for worker, timeout in there.workers]
    unproven = [pair for pair in known if fate_of(pair[0].process) is not Fate.GONE]
    silence = _ages(layout, [worker.key for worker, _ in unproven], mount)
    return [worker.name for worker, timeout in unproven if not _is_silent(worker, timeout, silence)]


def _is_silent(worker: Worker, timeout: float, silence: dict[int, float]) -> bool:
    """Whether a worker has not beaten for so long that others would judge it lost."""
    if fate_of(worker.process) in (Fate.ALIVE, Fate.STOPPED):
        return False
    return silence.get(worker.key, 0.0) > 2 * timeout


def _beating(layout: Layout, mount: Mount) -> list[int]:
    """Return the workers whose beats are fresh, or of unknown age: there is no database to ask."""
    keys = sorted(_numbers(layout.beats))
    silence = _ages(layout, keys, mount)
    return [key for key in keys if silence.get(key, 0.0) < SILENCE]


def _ages(layout: Layout, keys: list[int], mount: Mount) -> dict[int, float]:
    if not keys:
        return {}
    return ages(Beats(layout.beats), keys, file_system=mount.file_system, local=mount.local)


def traces(layout: Layout) -> dict[str, int]:
    """Return the largest numbers of workers, attempts and events that files tell of."""
    workers = {*_numbers(layout.beats), *_numbers(layout.journals)}
    attempts = set(_numbers(layout.attempts))
    for worker in _numbers(layout.journals):
        attempts.update(journal.read(layout.journals, worker))
    events = [0]
    with contextlib.suppress(OSError, ValueError):
        events.append(sequence_in(layout.notice.read_text()))
    return {
        "workers": max(workers, default=0),
        "attempts": max(attempts, default=0),
        "events": max(events),
    }


def _largest(*found: dict[str, int]) -> dict[str, int]:
    tables = {table for numbers in found for table in numbers}
    return {table: max(numbers.get(table, 0) for numbers in found) for table in tables}


def _numbers(folder: Path) -> Iterator[int]:
    """Return the numbers that files and folders are named after."""
    if folder.is_dir():
        names = (file.stem for file in folder.iterdir())
        yield from (int(name) for name in names if name.isdecimal())


def _end_beats(layout: Layout, alive: set[int]) -> None:
    """End the beats of workers that the database does not know: if one still lives, it joins anew."""
    for key in set(_numbers(layout.beats)) - alive:
        Beats(layout.beats).end(key)
