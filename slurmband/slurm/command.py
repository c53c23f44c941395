"""The only place that starts SLURM's commands; what they say comes back as text."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from slurmband.errors import SlurmMissing

#: Variables by which users change what SLURM's commands print.
_PRINTING = ("SQUEUE_", "SACCT_", "SLURM_TIME_FORMAT", "SLURM_CLUSTERS")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command answered.

    Parameters
    ----------
    returncode : int or None
        None: it did not answer in time, or could not be started.
    stdout, stderr : str
    """

    returncode: int | None
    stdout: str
    stderr: str


Run = Callable[[Sequence[str]], Reply]


def run(arguments: Sequence[str], *, timeout: float = 30.0) -> Reply:
    """Run a SLURM command.

    Parameters
    ----------
    arguments : sequence of str
        Name and arguments.
    timeout : float, default 30
        Seconds.

    Raises
    ------
    SlurmMissing
        If it is not on PATH.
    """
    try:
        done = subprocess.run(
            list(arguments),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=_environ(),
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise SlurmMissing(arguments[0]) from error
    except subprocess.TimeoutExpired:
        return Reply(None, "", f"{arguments[0]} did not answer in {timeout:.0f} s")
    except OSError as error:  # more ids than one word may hold, no memory for another process, ...
        return Reply(None, "", f"{arguments[0]} could not be started: {error.strerror}")
    return Reply(done.returncode, done.stdout, done.stderr)


def start(arguments: Sequence[str], *, stderr: IO[str]) -> "subprocess.Popen[str]":
    """Start a SLURM command to talk with: srun carries lines to and from what it runs on other nodes.

    Parameters
    ----------
    arguments : sequence of str
        Name and arguments.
    stderr : file
        Where its complaints go.

    Raises
    ------
    SlurmMissing
        If it is not on PATH.
    """
    try:
        return subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            env=_environ(),
        )
    except FileNotFoundError as error:
        raise SlurmMissing(arguments[0]) from error


def _environ() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(_PRINTING)}
