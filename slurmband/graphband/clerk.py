"""What a round does inside its transaction: for this worker, and for others of its node that asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from slurmband.clock import Clock
from slurmband.domain.attempts import Claim, Report
from slurmband.domain.graph import Graph
from slurmband.domain.states import ACTIVE, TaskState, wanted
from slurmband.errors import FingerprintsChanged, GraphChanged, GraphError
from slurmband.graphband.options import Options
from slurmband.graphband.rounds import Request, Round
from slurmband.liveness.inquiry import ASK_EVERY
from slurmband.store import (
    claiming,
    intents,
    interventions,
    membership,
    queries,
    questions,
    registration,
    stopping,
    transitions,
)
from slurmband.store.claiming import Taker
from slurmband.store.counts import Counts
from slurmband.store.database import Transaction


@dataclass(slots=True)
class Done:
    """What a transaction brought to all for whom it did a round.

    Parameters
    ----------
    own : Round
    others : list of (Request, Round)
    stale : list of Request
        What was asked and must not be done: its worker did it, or is no more.
    freed : bool
        Whether a report made work ready.
    again : bool
        Whether a round of this worker's had been done before of which it did not hear.
    counts : Counts
        How the band stands after it.
    """

    own: Round = field(default_factory=Round)
    others: list[tuple[Request, Round]] = field(default_factory=list)
    stale: list[Request] = field(default_factory=list)
    freed: bool = False
    again: bool = False
    counts: Counts = field(init=False)

    def all(self, request: Request) -> list[tuple[Request, Round]]:
        """Return this worker's request and those of the others, each with what it brought."""
        return [(request, self.own), *self.others]


class Clerk:
    """Does rounds in an open transaction, as this worker's graph and options say.

    Parameters
    ----------
    graph : Graph
    fingerprints : str or None
        Those that were registered when this worker joined.
    options : Options
    clock : Clock
    """

    def __init__(
        self, graph: Graph, fingerprints: str | None, options: Options, clock: Clock
    ) -> None:
        self.graph = graph
        self._fingerprints = fingerprints
        self._clock = clock
        self._stops = options.failure_policy == "stop"

    def do(
        self, tx: Transaction, request: Request, others: Callable[[], Iterator[Request]]
    ) -> Done:
        """Report and claim for this worker, and for others.

        Parameters
        ----------
        tx : Transaction
        request : Request
            This worker's own.
        others : callable
            Reads what others ask.

        Raises
        ------
        WorkerLost
            If this worker's incarnation was judged lost.
        """
        done = Done()
        done.again = membership.count_round(tx, request.worker, request.number) > request.heard
        superseded = self._superseded(tx)
        if superseded is None:
            for other in others():
                if _is_next(tx, other):
                    done.others.append((other, Round()))
                else:
                    done.stale.append(other)
        rounds = done.all(request)
        for of, found in rounds:
            _note_time(tx, of, found, self._clock.now())
            found.stop = stopping.asked(tx, of.worker.key)
        done.freed = self._report(tx, rounds)
        stopped_by = queries.first_ended_badly(tx) if self._stops else None
        for _, found in rounds:
            found.superseded, found.stopped_by = superseded, stopped_by
        if done.again and request.wish.want:
            done.own.claims = _unheard(tx, request)
        if superseded is None and stopped_by is None:
            self._claim(tx, [(of, found) for of, found in rounds if not found.claims])
        done.counts = Counts(tx)
        for of, found in rounds:
            _say_where_it_stands(done.counts, of, found)
        return done

    def _superseded(self, tx: Transaction) -> GraphError | None:
        """Say in which way the registered graph is no longer the one this worker joined with."""
        registered = registration.current(tx)
        assert registered is not None
        if registered.digest != self.graph.digest:
            return GraphChanged(registered.digest, self.graph.digest)
        if registered.fingerprints in (self._fingerprints, self.graph.fingerprints, None):
            return None
        return FingerprintsChanged()

    def _report(self, tx: Transaction, rounds: Sequence[tuple[Request, Round]]) -> bool:
        """Close the attempts that ended; True if that made other work ready."""
        freed = False
        for reports in _apart([report for of, _ in rounds for report in of.reports]):
            closed = transitions.close_all(tx, reports, now=self._clock.now())
            freed = freed or bool(closed.freed)
            lost = {held.attempt for held in closed.lost}
            for of, found in rounds if lost else ():
                found.refused += [
                    held
                    for held, ending in of.reports
                    # Recorded already: by a round that was not heard of, or from the journal.
                    if held.attempt in lost
                    and queries.outcome_of(tx, held.attempt) != ending.outcome
                ]
        return freed

    def _claim(self, tx: Transaction, rounds: Sequence[tuple[Request, Round]]) -> None:
        """Claim tasks that are in this program's own graph; disown others."""
        rest, now = list(rounds), self._clock.now()
        while takers := self._takers(tx, rest):
            taken = claiming.claim(tx, takers, now=now)
            for of, found in rest:
                claims = taken.get(of.worker.key, [])
                found.claims = [claim for claim in claims if self._is_own(claim)]
                for claim in claims:
                    if not self._is_own(claim):
                        interventions.disown(tx, claim, now=now)
            rest = [
                (of, found) for of, found in rest if taken.get(of.worker.key) and not found.claims
            ]

    def _is_own(self, claim: Claim) -> bool:
        return claim.task in self.graph.tasks

    def _takers(self, tx: Transaction, rounds: Sequence[tuple[Request, Round]]) -> list[Taker]:
        """Say how much each is to get of what is ready."""
        wishes = [of.wish for of, _ in rounds]
        several = any(wish.want > 1 for wish in wishes)
        workers = queries.workers_alive(tx) if several else 1
        counts = Counts(tx) if several else None
        takers = []
        for of, found in rounds:
            limit, left = of.wish.want - of.wish.in_hand, _left(of, found)
            if found.stop or (left is not None and left <= 0):
                limit = 0
            elif counts is not None and of.wish.want > 1:
                limit = of.wish.of(counts.claimable_for(of.worker.labels), workers)
            if limit > 0:
                takers.append(Taker(of.worker.key, of.worker.labels, limit, left, of.fresh))
        return takers


