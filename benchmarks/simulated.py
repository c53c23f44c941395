"""Nodes simulated on this machine: what slurmband shares among the processes of a node is one's own."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.places import Here

#: Where the processes of a node share memory, and slurmband its lock of the node.
OWN: Final = Path("/dev/shm")
#: Makes the node, says so, and lasts until its standard input is closed.
_NODE: Final = (
    f'mount -t tmpfs none {OWN} && echo "$0" >/proc/sys/kernel/hostname && echo made && exec cat'
)
#: Whoever enters a node stands in its root at first.
_IN_FOLDER: Final = 'cd "$0" && exec "$@"'


class NoNodes(Exception):
    """Nodes cannot be simulated here."""


class Simulated(Here):
    """Nodes of this machine, by turns; files are seen by all of them.

    Parameters
    ----------
    folder : Path
    nodes : sequence of int
        Of each node, the process id of one that is in it.
    """

    def __init__(self, folder: Path, nodes: Sequence[int]) -> None:
        super().__init__(folder)
        self._nodes = nodes

    def start(
        self,
        number: int,
        command: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        log: Path,
    ) -> "subprocess.Popen[str]":
        """Start a process in the node whose turn it is."""
        node = self._nodes[number % len(self._nodes)]
        enter = ["nsenter", f"--target={node}", "--mount", "--uts", "--"]
        inside = ["sh", "-c", _IN_FOLDER, str(folder)]
        return super().start(number, [*enter, *inside, *command], folder, environ, log)


@contextmanager
def nodes(folder: Path, count: int) -> Iterator[Simulated]:
    """Give so many nodes for as long as they are needed.

    Each has a name and a ``/dev/shm`` of its own, and the rest of this machine.

    Parameters
    ----------
    folder : Path
        In which bands may lie.
    count : int

    Raises
    ------
    NoNodes
        If this user may not make any, or the folder would not be seen in them.
    """
    if folder.is_relative_to(OWN):
        raise NoNodes(f"{folder} lies in {OWN}, of which each node has its own")
    if missing := [name for name in ("unshare", "nsenter") if shutil.which(name) is None]:
        raise NoNodes(f"there is no {missing[0]}")
    with ExitStack() as made:
        yield Simulated(folder, [made.enter_context(_node(f"node{n}")) for n in range(count)])


@contextmanager
def _node(name: str) -> Iterator[int]:
    command = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", _NODE, name]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            if (said := process.stdout.readline().strip()) != "made":
                raise NoNodes(said or "a node ended at once")
            yield process.pid
        finally:
            process.kill()
