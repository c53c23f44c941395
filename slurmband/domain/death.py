"""Who is dead, and of what: what evidence makes a silent worker a lost one, and what explains it later.

To be lost is about scheduling only. It revokes claims, which the fence makes safe; it never proves
that the process stopped writing, so it never breaks a lock. And the dead are judged at once, while
SLURM may know a moment later what they died of.
"""

from dataclasses import dataclass
from typing import Final

from slurmband.domain.attempts import Reason
from slurmband.domain.processes import Fate

#: Without any other evidence, a suspect is lost after this many heartbeat timeouts of silence.
PATIENCE: Final = 2.0
#: Reasons of a loss for which SLURM may have a better one.
EXPLICABLE: Final = frozenset(
    {Reason.PROCESS_GONE, Reason.SILENT, Reason.JOB_OVER, Reason.REQUEUED}
)
#: Seconds after a loss in which SLURM is asked why. It knows soon why a process ended, if it ended with
#: its job; a node is given up late, and one rank of several may be long gone before its job is over.
SOON: Final = 600.0
LATE: Final = 3600.0
#: What can have caused a requeue.
_REQUEUING: Final = (Reason.PREEMPTED, Reason.NODE_FAILURE, Reason.CANCELLED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What SLURM says of one incarnation's job.

    Parameters
    ----------
    reason : Reason or None
        Why it is over; None: it does not say so.
    final : bool
        Whether it has no more to say.
    """

    reason: Reason | None = None
    final: bool = False


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


def explained(was: Reason, told: Reason | None, *, rank: bool) -> Reason | None:
    """Say which reason is better than the one that a worker was judged lost for; None: there is none.

    Parameters
    ----------
    was : Reason
        What it was judged lost for.
    told : Reason or None
        What SLURM says now.
    rank : bool
        Whether its job had other workers. What became of the job later did not end this process.
    """
    if told in (None, Reason.JOB_OVER, was) or was not in EXPLICABLE:
        return None
    if was is Reason.REQUEUED and told not in _REQUEUING:
        return None
    if was is Reason.PROCESS_GONE and rank and told is not Reason.OUT_OF_MEMORY:
        return None
    return told


def is_settled(was: Reason, answer: Answer, *, rank: bool, waited: float) -> bool:
    """Say whether SLURM need not be asked again why a worker was lost `waited` seconds ago."""
    if answer.final:
        return True
    return waited >= (LATE if rank or was is Reason.SILENT else SOON)
