"""A file of commands as work for a band: read, kept for the workers, and run."""

import hashlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slurmband.clock import SystemClock
from slurmband.domain.attempts import Ending, Outcome
from slurmband.domain.command import Command, reason_of, signal_of
from slurmband.domain.command_list import read
from slurmband.domain.graph import Graph
from slurmband.domain.task import Task
from slurmband.errors import ProgramError
from slurmband.graphband.band import Graphband
from slurmband.graphband.endings import INTERRUPTED, Ended
from slurmband.graphband.shell import Exit, Shell
from slurmband.graphband.signals import ASKED
from slurmband.store.layout import Layout

log = logging.getLogger(__name__)

#: Share of the time that a worker has to leave in which its command may end by itself.
GRACE: Final = 0.5
#: Seconds in which the worker, too, hears of what ended its command: SLURM signals the processes of a
#: job one after the other. The first is for a command that was ended by such a signal.
_TOO, _ELSE = 2.0, 0.1
#: After an exit status of 0, such as of `program & wait` where only the program was ended so far, it
#: waits no longer than this share of the time that the command took.
_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class CommandList:
    """A list of commands.

    Parameters
    ----------
    name : str
        What to call it in messages: its file.
    data : bytes
        Its text.
    """

    name: str
    data: bytes

    def graph(self) -> Graph:
        """Read and check it.

        Raises
        ------
        GraphError
            If it cannot be run, with the line.
        """
        return read(self.data.decode("utf-8-sig", "surrogateescape"), self.name)

    def source(self) -> Iterator[Task[Command]]:
        """Yield the tasks, each of which is a command."""
        return iter(self.graph())

    @contextmanager
    def running(self, band: Graphband[Any]) -> Iterator[Callable[[Task[Command]], None]]:
        """Return the function that runs a command for a band, for as long as the block lasts."""
        shell = Shell(grace=GRACE * band.options.release_after, monotonic=SystemClock().monotonic)
        band.on_signal(shell.hear)
        try:
            yield lambda task: _run(band, shell, task)
        finally:
            band.on_signal(lambda _number: None)
            shell.close()

    def kept_in(self, layout: Layout) -> Path:
        """Return where a band keeps it; its name says what is in it, so that it never changes."""
        return layout.commands / f"{hashlib.sha256(self.data).hexdigest()[:16]}.txt"

    def keep(self, layout: Layout) -> None:
        """Keep it with the band, for workers to read."""
        file = self.kept_in(layout)
        if file.is_file():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        unfinished.write_bytes(self.data)
        unfinished.replace(file)


def load(file: str) -> CommandList:
    """Read a file of commands; ``-`` is standard input.

    Raises
    ------
    ProgramError
        If there is no such file, or it cannot be read.
    """
    if file == "-":
        return CommandList("standard input", sys.stdin.buffer.read())
    try:
        return CommandList(file, Path(file).read_bytes())
    except OSError as error:
        raise ProgramError(
            f"the list of commands {file} cannot be read: {error.strerror}. Name a file with one "
            "command a line."
        ) from error


def _run(band: Graphband[Any], shell: Shell, task: Task[Command]) -> None:
    """Run one command; what it ends with other than completed is raised."""
    command, attempt = task.data, task.attempt or 1
    assert command is not None
    text = command.filled(task.id, attempt)
    log.info("task=%s attempt=%d runs: %s", task.id, attempt, text)
    found = shell.run(
        text,
        cwd=Path.cwd() / (command.cwd or ""),
        env={
            **command.env,
            "SLURMBAND_TASK_ID": task.id,
            "SLURMBAND_ATTEMPT": str(attempt),
            "SLURMBAND_WORKER": band.identifier,
        },
    )
    if found.left:
        log.warning("task=%s left processes behind, which were killed; let it `wait`", task.id)
    if was_told_to_leave(found, shell):
        raise Ended(task.id, INTERRUPTED)
    if found.status != 0:
        said = found.refused or reason_of(found.status or 0)
        raise Ended(task.id, Ending(Outcome.FAILED, said, f"{said}: {text}"))


def was_told_to_leave(found: Exit, shell: Shell) -> bool:
    """Whether the command ended since this worker is to leave: then nobody is to blame.

    After SIGTERM an exit status of 0 counts for nothing: programs that save what they have, to go on
    later, end with it.
    """
    by_signal = found.status is not None and signal_of(found.status) in ASKED
    seconds = _TOO if by_signal else _ELSE
    if found.status == 0:
        seconds = min(seconds, _SHARE * found.took)
    heard = shell.heard(seconds) & {*ASKED}
    return signal.SIGTERM in heard or (bool(heard) and by_signal)
