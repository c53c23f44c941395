"""Queueing an array, through submitit's three executors: slurm, local, debug.

submitit's own arrays are pickled callables run by its own runner, which ignores SIGTERM and may
requeue by itself. So each executor here keeps submitit's face (jobs are handles to wait for and to
cancel) and replaces what is run: the script rendered from our template. What is used of submitit's
insides is `_submit_command` and the four methods that it calls; ``tests/unit/test_submitit.py``
notices when they change.
"""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from slurmband.errors import SlurmMissing, SlurmRefused, SubmissionUnknown

#: What sbatch says when it does not know whether slurmctld took the job.
_REPLY_LOST: Final = (
    "timed out",
    "unable to contact",
    "zero bytes were transmitted",
    "transport endpoint",
    "connection re",
    "communication connection failure",
    "unexpected message received",
)


class SlurmArrayExecutor(submitit.SlurmExecutor):
    """Queues one script as one array by one sbatch.

    Parameters
    ----------
    folder : Path
        Where the script is kept.
    script : str
        Text of the script.
    options : sequence of str
        For sbatch's command line, where they win over the script and over ``SBATCH_*``.
    token : str
        By which the array can be found if sbatch's reply is lost.
    """

    def __init__(self, folder: Path, script: str, options: Sequence[str], token: str) -> None:
        for command in ("sbatch", "srun"):  # submitit wants to see srun
            if shutil.which(command) is None:
                raise SlurmMissing(command)
        super().__init__(folder)
        self._script = script
        self._options = list(options)
        self._token = token

    def queue(self) -> submitit.Job[Any]:
        """Call sbatch once; return the array as a handle.

        Raises
        ------
        SlurmRefused
            If sbatch said no: nothing is queued.
        SubmissionUnknown
            If it cannot be told whether the array is queued.
        """
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit prints what we raise
                return self._submit_command("")
        except FailedSubmissionError as error:
            raise SubmissionUnknown(self._token, str(error)) from error
        except FailedJobError as error:
            cause = error.__cause__
            if not isinstance(cause, subprocess.CalledProcessError):
                raise SubmissionUnknown(self._token, str(error)) from error
            said = str(cause.stderr)
            if cause.returncode < 0 or any(words in said.lower() for words in _REPLY_LOST):
                raise SubmissionUnknown(self._token, said) from error
            raise SlurmRefused("sbatch", cause.returncode, said) from error

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        del command, uid
        return self._script

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        return ["sbatch", "--parsable", *self._options, str(submission_file_path)]

    @staticmethod
    def _get_job_id_from_submission_command(string: bytes | str) -> str:
        """Read ``id[;cluster]``, which may come after lines of a site's own."""
        text = string.decode() if isinstance(string, bytes) else string
        last = text.strip().splitlines()[-1] if text.strip() else ""
        job_id = last.partition(";")[0].strip()
        if not job_id.isdigit():
            raise FailedSubmissionError(f"sbatch answered {text!r}")
        return job_id


@dataclass(frozen=True, slots=True)
class LocalArray:
    """An array to run on this machine.

    Parameters
    ----------
    array_job_id : int
    elements : mapping of int to int
        Array index -> raw job id.
    throttle : int or None
        How many elements may run at a time.
    workers_per_element : int
    script : str
        Path of the script.
    directory : str
        Where it runs.
    log : str
        File name pattern with ``%A`` and ``%a``.
    time_limit : float or None
        Seconds that an element may run.
    """

    array_job_id: int
    elements: Mapping[int, int]
    throttle: int | None
    workers_per_element: int
    script: str
    directory: str
    log: str
    time_limit: float | None = None


class LocalArrayExecutor(submitit.LocalExecutor):
    """Runs one script as an array of processes on this machine.

    Parameters
    ----------
    folder : Path
        Where the script is kept.
    array : LocalArray
    """

    def __init__(self, folder: Path, array: LocalArray) -> None:
        super().__init__(folder)
        self._array = array

    def queue(self) -> submitit.Job[Any]:
        """Start the array; it survives this process. Return it as a handle."""
        return self._submit_command("")

    def _submit_command(self, command: str) -> submitit.LocalJob[Any]:
        del command
        process = subprocess.Popen(
            [sys.executable, "-m", "slurmband.slurm.local_array", json.dumps(asdict(self._array))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return submitit.LocalJob(
            folder=self.folder, job_id=str(self._array.array_job_id), process=process
        )


def run_here(folder: Path, function: Callable[[], Any]) -> Any:
    """Run one worker in this very process, through submitit's debug executor."""
    return submitit.DebugExecutor(folder).submit(function).results()[0]