def _is_next(tx: Transaction, other: Request) -> bool:
    """Whether a request may be done for another worker, of whom everything is known; if so, count it."""
    if membership.last_round(tx, other.worker) != other.heard:
        return False
    membership.count_round(tx, other.worker, other.number)
    return True


def _note_time(tx: Transaction, of: Request, found: Round, now: float) -> None:
    """Write down what a worker learned of its job's end, and answer what it asks of that."""
    if of.ends_at is not None:
        membership.note_end(tx, of.worker, of.ends_at)
    if of.limits is None:
        return
    if of.limits.limit is not None:
        intents.note_time_limit(tx, of.limits.submission, of.limits.limit)
    found.time_limit = intents.time_limit(tx, of.limits.submission)
    if found.time_limit is None:
        # Who was the first may have died before there was an answer.
        every = 0.0 if intents.take_question(tx, of.limits.submission) else ASK_EVERY
        found.ask_slurm = questions.take(tx, "squeue", every=every, now=now)


def _left(of: Request, found: Round) -> float | None:
    """Return the seconds that a task may take which this worker begins now; None: any."""
    if of.left is None and of.limits is not None and found.time_limit:
        return of.limits.left(found.time_limit)
    return of.left


def _unheard(tx: Transaction, request: Request) -> list[Claim]:
    """Return what a worker holds without knowing it."""
    held = queries.open_claims(tx, request.worker.key)
    return [claim for claim in held if claim.attempt not in request.keeping]


def _apart(reports: Sequence[Report]) -> Iterator[list[Report]]:
    """Group reports so that no two of a group are of one task, which several workers may be in."""
    rest = list(reports)
    while rest:
        group = {report[0].task_key: report for report in reversed(rest)}
        yield [report for report in rest if group[report[0].task_key] is report]
        rest = [report for report in rest if group[report[0].task_key] is not report]


def _say_where_it_stands(counts: Counts, of: Request, found: Round) -> None:
    """Say to a worker how far the band is."""
    wants = _left(of, found) is not None and of.wish.want > of.wish.in_hand and not found.claims
    found.no_time = wants and counts.claimable_for(of.worker.labels) > 0
    found.completed, found.total = counts.states[TaskState.COMPLETED], wanted(counts.states)
    found.left = counts.active_for(of.worker.labels)
    found.finished = not any(counts.states[state] for state in ACTIVE)
