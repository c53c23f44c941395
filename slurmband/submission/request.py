"""What a submission asks for, and the script it comes to."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from slurmband.domain.budgets import NAMES
from slurmband.slurm.arrays import ArraySpec
from slurmband.slurm.environment import SUBMISSION, TEMPLATE, UNTIL_DONE, WORKERS_PER_ELEMENT
from slurmband.slurm.options import CommandLine
from slurmband.slurm.templates import Template, render, worker_lines
from slurmband.store.layout import Layout


class Cluster(StrEnum):
    """Where the workers run."""

    SLURM = "slurm"
    LOCAL = "local"  #: processes on this machine
    DEBUG = "debug"  #: one worker in this very process


#: Options of a worker that the script carries, whatever becomes of the environment.
CARRIED: Final = (
    "MODE",
    "LABELS",
    "FAILURE_POLICY",
    "HEARTBEAT_INTERVAL",
    "HEARTBEAT_TIMEOUT",
    "RELEASE_AFTER",
    *map(str.upper, NAMES),
    "ENABLE_FINGERPRINTS",
    "GROWING",
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a submission asks for.

    Parameters
    ----------
    cluster : Cluster
    array : ArraySpec
    line : CommandLine
        The program to run, and the options for sbatch.
    layout : Layout
        The band's files.
    template : Template
    directory : Path
        Where the workers run.
    commands : Path or None
        Instead of a program: the band's copy of a list of commands.
    workers_per_element : int
    max_submissions : int or None
        The array continues itself, until there were so many; None: it does not.
    options : mapping of str to str
        ``SLURMBAND_…`` variables for the workers.
    python : str
        The interpreter that runs the workers: the one that submits.
    """

    cluster: Cluster
    array: ArraySpec
    line: CommandLine
    layout: Layout
    template: Template
    directory: Path
    commands: Path | None = None
    workers_per_element: int = 1
    max_submissions: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def worker_command(self) -> list[str]:
        """The command line that an element runs; a bare ``python`` is the interpreter that submits."""
        if self.commands is not None:
            return [self.python, "-m", "slurmband", "work", "--commands", str(self.commands)]
        if self.line.is_command:
            first, *rest = self.line.program
            return [self.python if first in ("python", "python3") else first, *rest]
        return [self.python, "-m", "slurmband", "work", *self.line.program]

    @property
    def log(self) -> str:
        """File name pattern of the elements' logs."""
        given = self.line.sbatch_value("output")
        if given is not None:
            return str(self.directory / given)
        return str(self.layout.logs / "%A_%a.out")

    def script(self, token: str) -> str:
        """Render the job script of one array."""
        variables = {
            "SLURMBAND_DB": str(self.layout.database),
            SUBMISSION: token,
            "SLURMBAND_PYTHON": self.python,
            TEMPLATE: self.template.name,
            **self.options,
        }
        if self.max_submissions is not None:
            variables[UNTIL_DONE] = "1"
        under_srun = self.cluster is Cluster.SLURM and self.workers_per_element > 1
        # Also where it is 1: another job's may be inherited.
        variables[WORKERS_PER_ELEMENT] = str(self.workers_per_element)
        return render(
            self.template,
            directives=[f'#SBATCH --output="{self.layout.logs}/%A_%a.out"'],
            worker=worker_lines(
                self.worker_command,
                variables,
                workers_per_element=self.workers_per_element if under_srun else 1,
            ),
        )

    def sbatch_options(self, array: ArraySpec, token: str) -> list[str]:
        """Write sbatch's options for one array: the user's, and the few that are ours."""
        comment = self.line.sbatch_value("comment")
        own = [f"--array={array}", f"--comment={f'{comment} {token}' if comment else token}"]
        if self.workers_per_element > 1 and self.line.sbatch_value("ntasks") is None:
            own.append(f"--ntasks={self.workers_per_element}")
        users = [word for word in self.line.sbatch if not word.startswith("--comment=")]
        return [*users, *own]


def new_token() -> str:
    """Return a name for one submission that no other has."""
    return f"slurmband-{secrets.token_hex(8)}"
