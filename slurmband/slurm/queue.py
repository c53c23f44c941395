"""What SLURM's queue says: where jobs are, how they ended lately, and which job carries a token.

SLURM's word is a second opinion. A job that it does not know, or a call that fails, is no evidence.
"""

import logging
from collections.abc import Sequence
from typing import Final

from slurmband.errors import QueueUnknown, SlurmMissing
from slurmband.slurm.command import Run, run
from slurmband.slurm.words import OUT_OF_MEMORY_SIGNAL, JobState

log = logging.getLogger(__name__)

_FIELDS: Final = ("ArrayJobID", "ArrayTaskID", "JobID", "State", "RestartCnt", "DerivedEC")
_FORMAT: Final = ",".join(f"{field}:|" for field in _FIELDS)
_UNKNOWN: Final = "invalid job id"


class SlurmQueue:
    """Questions to squeue.

    Parameters
    ----------
    run : callable
        Starts a command.
    """

    def __init__(self, run: Run = run) -> None:
        self._run = run

    def states(self, jobs: Sequence[str]) -> dict[str, JobState] | None:
        """Ask once for elements (``36_1``) and jobs (``40``); None if there was no answer.

        Those that SLURM does not know are left out. Raw ids would not do for elements: those that are
        pending all show the array's.
        """
        ids = ",".join(sorted(set(jobs)))
        reply = self._run(["squeue", "-h", "-r", "-t", "all", "-j", ids, "-O", _FORMAT])
        if reply.returncode != 0:
            log.info("squeue: %s", reply.stderr.strip())
            return {} if _UNKNOWN in reply.stderr.lower() else None
        found = {}
        for line in reply.stdout.splitlines():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) > len(_FIELDS) and fields[3] and fields[4].isdecimal():
                array, index, job, state, restarts, derived = fields[: len(_FIELDS)]
                name = f"{array}_{index}" if index.isdigit() else job
                found[name] = JobState(state, int(restarts), _is_out_of_memory(derived))
        return found

    def array_with_comment(self, token: str) -> int | None:
        """Return the array (or job) of this user whose comment holds `token`; None if none is seen.

        Raises
        ------
        QueueUnknown
            If squeue did not answer, which says nothing about any job.
        """
        reply = self._run(["squeue", "-h", "--me", "-t", "all", "-o", "%F|%k"])
        if reply.returncode != 0:
            raise QueueUnknown(reply.stderr)
        for line in reply.stdout.splitlines():
            job, _, comment = line.partition("|")
            if token in comment and job.strip().isdigit():
                return int(job)
        return None

    def has_pending(self, array: int) -> bool:
        """Whether any element of an array is pending; True if it cannot be told."""
        try:
            reply = self._run(["squeue", "-h", "-r", "-t", "PENDING", "-j", str(array), "-o", "%T"])
        except SlurmMissing:
            return True
        return reply.returncode != 0 or bool(reply.stdout.strip())

    def are_queued(self, arrays: Sequence[int]) -> bool:
        """Whether any element of these arrays is pending or running; True if it cannot be told."""
        ids = ",".join(map(str, arrays))
        try:
            reply = self._run(["squeue", "-h", "-j", ids, "-o", "%T"])
        except SlurmMissing:
            return True
        if reply.returncode == 0:
            return bool(reply.stdout.strip())
        return _UNKNOWN not in reply.stderr.lower()


def _is_out_of_memory(status: str) -> bool:
    """Whether the exit status that squeue prints as it is, signal and all, is that of 0:125."""
    return status.isdecimal() and int(status) & 0x7F == OUT_OF_MEMORY_SIGNAL
