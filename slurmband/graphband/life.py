"""One incarnation of a worker: it joins, does rounds with the database, and leaves."""

import logging
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from slurmband.clock import Clock
from slurmband.domain.attempts import Reason, Report
from slurmband.domain.graph import Graph
from slurmband.domain.pace import NOTHING, Wish, called
from slurmband.domain.workers import Element, Worker
from slurmband.errors import (
    CommitUnknown,
    DatabaseFault,
    EnvironmentFault,
    JournalFault,
    WorkerLost,
)
from slurmband.graphband.clerk import Clerk, Done
from slurmband.graphband.jobtime import JobTime
from slurmband.graphband.joining import applicant, register_graph
from slurmband.graphband.options import Options
from slurmband.graphband.pauses import Pauses
from slurmband.graphband.publications import Publications, RoundErrand
from slurmband.graphband.rounds import Request, Round
from slurmband.liveness import incarnation, output
from slurmband.liveness.beats import Beats
from slurmband.liveness.heartbeat import Heartbeat
from slurmband.liveness.journal import Journal
from slurmband.liveness.notice import Notice, telling
from slurmband.liveness.snapshot import Snapshots, Survey, survey
from slurmband.locks.leftovers import remove_leftovers
from slurmband.processes import fate_of
from slurmband.store import membership, pruning, queries, statements
from slurmband.store.database import Store, Transaction
from slurmband.store.modes import Mode

log = logging.getLogger(__name__)


@dataclass(slots=True)
class News:
    """What is to be told once a transaction has committed.

    Parameters
    ----------
    calls : float
        Which share of those who wait is to look again.
    newest : int
        The newest event, where any are to.
    surveyed : dict, optional
        What people look at, if it was time for that; to be published at once if that is ``due``.
    """

    calls: float = 0.0
    newest: int = 0
    due: bool = False
    surveyed: Survey | None = None


