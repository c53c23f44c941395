"""What a nemesis can do to machines, and machines that are only groups of processes of this one."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from tests.cluster.lab import clean_environment

KEEPER: Final = Path(__file__).with_name("keeper")
STANDS: Final = Path(__file__).with_name("stands")


class Ground(Protocol):
    """Nodes, numbered from 1, on which keepers keep workers alive.

    Parameters
    ----------
    nodes : int
        How many there are.
    share : Path
        A folder that all of them and this process see.
    lease : float or None
        Seconds after which the file server forgets a node that says nothing; None: there is none, and
        so no network to cut either.
    """

    nodes: int
    share: Path
    lease: float | None

    def make(self, folder: Path) -> None:
        """Make an empty folder in the share."""
        ...

    def keep(
        self, node: int, workers: int, logs: Path, environ: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        """Start a keeper on a node; it ends when its workers find nothing left to do.

        Parameters
        ----------
        node, workers : int
        logs : Path
            Folder for what they print.
        environ : mapping of str to str
            To be added to what is there.
        """
        ...

    def send(self, node: int, pid: int, number: signal.Signals) -> None:
        """Send a signal to one process of a node."""
        ...

    def stands(self, node: int) -> str:
        """Say where each process of a node stands, for who looks into what is stuck."""
        ...

    def kill(self, node: int) -> None:
        """Switch a node off."""
        ...

    def boot(self, node: int) -> None:
        """Switch it on again."""
        ...

    def freeze(self, node: int) -> None:
        """Let nothing move on a node."""
        ...

    def thaw(self, node: int) -> None:
        """Let it go on, with everything it was about to do."""
        ...

    def cut(self, node: int) -> None:
        """Take a node off the network."""
        ...

    def join(self, node: int) -> None:
        """Put it back."""
        ...

    def restart_server(self) -> None:
        """End the file server's process, and start it again."""
        ...

    def stood_still(self) -> list[int]:
        """Return the nodes that nobody froze, and whose kernel has let time pass by all the same."""
        ...

    def server_answers(self) -> bool:
        """Whether the file server, which nobody stopped, answers any node."""
        ...


def keeper_command(workers: int, logs: Path) -> list[str]:
    """Return what a node runs to keep workers alive."""
    return ["bash", str(KEEPER), str(workers), sys.executable, str(logs)]


class LocalGround:
    """Groups of processes of this machine: each can die or freeze as a whole, as a node would."""

    lease: float | None = None

    def __init__(self, share: Path, nodes: int) -> None:
        self.share = share
        self.nodes = nodes
        self._keepers: dict[int, subprocess.Popen[str]] = {}

    def make(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def keep(
        self, node: int, workers: int, logs: Path, environ: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        self._keepers[node] = subprocess.Popen(
            keeper_command(workers, logs),
            cwd=self.share,
            env={**clean_environment(), **environ},
            start_new_session=True,
            text=True,
        )
        return self._keepers[node]

    def send(self, node: int, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            assert os.getpgid(pid) == self._keepers[node].pid  # no stranger's
            os.kill(pid, number)

    def stands(self, node: int) -> str:
        words = ["bash", str(STANDS), str(node)]
        return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout

    def kill(self, node: int) -> None:
        self._signal_all(node, signal.SIGKILL)
        self._keepers[node].wait()

    def boot(self, node: int) -> None:
        pass

    def freeze(self, node: int) -> None:
        self._signal_all(node, signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        self._signal_all(node, signal.SIGCONT)

    def cut(self, node: int) -> None:
        raise NotImplementedError

    def join(self, node: int) -> None:
        raise NotImplementedError

    def restart_server(self) -> None:
        raise NotImplementedError

    def stood_still(self) -> list[int]:
        """Return none: this machine's clock is theirs."""
        return []

    def server_answers(self) -> bool:
        """There is none."""
        return True

    def close(self) -> None:
        """Leave no process behind."""
        for node in self._keepers:
            self.kill(node)

    def _signal_all(self, node: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._keepers[node].pid, number)
