"""What SLURM's queue says: which jobs are over and why, and which job carries a token.

SLURM's word is a second opinion. A job that it does not know, or a call that fails, is no evidence.
One call asks for all, and calls are at least a minute apart: squeue(1), section PERFORMANCE.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from slurmband.domain.attempts import Reason
from slurmband.domain.workers import Element
from slurmband.errors import QueueUnknown, SlurmMissing
from slurmband.slurm.command import Run, run

log = logging.getLogger(__name__)

#: Least time between two questions of one process, in seconds.
ASK_EVERY: Final = 60.0
_FIELDS: Final = ("ArrayJobID", "ArrayTaskID", "JobID", "State", "RestartCnt")
_FORMAT: Final = ",".join(f"{field}:|" for field in _FIELDS)

#: States in which a job is over (job_state_codes.html), and what that means for its workers.
_OVER: Final[Mapping[str, Reason]] = {
    "BOOT_FAIL": Reason.NODE_FAILURE,
    "CANCELLED": Reason.CANCELLED,
    "COMPLETED": Reason.JOB_OVER,
    "DEADLINE": Reason.TIME_LIMIT,
    "FAILED": Reason.JOB_OVER,
    "NODE_FAIL": Reason.NODE_FAILURE,
    "OUT_OF_MEMORY": Reason.OUT_OF_MEMORY,
    "PREEMPTED": Reason.PREEMPTED,
    "REVOKED": Reason.JOB_OVER,
    "TIMEOUT": Reason.TIME_LIMIT,
}
#: States of a job that once ran and is to run again.
_AGAIN: Final = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")


@dataclass(frozen=True, slots=True)
class JobState:
    """What squeue says of one job.

    Parameters
    ----------
    state : str
        In SLURM's words, such as "RUNNING".
    restarts : int
        How often it was requeued.
    """

    state: str
    restarts: int

    def ending_of(self, element: Element) -> Reason | None:
        """Say why this incarnation of the job is over; None while it may be running."""
        if self.restarts > element.restarts or self.state in _AGAIN:
            return Reason.REQUEUED
        return _OVER.get(self.state.split()[0])  # "CANCELLED by 1000"


class SlurmQueue:
    """One process's questions to squeue.

    Parameters
    ----------
    run : callable
        Starts a command.
    monotonic : callable
        Clock in seconds, for the time between questions.
    ask_every : float
        Least time between two questions in seconds.
    """

    def __init__(
        self, *, monotonic: Callable[[], float], run: Run = run, ask_every: float = ASK_EVERY
    ) -> None:
        self._run = run
        self._monotonic = monotonic
        self._ask_every = ask_every
        self._asked = -math.inf

    def ended(self, elements: Sequence[Element]) -> dict[Element, Reason]:
        """Return the incarnations whose job is over, with the reason; empty if it is too soon to ask."""
        if not elements or self._monotonic() - self._asked < self._ask_every:
            return {}
        self._asked = self._monotonic()
        try:
            states = self.states([element.id for element in elements])
        except SlurmMissing as missing:
            log.info("%s", missing)
            return {}
        found = {}
        for element in elements:
            state = states.get(element.id)
            reason = None if state is None else state.ending_of(element)
            if reason is not None:
                found[element] = reason
        return found

    def states(self, jobs: Sequence[str]) -> dict[str, JobState]:
        """Ask once for elements (``36_1``) and jobs (``40``); those SLURM does not know are left out.

        Raw ids would not do for elements: those that are pending all show the array's.
        """
        ids = ",".join(sorted(set(jobs)))
        reply = self._run(["squeue", "-h", "-r", "-t", "all", "-j", ids, "-O", _FORMAT])
        if reply.returncode != 0:
            log.info("squeue: %s", reply.stderr.strip())
        found = {}
        for line in reply.stdout.splitlines():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) >= len(_FIELDS) and fields[3] and fields[4].isdecimal():
                array, index, job, state, restarts = fields[: len(_FIELDS)]
                name = f"{array}_{index}" if index.isdigit() else job
                found[name] = JobState(state, int(restarts))
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

    def is_queued(self, array: int) -> bool:
        """Whether any element of an array is pending or running; True if it cannot be told."""
        try:
            reply = self._run(["squeue", "-h", "-j", str(array), "-o", "%T"])
        except SlurmMissing:
            return True
        if reply.returncode == 0:
            return bool(reply.stdout.strip())
        return "invalid job id" not in reply.stderr.lower()
