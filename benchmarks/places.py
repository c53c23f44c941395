"""Where worker processes run: on this machine, or spread over the nodes of a cluster."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from benchmarks import marks

if TYPE_CHECKING:
    from tests.cluster.lab import Cluster

#: Seconds after which what was started is given up.
PATIENCE: Final = 3600.0
ROOT: Final = Path(__file__).resolve().parents[1]


def clean_environment() -> dict[str, str]:
    """Return this process's environment, without what SLURM or slurmband would read."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM", "SBATCH", "LAUFBAND", "JUG", "PYTHON"))
    }
    return kept | {"PYTHONPATH": str(ROOT)}


class Place(Protocol):
    """What runs commands and writes files where the workers are."""

    #: Folder in which bands may lie.
    folder: Path
    #: Seconds from the word to go until all have heard it.
    notice: float

    def make(self, folder: Path) -> None:
        """Make a folder, and those above it."""

    def write(self, file: Path, text: str) -> None:
        """Write a file so that all workers see it."""

    def start(
        self,
        number: int,
        command: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        log: Path,
    ) -> "subprocess.Popen[str]":
        """Start worker process `number` in the background, its output in a log."""

    def run(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
        """Run a command to its end, and return what it printed."""


class Here:
    """The machine itself.

    Parameters
    ----------
    folder : Path
    """

    notice: float = 0.3

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, folder: Path) -> None:
        """Make a folder, and those above it."""
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, file: Path, text: str) -> None:
        """Write a file."""
        file.write_text(text)

    def start(
        self,
        number: int,  # noqa: ARG002  # there is one node only
        command: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        log: Path,
    ) -> "subprocess.Popen[str]":
        """Start a process in the background, its output in a log."""
        with log.open("a") as output:
            return subprocess.Popen(
                command,
                cwd=folder,
                env={**clean_environment(), **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def run(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
        """Run a command to its end, and return what it printed.

        Raises
        ------
        RuntimeError
            If it failed.
        """
        done = subprocess.run(
            command,
            cwd=folder,
            env={**clean_environment(), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return str(done.stdout)


class Nodes:
    """The nodes of a cluster, each a kernel of its own, by turns; files lie on their NFS.

    Parameters
    ----------
    cluster : Cluster
        One that is up.
    """

    notice: float = 5.0

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self.folder = cluster.share

    def make(self, folder: Path) -> None:
        """Make a folder, and those above it, through a node."""
        self._cluster.exec(1, "mkdir", "-p", folder)

    def write(self, file: Path, text: str) -> None:
        """Write a file, through a node."""
        self._cluster.write(file, text)

    def start(
        self,
        number: int,
        command: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        log: Path,
    ) -> "subprocess.Popen[str]":
        """Start a process in the node whose turn it is."""
        node = self._cluster.nodes[number % len(self._cluster.nodes)]
        into_log = ["sh", "-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", str(log)]
        return self._cluster.start(
            node, "env", *self._settings(environ), *into_log, *command, folder=folder
        )

    def run(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
        """Run a command in the first node, and return what it printed."""
        done = self._cluster.exec(
            1, "env", *self._settings(environ), *command, folder=folder, timeout=PATIENCE
        )
        return done.stdout

    def _settings(self, environ: Mapping[str, str]) -> list[str]:
        """Say what the environment is to be; nodes look less often, for each look goes to the server."""
        given = {"PYTHONPATH": str(ROOT), marks.LOOK_EVERY: "0.2", **environ}
        return [f"{name}={value}" for name, value in given.items()]
