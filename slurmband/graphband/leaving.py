"""Why a worker leaves, and what follows from that for its task, its job and its program."""

import signal
from typing import Final

from slurmband.domain.attempts import Reason
from slurmband.graphband.jobtime import JobTime
from slurmband.graphband.orders import BY_A_PERSON
from slurmband.graphband.signals import Drain

#: What SLURM sends some time before the end of a job (``--signal``).
WARNING: Final = signal.SIGUSR1.name


class Leaving:
    """What one worker knows of it.

    Parameters
    ----------
    drain : Drain
        Whether it was asked to leave, and by what.
    time : JobTime
        How much of its job's time is left.
    """

    def __init__(self, drain: Drain, time: JobTime) -> None:
        self._drain = drain
        self._time = time
        #: Whether it found that nothing fits into the time that its job has left.
        self.no_time = False

    @property
    def reason(self) -> Reason:
        """What is recorded of it."""
        if self._drain.asked_by == BY_A_PERSON:
            return Reason.STOPPED
        if self._drain:
            return Reason.DRAINED
        return Reason.NO_TIME if self.no_time else Reason.LEFT

    @property
    def is_for_good(self) -> bool:
        """Whether this process is to begin no loop any more."""
        return bool(self._drain) or self.no_time

    def is_for_time(self, reason: Reason) -> bool:
        """Whether its job's end, or the warning of it, is behind the reason that was recorded."""
        if reason is Reason.DRAINED:
            warned = self._drain.asked_by == WARNING and self._time.may_be_warned_of
            return warned or self._time.is_nearly_over
        return reason is Reason.NO_TIME

    @property
    def cuts_short(self) -> bool:
        """Whether a task that is interrupted now is so for its job's end."""
        by_slurm = self._drain.asked_by in (WARNING, signal.SIGTERM.name)
        return by_slurm and self._time.is_nearly_over
