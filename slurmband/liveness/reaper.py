"""The reaper: find workers that are dead, give their tasks back, and learn what they died of.

Anybody may reap, at any time, as often as they like: each judgement is written as a compare-and-swap
that rests on what was observed, so that a worker that moved in between is not touched.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.death import Answer, Evidence, explained, is_settled, judge
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.workers import Element, Worker
from slurmband.errors import EnvironmentFault, RaceLost, WorkerMoved
from slurmband.liveness import journal
from slurmband.liveness.beats import Beats
from slurmband.liveness.notice import telling
from slurmband.store import explanations, membership, queries
from slurmband.store.database import Store
from slurmband.store.explanations import Amended

log = logging.getLogger(__name__)

#: Asks SLURM, once for all, why the jobs of these incarnations are over; those not named: no answer.
AskSlurm = Callable[[Sequence[Element]], Mapping[Element, Answer]]
#: Says for how many seconds each worker's beat has stood still; workers not named: cannot be told.
Silences = Callable[[Sequence[Worker]], Mapping[int, float]]
FateOf = Callable[[ProcessIdentity], Fate]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one worker.

    Parameters
    ----------
    worker : Worker
    evidence : Evidence
    reason : Reason or None
        Why it is lost; None: a suspect that may yet be alive.
    revoked : list of (Claim, Ending)
        What became of the claims it held; empty after a dry run.
    """

    worker: Worker
    evidence: Evidence
    reason: Reason | None
    revoked: list[tuple[Claim, Ending]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Loss:
    """One worker that was lost, and of which SLURM is to be asked why.

    Parameters
    ----------
    worker : Worker
    was : Reason
        What it was judged lost for.
    at : float
        When.
    told : Reason or None
        The better reason that SLURM gave; None: none so far.
    amended : list of Amended
        What that changed; empty after a dry run.
    """

    worker: Worker
    was: Reason
    at: float
    told: Reason | None = None
    amended: list[Amended] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass found.

    Parameters
    ----------
    looked_at : int
        How many workers were looked at.
    verdicts : list of Verdict
        One on each suspect.
    explained : list of Loss
        Earlier losses for which SLURM gave a better reason.
    """

    looked_at: int
    verdicts: list[Verdict]
    explained: list[Loss] = field(default_factory=list)

    @property
    def lost(self) -> list[Verdict]:
        """The verdicts that end a worker."""
        return [verdict for verdict in self.verdicts if verdict.reason is not None]


@dataclass(frozen=True, slots=True)
class Reaper:
    """What a pass needs to see and to ask; see `run_once`.

    Parameters
    ----------
    store : Store
    silences : callable
    ask_slurm : callable
    fate_of : callable
    now : callable
        UTC seconds since the epoch, for the record.
    """

    store: Store
    silences: Silences
    ask_slurm: AskSlurm
    fate_of: FateOf
    now: Callable[[], float]

    def run_once(self, *, dry_run: bool = False, me: int | None = None) -> Report:
        """Look at every worker once, and end those that are lost.

        Parameters
        ----------
        dry_run : bool, default False
            Judge, and write nothing.
        me : int, optional
            Key of the worker that reaps; it is not looked at.
        """
        with self.store.read() as tx:
            alive = [(worker, t) for worker, t in queries.live_workers(tx) if worker.key != me]
            losses = [Loss(*row) for row in queries.unexplained_workers(tx)]
        beats = Beats(self.store.layout.beats)
        observed = {worker.key: _beat(beats, worker.key) for worker, _ in alive}
        seen = self._look(alive)
        suspects = [worker for worker, evidence in seen if evidence.suspect]
        told = self._ask([*suspects, *(loss.worker for loss in losses)])
        verdicts = []
        for worker, evidence in seen:
            answer = told.get(worker.key, Answer())
            verdict = _verdict(worker, evidence, answer)
            if verdict.reason is not None and not dry_run:
                verdict = self._end(verdict, verdict.reason, answer, observed[worker.key])
            if evidence.suspect:
                verdicts.append(verdict)
        losses = [self._explain(loss, told.get(loss.worker.key), dry_run) for loss in losses]
        return Report(len(alive), verdicts, [loss for loss in losses if loss.told is not None])

    def _look(self, alive: Sequence[tuple[Worker, float]]) -> list[tuple[Worker, Evidence]]:
        """Gather what is to be seen without SLURM."""
        silences = self.silences([worker for worker, _ in alive])
        return [
            (worker, Evidence(self.fate_of(worker.process), silences.get(worker.key), timeout))
            for worker, timeout in alive
        ]

    def _ask(self, workers: Sequence[Worker]) -> dict[int, Answer]:
        """Ask SLURM about workers, all at once; return what it answered, by worker."""
        elements = {worker.key: worker.in_slurm for worker in workers if worker.in_slurm}
        answers = self.ask_slurm(list(elements.values())) if elements else {}
        return {key: answers[element] for key, element in elements.items() if element in answers}

    def _explain(self, loss: Loss, answer: Answer | None, dry_run: bool) -> Loss:
        """Put right what was charged, if SLURM knows better now; note if it need not be asked again."""
        element = loss.worker.in_slurm
        assert element is not None
        rank, answer = element.step is not None, answer or Answer()
        told = explained(loss.was, answer.reason, rank=rank)
        settled = is_settled(loss.was, answer, rank=rank, waited=self.now() - loss.at)
        if dry_run or not (told or settled):
            return replace(loss, told=told)
        try:
            with telling(self.store) as tx:
                amended = explanations.explain(
                    tx, loss.worker, loss.was, told, settled=settled, now=self.now()
                )
        except RaceLost:
            return loss
        except EnvironmentFault as fault:
            log.warning("worker=%s could not be explained: %s", loss.worker.name, fault)
            return loss
        for each in amended:
            log.warning(
                "task=%s attempt=%d worker=%s %s: SLURM says %s",
                *(each.task, each.number, loss.worker.name, each.ending.outcome, told),
            )
        return replace(loss, told=told, amended=amended)

    def _end(self, verdict: Verdict, reason: Reason, answer: Answer, observed: object) -> Verdict:
        """End a worker, unless its beat is no longer the one that the judgement rests on."""
        worker, layout = verdict.worker, self.store.layout
        beats = Beats(layout.beats)
        try:
            with telling(self.store) as tx:
                revoked = membership.lose(
                    tx,
                    worker,
                    reason,
                    unmoved=lambda: beats.read(worker.key) == observed,
                    journal=journal.read(layout.journals, worker.key),
                    settled=answer.final,
                    now=self.now(),
                )
        except WorkerMoved:
            return Verdict(worker, verdict.evidence, None)
        except EnvironmentFault as fault:
            log.warning("worker=%s could not be judged: %s", worker.name, fault)
            return Verdict(worker, verdict.evidence, None)
        beats.end(worker.key)
        for held, ending in revoked:
            log.warning(
                "task=%s attempt=%d worker=%s %s: the worker is lost (%s)",
                held.task,
                held.number,
                worker.name,
                "revoked" if ending.outcome is not Outcome.COMPLETED else "completed",
                reason,
            )
        return Verdict(worker, verdict.evidence, reason, revoked)


def _verdict(worker: Worker, evidence: Evidence, answer: Answer) -> Verdict:
    evidence = replace(evidence, job=answer.reason)
    return Verdict(worker, evidence, judge(evidence))


def _beat(beats: Beats, worker: int) -> object:
    """Read a beat; one that cannot be read is like no other, so that no judgement can rest on it."""
    try:
        return beats.read(worker)
    except OSError:
        return object()
