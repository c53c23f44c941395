"""The several-kernel cluster of ``scripts/cluster``, to be used and harmed by tests."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.band import ROOT

SCRIPT = ROOT / "scripts" / "cluster"
#: The status of a command in a node that does not answer, or died meanwhile.
NO_NODE = 255
#: Where commands run that name no folder: not on the share, which hangs while its server is down.
HOME = Path("/")

Done = subprocess.CompletedProcess[str]


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what SLURM or slurmband would read."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}


@dataclass(frozen=True)
class Cluster:
    """Nodes 1, 2, ..., each a kernel of its own, and their NFS server.

    Parameters
    ----------
    folder : Path
        What ``scripts/cluster -d`` is given.
    nodes : sequence of int
        The numbers of the nodes.
    environ : dict of str to str
        What commands in the nodes get.
    started : list of subprocess.Popen
        What runs in the nodes.
    """

    folder: Path
    nodes: Sequence[int] = (1, 2, 3)
    environ: dict[str, str] = field(default_factory=clean_environment)
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def share(self) -> Path:
        """NFS in the nodes; here the server's own disk: to be read, and written through a node."""
        return self.folder / "share"

    @property
    def disk(self) -> Path:
        """In every node, a disk of its own."""
        return self.folder / "disk"

    def disk_of(self, node: int) -> Path:
        """Return where a node's own disk lies on this machine."""
        return self.folder / "disks" / f"node{node}"

    @property
    def slurm_conf(self) -> Path:
        """The configuration of SLURM, in the nodes and here."""
        return self.folder / "slurm.conf"

    def up(self, *options: object) -> Done:
        """Start what does not run; return how that went."""
        self.environ["SLURM_CONF"] = str(self.slurm_conf)
        return self.script("up", len(self.nodes), *options, timeout=400)

    def down(self) -> None:
        """Leave nothing behind but the files."""
        self.script("down")

    def script(self, *words: object, timeout: float = 120) -> Done:
        """Run the script, with nothing to read."""
        return subprocess.run(
            self.command(*words),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def exec(
        self,
        node: int,
        *words: object,
        folder: Path | None = None,
        text: str = "",
        code: int | None = 0,
        timeout: float = 240,
    ) -> Done:
        """Run a command in a node; `code` is the status to insist on, None for any."""
        done = subprocess.run(
            self.command("exec", node, *words),
            env=self.environ,
            cwd=folder or HOME,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert code in (None, done.returncode), (
            f"node {node}, {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def start(
        self, node: int, *words: object, folder: Path | None = None
    ) -> "subprocess.Popen[str]":
        """Start a command in a node; it dies with the process returned, at the latest after the test."""
        process = subprocess.Popen(
            self.command("exec", node, *words),
            env=self.environ,
            cwd=folder or HOME,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def recover(self) -> None:
        """End what was started and every job, and undo every fault."""
        for process in self.started:
            process.kill()
            process.communicate()
        self.started.clear()
        undone = self.up()
        assert undone.returncode == 0, undone.stderr
        if jobs := self.slurm("squeue", "-h", "-o", "%F").split():
            self.slurm("scancel", "--quiet", *jobs)

    def slurmband(self, node: int, *words: object, folder: Path) -> str:
        """Run a command of slurmband's in a node and return what it printed."""
        return self.exec(node, sys.executable, "-m", "slurmband", *words, folder=folder).stdout

    def make_folder(self, name: str) -> Path:
        """Make a folder on the share, through a node."""
        self.exec(1, "mkdir", self.share / name)
        return self.share / name

    def write(self, file: Path, text: str) -> None:
        """Write a file of the share, through a node."""
        self.exec(1, "sh", "-c", 'cat >"$0"', file, text=text)

    def answers(self, node: int) -> bool:
        """Whether a node runs commands."""
        return self.exec(node, "true", code=None).returncode == 0

    def slurm(self, *words: object) -> str:
        """Run a command of SLURM's and return what it printed."""
        return self.do("host", *words)

    def do(self, *words: object) -> str:
        """Run a verb that must succeed, and return what it printed: ``kill``, 2; ``nfs-restart``."""
        done = self.script(*words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def command(self, *words: object) -> list[str]:
        """Write the command line of a verb of the script."""
        return [str(SCRIPT), "-d", str(self.folder), *map(str, words)]
