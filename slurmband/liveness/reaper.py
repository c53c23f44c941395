"""The reaper: find workers that are dead, and give their tasks back.

Anybody may reap, at any time, as often as they like: each judgement is written as a compare-and-swap
that rests on what was observed, so that a worker that moved in between is not touched.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.death import Evidence, judge
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.workers import LOCAL_CLUSTER, Element, Worker
from slurmband.errors import EnvironmentFault, WorkerMoved
from slurmband.liveness import journal
from slurmband.liveness.beats import Beats
from slurmband.liveness.notice import telling
from slurmband.store import membership, queries
from slurmband.store.database import Store

log = logging.getLogger(__name__)

#: Asks SLURM, in one call, which of these incarnations' jobs are over, and why.
AskSlurm = Callable[[Sequence[Element]], Mapping[Element, Reason]]
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
class Report:
    """What one pass found: how many workers were looked at, and a verdict on each suspect."""

    looked_at: int
    verdicts: list[Verdict]

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
        beats = Beats(self.store.layout.beats)
        observed = {worker.key: _beat(beats, worker.key) for worker, _ in alive}
        evidence = self._gather(alive)
        verdicts = [Verdict(worker, e, judge(e)) for worker, e in evidence if e.suspect]
        if not dry_run:
            verdicts = [
                v if v.reason is None else self._end(v, v.reason, observed[v.worker.key])
                for v in verdicts
            ]
        return Report(len(alive), verdicts)

    def _gather(self, alive: Sequence[tuple[Worker, float]]) -> list[tuple[Worker, Evidence]]:
        silences = self.silences([worker for worker, _ in alive])
        seen = [
            (worker, Evidence(self.fate_of(worker.process), silences.get(worker.key), timeout))
            for worker, timeout in alive
        ]
        elements = [
            worker.element
            for worker, evidence in seen
            if evidence.suspect and worker.element and worker.element.cluster != LOCAL_CLUSTER
        ]
        if not elements:
            return seen
        over = self.ask_slurm(elements)
        return [
            (w, Evidence(e.fate, e.silence, e.timeout, over.get(w.element) if w.element else None))
            for w, e in seen
        ]

    def _end(self, verdict: Verdict, reason: Reason, observed: object) -> Verdict:
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


def _beat(beats: Beats, worker: int) -> object:
    """Read a beat; one that cannot be read is like no other, so that no judgement can rest on it."""
    try:
        return beats.read(worker)
    except OSError:
        return object()
