"""SLURM's words for where a job is, and what each means for a worker that lived in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from slurmband.domain.attempts import Reason
from slurmband.domain.workers import Element

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
#: The signal in the exit code of a step that ran out of memory: 0:125.
OUT_OF_MEMORY_SIGNAL: Final = 125


@dataclass(frozen=True, slots=True)
class JobState:
    """What SLURM says of one life of a job.

    Parameters
    ----------
    state : str
        In SLURM's words, such as "RUNNING"; more words may follow, as in "CANCELLED by 1000".
    restarts : int
        How often it was requeued before.
    step_out_of_memory : bool, default False
        Whether one of its steps ran out of memory, which its own state does not tell.
    """

    state: str
    restarts: int
    step_out_of_memory: bool = False

    def ending_of(self, element: Element) -> Reason | None:
        """Say why this incarnation of the job is over; None while it may be running."""
        found = re.match("[A-Z_]*", self.state)
        word = found.group() if found else ""
        if self.restarts > element.restarts or word in _AGAIN:
            return Reason.REQUEUED
        reason = _OVER.get(word)
        if reason is not None and element.step is not None and self.step_out_of_memory:
            return Reason.OUT_OF_MEMORY
        return reason
