"""Where everything of a band lies: the database, and one folder beside it."""

import errno
import hashlib
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one band; what to copy, and what to delete.

    Parameters
    ----------
    database : Path
        ``slurmband.sqlite``: in local mode the SQLite file, in shared mode a link to its generation.
    """

    database: Path

    @property
    def folder(self) -> Path:
        """The folder beside the database: ``slurmband.sqlite.d``."""
        return self.database.with_name(self.database.name + ".d")

    @property
    def locks(self) -> Path:
        """The folder of the locks."""
        return self.folder / "locks"

    @property
    def database_locks(self) -> Path:
        """What the names of the database's own locks begin with: ``db.1.lock``."""
        return self.locks / "db"

    @property
    def making_locks(self) -> Path:
        """What the names of the locks begin with under which the database is made."""
        return self.locks / "make"

    @property
    def generations(self) -> Path:
        """The folder of the database's files in shared mode."""
        return self.folder / "generations"

    def generation(self, number: int) -> Path:
        """The database file of one generation."""
        return self.generations / f"{number}.sqlite"

    @property
    def global_lock(self) -> Path:
        """The user's lock for what all tasks share."""
        return self.locks / "global.lock"

    def task_lock(self, task: str) -> Path:
        """The user's lock for one task: any id makes a safe name, and two ids never the same one."""
        shown = re.sub(r"[^A-Za-z0-9._-]+", "_", task)[:20]
        # Ids may hold lone surrogates, as names of files do.
        digest = hashlib.sha256(task.encode(errors="surrogatepass")).hexdigest()[:32]
        return self.locks / f"task-{shown}-{digest}.lock"

    @property
    def beats(self) -> Path:
        """One small file per incarnation, rewritten by its guardian."""
        return self.folder / "beats"

    @property
    def journals(self) -> Path:
        """One file per incarnation: what it began and ended."""
        return self.folder / "journals"

    @property
    def notice(self) -> Path:
        """The file that changes when work arrives."""
        return self.folder / "notice"

    @property
    def duty(self) -> Path:
        """The file that shows that somebody looks after dead workers."""
        return self.folder / "duty"

    @property
    def stop(self) -> Path:
        """The file that changes when a person asks workers to leave."""
        return self.folder / "stop"

    @property
    def snapshot(self) -> Path:
        """The file that says how far the band is, for who reads without a lock."""
        return self.folder / "snapshot.json"

    @property
    def logs(self) -> Path:
        """What the elements print."""
        return self.folder / "logs"

    @property
    def submissions(self) -> Path:
        """Scripts as they were queued."""
        return self.folder / "submissions"

    @property
    def commands(self) -> Path:
        """Lists of commands as they were submitted."""
        return self.folder / "commands"

    @property
    def backups(self) -> Path:
        """Copies of the database: of every so often, and as it was before each upgrade."""
        return self.folder / "backups"

    @property
    def attempts(self) -> Path:
        """Directories that belong to one attempt each, made when asked for."""
        return self.folder / "attempts"

    def linked_generation(self) -> int | None:
        """Read which generation the link names; None where there is something else than our link.

        Raises
        ------
        OSError
            If there is nothing (FileNotFoundError), or nobody can tell.
        """
        try:
            target = os.readlink(self.database)
        except OSError as error:
            if error.errno != errno.EINVAL:  # what is said of a file
                raise
            return None
        number = Path(target).stem
        return int(number) if number.isdecimal() and target == self.link_to(int(number)) else None

    def link_to(self, generation: int) -> str:
        """Return what the link to a generation holds."""
        return os.path.relpath(self.generation(generation), self.database.parent)

    def set_aside(self) -> None:
        """Move away what speaks of workers and attempts that the database does not have (any more).

        Their numbers will be given out again, and an old journal would tell of attempts yet to be made.
        """
        speaking = [self.beats, self.journals, self.snapshot]
        if not any(_has_something(path) for path in speaking):
            return
        aside = Path(tempfile.mkdtemp(prefix="set-aside-", dir=self.folder))
        for path in filter(Path.exists, speaking):
            path.rename(aside / path.name)
        self.make()

    def make(self) -> None:
        """Make the folders that every process expects to find."""
        self.database.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.locks, self.beats, self.journals, self.logs):
            _make_folder(folder)
        _make_folder(self.submissions)
        for file in (self.notice, self.duty, self.stop):
            file.touch()


def _make_folder(path: Path) -> None:
    # Not `exist_ok`: it looks again, and NFS may say for a while that there is no such folder.
    with suppress(FileExistsError):
        path.mkdir()


def _has_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()
