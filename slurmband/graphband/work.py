"""What a worker is given to do: a workflow file, or a list of commands."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from slurmband.domain.graph import Graph
from slurmband.domain.task import Task
from slurmband.errors import UsageError
from slurmband.graphband import commands as lists
from slurmband.graphband import program
from slurmband.graphband.band import Graphband


class Work(Protocol):
    """Tasks, and how to run them."""

    def graph(self) -> Graph:
        """Build and check the graph."""

    def source(self) -> Iterable[Task[Any]]:
        """Return the tasks as they come."""

    def running(
        self, band: Graphband[Any]
    ) -> AbstractContextManager[Callable[[Task[Any]], object]]:
        """Return the function that runs a task for a band, for as long as the block lasts."""


def find(
    file: str | None, arguments: Sequence[str], *, commands: str | None, growing: bool
) -> Work:
    """Load what is to be worked on.

    Parameters
    ----------
    file : str or None
        A workflow file.
    arguments : sequence of str
        Its own.
    commands : str or None
        Instead of it: a list of commands; ``-`` is standard input.
    growing : bool
        Whether the graph is to be read as the work goes on.

    Raises
    ------
    UsageError
        If there is none, or more than one thing to run.
    ProgramError
        If it cannot be loaded.
    """
    if (file is None) == (commands is None):
        raise UsageError(
            "nothing to run: name a workflow file, --commands FILE, or a command after --."
            if file is None
            else f"both --commands and {file}: a band has one of them. Leave one out."
        )
    if commands is None:
        assert file is not None
        return program.load(file, arguments)
    if growing:
        raise UsageError(
            "--growing (SLURMBAND_GROWING) has no meaning with --commands, which are read whole. Leave "
            "it out; to add commands later, add lines and submit again."
        )
    return lists.load(commands)