class Life:
    """A registered incarnation of this process.

    Parameters
    ----------
    store : Store
    graph : Graph
    options : Options
    clock : Clock
    element : Element or None
        Where it runs, as SLURM's environment says.
    """

    def __init__(
        self, store: Store, graph: Graph, options: Options, clock: Clock, element: Element | None
    ) -> None:
        self._store = store
        self._graph = graph
        self._options = options
        self._clock = clock
        self._notice = Notice(store.layout.notice)
        self.snapshots = Snapshots(store.layout.snapshot, clock.monotonic)
        self.pid = os.getpid()
        self.pauses = Pauses(clock)
        self._number = self._heard = 0
        statements.prepare()
        self.worker = self._join(element)
        self.clerk = self._new_clerk()
        self._publications = self._published_by()
        self.journal = Journal(
            store.layout.journals,
            self.worker.key,
            durable=store.mode is Mode.SHARED,
            monotonic=clock.monotonic,
            output=output.Output(),
        )
        database = str(store.layout.database)
        self.heartbeat = Heartbeat(
            Beats(store.layout.beats).file(self.worker.key),
            interval=options.heartbeat_interval,
            timeout=options.heartbeat_timeout,
            release=[
                *(sys.executable, "-m", "slurmband.liveness.release"),
                *(database, str(self.worker.key)),
            ],
            release_after=options.release_after,
            monotonic=clock.monotonic,
        )
        log.info("worker=%s joined pid=%d", self.worker.name, self.pid)

    def take(self, graph: Graph) -> None:
        """Go on with a graph that the program has built anew."""
        self._graph = self.clerk.graph = graph
        self._publications = self._published_by()

    def _new_clerk(self) -> Clerk:
        return Clerk(self._graph, self._fingerprints, self._options, self._clock)

    def _published_by(self) -> Publications:
        """Return what is shared with those workers of the node that do a round as this one does."""
        graph = self._graph
        alike = (graph.digest, graph.fingerprints, self._fingerprints, self._options.failure_policy)
        return Publications(self._store.node_folder, self.worker.key, alike)

    def _join(self, element: Element | None) -> Worker:
        """Register, and go on until it is known whether that was committed."""
        who, now = applicant(element, self._options), self._clock.now()
        joined: Worker | None = None
        while True:
            try:
                with self._store.transaction() as tx:
                    self._register(tx, now)
                    if joined is None or not queries.is_there(tx, joined):
                        layout = self._store.layout
                        joined = incarnation.join(tx, layout, who, fate_of=fate_of, now=now)
                self.pauses.over()
                return joined
            except (CommitUnknown, DatabaseFault) as fault:
                self.pauses.pause(fault)

    def _register(self, tx: Transaction, now: float) -> None:
        self._fingerprints = register_graph(tx, self._graph, self._options, now=now)

    def round(
        self,
        reports: Sequence[Report],
        *,
        wish: Wish,
        keeping: Collection[int] = (),
        time: JobTime | None = None,
    ) -> Round:
        """Report what ended and claim what is next, in one transaction.

        Parameters
        ----------
        reports : sequence of (Claim, Ending)
        wish : Wish
            How many tasks to claim.
        keeping : collection of int
            Attempts that this worker holds, and goes on holding.
        time : JobTime, optional
            How long the worker's job lasts; it learns what the round found.

        Raises
        ------
        WorkerLost
            If this incarnation was judged lost: whatever it held was revoked.
        """
        self._number += 1
        asked = time.question() if time else None
        ends_at = time.news() if time else None
        request = Request(
            *(self.worker, self._number, self._heard, reports, wish, keeping),
            left=time.left() if time else None,
            limits=asked,
            ends_at=ends_at,
            fresh=time is not None and time.fresh,
        )
        while True:
            try:
                found = self._ask(request)
                break
            except (CommitUnknown, DatabaseFault) as fault:
                self.pauses.pause(fault)
                with suppress(JournalFault):  # it may take what the database does not
                    self.journal.settle()
        self.pauses.over()
        self._heard = request.number
        if time:
            time.heard(asked, ends_at, found.time_limit, ask=found.ask_slurm)
        return found

    def _ask(self, request: Request) -> Round:
        """Do a round, and those that others of this node ask for; or let one of them do it."""
        publications = self._publications
        with self._store.turn(RoundErrand(publications, request)) as ours:
            ready = self._do_for_node(request) if ours else None
        if ready is None:
            # Not under the lock, for which many may wait whose answers are there, too.
            answer = publications.withdraw(request)
            return self._ask(request) if answer is None else answer
        done, news = ready
        self._tell(news)
        if done.own.finished and any(of.reports for of, _ in done.all(request)):
            self._prune()
        return done.own

    def _do_for_node(self, request: Request) -> tuple[Done, News]:
        """Do a round, and answer those who ask for one; the caller holds the node's lock."""
        publications = self._publications
        publications.withdraw(request)
        done, news = self._do_together(request)
        for other, found in done.others:
            publications.answer(other, found)
        for other in done.stale:
            publications.discard(other)
        return done, news

    def _do_together(self, request: Request) -> tuple[Done, News]:
        """Do what others ask as well, unless that spoils our own round."""
        try:
            return self._do(request, self._publications.of_others)
        except (EnvironmentFault, WorkerLost):
            raise
        except Exception as error:  # whose fault it is shows when nobody else is in it
            log.warning("a round for several workers failed, and is done for one: %r", error)
            return self._do(request, lambda: iter(()))

    def _do(self, request: Request, others: Callable[[], Iterator[Request]]) -> tuple[Done, News]:
        """Do rounds in one transaction."""
        news = News()
        with self._store.transaction() as tx:
            done = self.clerk.do(tx, request, others)
            over = any(of.reports and not found.left for of, found in done.all(request))
            certain = done.again or over
            news.calls = 1.0 if certain else _share_called(tx, done)
            news.newest = queries.newest_event(tx) if news.calls else 0
            news.due = not done.own.claims or self.snapshots.due()
            if news.due or (self._store.mode is Mode.SHARED and self.snapshots.is_old()):
                news.surveyed = survey(tx)
        return done, news

    def _tell(self, news: News) -> None:
        """Tell those who wait, and those who look, what was committed."""
        if news.calls:
            self._notice.ring(news.newest, news.calls)
        if news.surveyed is not None:
            (self.snapshots.publish if news.due else self.snapshots.keep)(news.surveyed)

    def _prune(self) -> None:
        """Tidy up now that the band has nothing left to do; at the next end, if not now."""
        try:
            with self._store.transaction() as tx:
                pruning.prune(tx.connection)
            remove_leftovers(self._store.layout.locks)
            self._store.remove_old_generations()
        except (EnvironmentFault, OSError) as fault:
            log.warning("old history was not pruned: %s", fault)

    def begin(self, attempt: int, give_up: Callable[[], object]) -> bool:
        """Write down that an attempt begins, when that can be done; False if `give_up` said so first.

        What is not written down is not begun: whoever finds this worker dead would charge nobody.
        """
        while True:
            try:
                self.journal.begun(attempt)
            except JournalFault as fault:
                self.pauses.pause(fault)
                if give_up() or self.heartbeat.lost:
                    return False
            else:
                return True

    def leave(self, reports: Sequence[Report], reason: Reason) -> Round:
        """Report what ended, release what is held, and end this incarnation."""
        found, left = Round(), False
        try:
            if reports:
                found = self.round(reports, wish=NOTHING)
            with telling(self._store) as tx:
                membership.leave(tx, self.worker, reason, now=self._clock.now())
            left = True
            log.info("worker=%s left: %s", self.worker.name, reason)
        except WorkerLost as lost:
            found.refused.extend(held for held, _ in reports)
            log.warning("%s", lost)
        except EnvironmentFault as fault:
            log.warning("worker=%s left, perhaps unrecorded: %s", self.worker.name, fault)
        finally:
            self.abandon()
        if left:  # not before: the guardian keeps it open, and NFS would give it another name
            Beats(self._store.layout.beats).end(self.worker.key)
        return found

    def abandon(self) -> None:
        """Stop beating and close the journal, without a word to the database."""
        self.heartbeat.stop()
        self.journal.close()
        self._publications.tidy(now=self._clock.now())


def _share_called(tx: Transaction, done: Done) -> float:
    """Say which share of those who wait is to come, if work may have become ready."""
    ready = done.counts.claimable.values()
    if not done.freed or not any(ready):
        return 0.0
    return called(ready, queries.workers_alive(tx) - queries.workers_busy(tx))
