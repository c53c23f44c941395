"""Who is dead: what evidence makes a silent worker a lost one.

To be lost is about scheduling only. It revokes claims, which the fence makes safe; it never proves
that the process stopped writing, so it never breaks a lock.
"""

from dataclasses import dataclass
from typing import Final

from slurmband.domain.attempts import Reason
from slurmband.domain.processes import Fate

#: Without any other evidence, a suspect is lost after this many heartbeat timeouts of silence.
PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about one worker that may be dead.

    Parameters
    ----------
    fate : Fate
        What this machine can say of its process.
    silence : float or None
        Seconds without a new beat, by the observer's own clock; None if it was not watched.
    timeout : float
        The worker's heartbeat timeout in seconds.
    job : Reason or None
        Why SLURM says that this incarnation's job is over; None: it does not say so.
    """

    fate: Fate
    silence: float | None
    timeout: float
    job: Reason | None = None

    @property
    def suspect(self) -> bool:
        """Whether it is worth asking SLURM about this worker."""
        return self.fate is Fate.GONE or (self.silence is not None and self.silence >= self.timeout)


def judge(evidence: Evidence) -> Reason | None:
    """Say why the worker is lost; None while it may be alive."""
    if not evidence.suspect:
        return None
    if evidence.job not in (None, Reason.JOB_OVER):
        return evidence.job
    if evidence.fate is Fate.GONE:
        return Reason.PROCESS_GONE  # which says more than that the job is over
    if evidence.job is not None:
        return evidence.job
    assert evidence.silence is not None
    return Reason.SILENT if evidence.silence >= PATIENCE * evidence.timeout else None
