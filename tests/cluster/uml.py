"""The cluster of ``scripts/cluster`` as a ground: kernels of their own, and one real NFS server."""

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cluster.ground import keeper_command
from tests.integration.band import ROOT

SCRIPT: Final = ROOT / "scripts" / "cluster"


class ClusterGround:
    """Nodes that are User Mode Linux kernels.

    Parameters
    ----------
    folder : Path
        Where the cluster lies.
    nodes : int
    """

    lease: float | None = 10.0  # as scripts/cluster sets the server up

    def __init__(self, folder: Path, nodes: int) -> None:
        self.share = folder / "share"
        self.nodes = nodes
        self._command = [str(SCRIPT), "-d", str(folder)]

    def up(self) -> str:
        """Start whatever does not run; return "" or why that cannot be."""
        done = subprocess.run(
            [*self._command, "up", str(self.nodes), "--no-slurm"],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return "" if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"

    def close(self) -> None:
        """End everything of it; the files stay."""
        self._do("down")

    def make(self, folder: Path) -> None:
        # Through a node, since the server keeps names in memory.
        self._do("exec", "1", "sh", "-c", 'rm -rf "$1" && mkdir -p "$1"', "sh", str(folder))

    def keep(
        self, node: int, workers: int, logs: Path, environ: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*self._command, "exec", str(node), *keeper_command(workers, logs)],
            cwd=self.share,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
        )

    def send(self, node: int, pid: int, number: signal.Signals) -> None:
        self._do("exec", str(node), "sh", "-c", f"kill -{number.value} {pid} || true")

    def kill(self, node: int) -> None:
        self._do("kill", str(node))

    def boot(self, node: int) -> None:
        self._do("boot", str(node))

    def freeze(self, node: int) -> None:
        self._do("freeze", str(node))

    def thaw(self, node: int) -> None:
        self._do("thaw", str(node))

    def cut(self, node: int) -> None:
        self._do("cut", str(node))

    def join(self, node: int) -> None:
        self._do("join", str(node))

    def restart_server(self) -> None:
        self._do("nfs-restart")

    def _do(self, *words: str) -> None:
        subprocess.run([*self._command, *words], check=True, stdin=subprocess.DEVNULL, timeout=300)
