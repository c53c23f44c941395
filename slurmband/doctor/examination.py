"""All that is looked at and tried in a directory, one finding after the other."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from slurmband.clock import SystemClock
from slurmband.doctor import advice, clocks, database, remains, trials
from slurmband.doctor.findings import Finding, Level, verdict, worst
from slurmband.doctor.pair import Pair, two_nodes, two_processes
from slurmband.doctor.place import Place, look
from slurmband.errors import DatabaseRefused, NoAnswer
from slurmband.store.file import kept_mode
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode, choose

#: Told what is being done, for what takes longer.
Say = Callable[[str], object]


@dataclass
class Examination:
    """One directory, and what was found in it so far.

    Parameters
    ----------
    layout : Layout
        Of the database that is there, or would be.
    forced : str or None
        The mode that the user asked for.
    """

    layout: Layout
    forced: str | None = None
    mode: Mode | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """The directory."""
        return self.layout.database.parent

    @property
    def safe(self) -> bool:
        """Whether nothing was found that makes a band unsafe."""
        return worst(self.findings) is not Level.ERROR

    @property
    def verdict(self) -> str:
        """What follows, in one line."""
        return verdict(self.findings, self.mode)

    def run(self, *, nodes: bool, say: Say) -> Iterator[Finding]:
        """Look at everything; each finding comes as soon as it is known.

        Parameters
        ----------
        nodes : bool
            Try between two nodes, too.
        say : callable
            Told what is being done.
        """
        for finding in self._run(nodes=nodes, say=say):
            self.findings.append(finding)
            yield finding

    def _run(self, *, nodes: bool, say: Say) -> Iterator[Finding]:
        place = look(self.directory)
        self.mode, found = _mode(self.layout.database, self.forced, place)
        yield found
        yield from advice.of(place, self.mode)
        if place.writable:
            say("starting two processes")
            yield from self._try(place, two_processes, say)
            if nodes:
                say("waiting for srun to start on two nodes")
                yield from self._try(place, two_nodes, say)
        else:
            where = f"{self.directory} cannot be written to"
            yield Finding("permission", Level.ERROR, where, "choose another directory")
        yield from remains.of(self.layout, self.mode)
        if self.mode is not None:
            yield from database.examine(self.layout.database, say)

    def _try(
        self,
        here: Place,
        start: Callable[[Path], AbstractContextManager[Pair]],
        say: Say,
    ) -> Iterator[Finding]:
        """Make all trials with one pair."""
        try:
            with _folder(self.directory) as folder, start(folder) as pair:
                if start is two_processes:
                    yield clocks.compare(folder, here.file_system, now=SystemClock().now)
                yield from self._elsewhere(pair, here)
                if not all(pair.ask(side, "see") for side in (0, 1)):
                    yield _not_shared(pair, self.directory)
                    return
                if pair.apart and self.mode is Mode.LOCAL:
                    yield _not_local(pair, here)
                for name, trial in trials.TRIALS:
                    say(f"trying {name} between {pair.between}")
                    yield trials.run(pair, name, trial, self.mode)
        except NoAnswer as silence:
            yield _silent(silence, across=start is two_nodes)

    def _elsewhere(self, pair: Pair, here: Place) -> Iterator[Finding]:
        """Say what another machine's view of the place is, where that is to be minded."""
        for place in pair.places:
            if place.boot != here.boot:
                for finding in advice.of(place, self.mode):
                    if finding.level is not Level.OK:
                        yield replace(finding, found=f"on {place.host}: {finding.found}")


def _mode(path: Path, forced: str | None, place: Place) -> tuple[Mode | None, Finding]:
    """Say which mode a database has here, and why."""
    where = f"{place.file_system} ({place.point})"
    try:
        kept = kept_mode(path)
        mode = choose(path, forced=forced, kept=kept, mount=place.mount)
    except DatabaseRefused as refused:
        return None, Finding("file system", Level.ERROR, where, str(refused))
    if kept is not None:
        why = "as the database was made"
    elif forced is not None:
        why = "as you asked"
    elif place.exported:
        why = "since this machine gives it to others by NFS"
    elif place.mount.local:
        why = "since only this machine sees it"
    else:
        why = "since other machines see it, or may"
    return mode, Finding("file system", Level.OK, f"{where}: mode {mode}, {why}")


def _not_shared(pair: Pair, directory: Path) -> Finding:
    return Finding(
        "two nodes",
        Level.ERROR,
        f"{directory} is not one directory for {pair.places[0].host} and {pair.places[1].host}",
        "choose a directory on a file system that all nodes see",
    )


def _not_local(pair: Pair, here: Place) -> Finding:
    return Finding(
        "two nodes",
        Level.ERROR,
        f"{here.file_system} looks like this machine's own, and yet {pair.between} both see the "
        "directory: mode local would destroy the database",
        "start the database with --mode shared (SLURMBAND_MODE=shared)",
    )


def _silent(silence: NoAnswer, *, across: bool) -> Finding:
    if across:
        return Finding(
            "two nodes",
            Level.WARNING,
            f"could not be tried: {silence}",
            "run this inside a job with two nodes: `salloc -N2`, then `slurmband doctor`",
        )
    return Finding(
        "two processes",
        Level.ERROR,
        f"one of them stands still: {silence}",
        "the file system may hang: try `ls` there, and tell the administrators",
    )


@contextmanager
def _folder(directory: Path) -> Iterator[Path]:
    """Make a folder for the trials, and remove it however they end."""
    folder = Path(tempfile.mkdtemp(prefix=".slurmband-doctor-", dir=directory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
