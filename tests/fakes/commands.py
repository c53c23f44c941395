"""SLURM's commands, faked: a `run` that answers from a list, and executables that answer from a file."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurmband.errors import SlurmMissing
from slurmband.slurm.command import Reply
from tests.integration.band import Band


def says(stdout: str, *, stderr: str = "", returncode: int | None = 0) -> Reply:
    """Make a reply as the command would give it."""
    return Reply(returncode, stdout, stderr)


class FakeRun:
    """Gives each reply in turn, and the last one for ever; no reply: no such command."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.asked: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> Reply:
        self.asked.append(list(arguments))
        if not self._replies:
            raise SlurmMissing(arguments[0])
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


@dataclass
class FakeSlurm:
    """The JSON file behind the fake commands."""

    file: Path

    def set(self, **how: object) -> None:
        self.file.write_text(json.dumps(self.state | how))

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.file.read_text())
        return state

    @property
    def jobs(self) -> dict[str, dict[str, str]]:
        jobs: dict[str, dict[str, str]] = self.state["jobs"]
        return jobs

    @property
    def called(self) -> list[str]:
        """The names of the commands that were called, in order."""
        return [words[0] for words in self.state["calls"]]

    def begin(
        self,
        band: Band,
        element: str,
        *,
        node: str = "n1",
        restarts: int = 0,
        ends_in: float = 7200,
        **environ: str,
    ) -> "subprocess.Popen[bytes]":
        """Start an element of an array that was submitted, as slurmd does: 36_1 is job 38."""
        array, _, index = element.partition("_")
        script = self.jobs[array]["script"]
        (log,) = re.findall(r'--output="(.*)"', script)
        ids = {"ARRAY_JOB_ID": array, "ARRAY_TASK_ID": index, "JOB_ID": int(array) + int(index) + 1}
        where = {"CLUSTER_NAME": "thunder", "RESTART_COUNT": restarts}
        where["JOB_END_TIME"] = int(time.time() + ends_in)
        job = {f"SLURM_{name}": str(value) for name, value in (ids | where).items()}
        with open(log.replace("%A", array).replace("%a", index), "ab") as output:
            process = subprocess.Popen(
                ["bash", "-c", script],
                cwd=band.folder,
                env=band.environ | job | {"SLURMD_NODENAME": node} | environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        band.started.append(process)
        return process

    def ended(self, **states: str) -> None:
        """Let squeue say how elements ended: ``ended(**{"36_1": "TIMEOUT"})``."""
        lines = []
        for element, state in states.items():
            array, _, index = element.partition("_")
            lines.append(f"{array}|{index}|{int(array) + int(index) + 1}|{state}|0|0|\n")
        self.set(queue="".join(lines))


def installed(folder: Path, environ: MutableMapping[str, str]) -> FakeSlurm:
    """Put fake commands into a folder, and the folder at the head of PATH."""
    commands = folder / "bin"
    commands.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "sacct", "srun"):
        shutil.copy(Path(__file__).with_name("fake_slurm.py"), commands / name)
    file = folder / "slurm.json"
    start = {"sbatch": "accept", "next": 36, "jobs": {}, "calls": [], "max_array_size": 1001}
    file.write_text(json.dumps(start))
    environ["PATH"] = f"{commands}:{os.environ['PATH']}"
    environ["FAKE_SLURM"] = str(file)
    return FakeSlurm(file)
