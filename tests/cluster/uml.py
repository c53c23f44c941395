"""The cluster of ``scripts/cluster`` as a ground: kernels of their own, and one real NFS server."""

import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cluster.ground import STANDS, keeper_command
from tests.cluster.lab import Cluster

#: Which part of our time must have passed in a node as well.
KEEPS_TIME: Final = 0.9


class ClusterGround:
    """Nodes that are User Mode Linux kernels.

    Parameters
    ----------
    cluster : Cluster
        One that is up.
    """

    lease: float | None = 10.0  # as scripts/cluster sets the server up

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.share = cluster.share
        self.nodes = len(cluster.nodes)
        #: Of each node: what our clock and its own said when its keeper began.
        self._clocks: dict[int, tuple[float, float]] = {}

    def make(self, folder: Path) -> None:
        self._cluster.exec(1, "sh", "-c", 'rm -rf "$0" && mkdir -p "$0"', folder)

    def keep(
        self, node: int, workers: int, logs: Path, environ: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        self._clocks[node] = (time.monotonic(), self._uptime(node))
        settings = [f"{name}={value}" for name, value in environ.items()]
        return self._cluster.start(node, "env", *settings, *keeper_command(workers, logs))

    def send(self, node: int, pid: int, number: signal.Signals) -> None:
        self._cluster.exec(node, "sh", "-c", f"kill -{number.value} {pid} || true")

    def stands(self, node: int) -> str:
        try:
            done = self._cluster.exec(node, "bash", STANDS, node, code=None, timeout=60)
        except subprocess.TimeoutExpired as late:
            return f"{late}"
        return f"{done.stdout}{done.stderr}"

    def kill(self, node: int) -> None:
        self._cluster.do("kill", node)

    def boot(self, node: int) -> None:
        self._cluster.do("boot", node)

    def freeze(self, node: int) -> None:
        self._cluster.do("freeze", node)

    def thaw(self, node: int) -> None:
        self._cluster.do("thaw", node)

    def cut(self, node: int) -> None:
        self._cluster.do("cut", node)

    def join(self, node: int) -> None:
        self._cluster.do("join", node)

    def restart_server(self) -> None:
        self._cluster.do("nfs-restart")

    def stood_still(self) -> list[int]:
        """Return the nodes whose clock is behind ours: User Mode Linux may lose its timer's signals.

        Then nobody who sleeps in such a node wakes up, the guardians and the keeper included.
        """
        now = time.monotonic()
        return [
            node
            for node, (ours, its) in self._clocks.items()
            if self._uptime(node) - its < KEEPS_TIME * (now - ours)
        ]

    def server_answers(self) -> bool:
        return any(
            self._cluster.exec(
                node, "timeout", "-s", "KILL", 20, "ls", self.share, code=None
            ).returncode
            == 0
            for node in self._clocks
        )

    def _uptime(self, node: int) -> float:
        return float(self._cluster.exec(node, "cat", "/proc/uptime").stdout.split()[0])
