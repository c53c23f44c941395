"""Why jobs ended: squeue is asked for all at once, and sacct for what squeue cannot tell.

Which of them knows what was tried out on SLURM 22.05. squeue has how a job ended, also that it ran out
of memory or that a step of it did, for as long as slurmctld remembers it (MinJobAge, 300 s). sacct has
jobs that slurmctld forgot, and how the earlier lives of a requeued job ended: preempted, on a node that
failed, by a person. Its own word for how the last one ended is squeue's. ``scontrol show job`` prints
the same record as squeue, one job a call, and is not asked.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from slurmband.domain.attempts import Reason
from slurmband.domain.death import Answer
from slurmband.domain.workers import Element
from slurmband.errors import SlurmMissing
from slurmband.slurm.accounting import Accounting
from slurmband.slurm.command import Run, run
from slurmband.slurm.queue import SlurmQueue
from slurmband.slurm.words import JobState

log = logging.getLogger(__name__)

#: The commands, as they are counted.
SQUEUE: Final = "squeue"
SACCT: Final = "sacct"

#: Whether a command may be called now; a yes is a call that counts.
MayAsk = Callable[[str], bool]


class Causes:
    """One process's questions to SLURM why jobs ended.

    Parameters
    ----------
    may_ask : callable
    run : callable
        Starts a command.
    """

    def __init__(self, may_ask: MayAsk, run: Run = run) -> None:
        self._may_ask = may_ask
        self._queue = SlurmQueue(run)
        self._accounting = Accounting(run)

    def of(self, elements: Sequence[Element]) -> Mapping[Element, Answer]:
        """Return what SLURM says of incarnations; nothing if it may not be asked, or does not answer."""
        if not elements or not self._may_ask(SQUEUE):
            return {}
        try:
            seen = self._queue.states([element.id for element in elements])
        except SlurmMissing as missing:
            log.info("%s", missing)
            return {}
        if seen is None:
            return {}
        found = {element: _answer(element, seen.get(element.id)) for element in elements}
        doubtful = [element for element in elements if _is_doubtful(found[element], element, seen)]
        return found | self._looked_up({element: found[element] for element in doubtful})

    def _looked_up(self, doubtful: Mapping[Element, Answer]) -> dict[Element, Answer]:
        """Complete answers from accounting, where there is one."""
        if not doubtful:
            return {}
        lives: dict[str, list[JobState]] = {}
        if not self._accounting.absent and self._may_ask(SACCT):
            lives = self._accounting.lives([element.id for element in doubtful])
        if self._accounting.absent:  # then that was all
            return {
                element: Answer(known.reason, final=True) for element, known in doubtful.items()
            }
        found = {}
        for element, known in doubtful.items():
            of_this_life = lives.get(element.id, [])[element.restarts : element.restarts + 1]
            told = _answer(element, *of_this_life) if of_this_life else Answer()
            if told.reason in (None, Reason.JOB_OVER):  # that it was requeued says more
                told = Answer(known.reason or told.reason, final=told.final)
            found[element] = told
        return found


def _answer(element: Element, state: JobState | None) -> Answer:
    reason = None if state is None else state.ending_of(element)
    return Answer(reason, final=reason is not None)


def _is_doubtful(answer: Answer, element: Element, seen: Mapping[str, JobState]) -> bool:
    """Whether the queue forgot a job, or knows only a later life of it."""
    return answer.reason is Reason.REQUEUED or element.id not in seen
