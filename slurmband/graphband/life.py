"""One incarnation of a worker: it joins, does rounds with the database, and leaves."""

import logging
import os
import random
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from slurmband.clock import Clock
from slurmband.domain.attempts import Claim, Reason
from slurmband.domain.graph import Graph
from slurmband.domain.pace import NOTHING, Wish
from slurmband.domain.states import ACTIVE, TaskState, wanted
from slurmband.domain.workers import Element, Worker
from slurmband.errors import (
    CommitUnknown,
    DatabaseFault,
    EnvironmentFault,
    FingerprintsChanged,
    GraphChanged,
    GraphError,
    JournalFault,
    WorkerLost,
)
from slurmband.graphband.options import Options
from slurmband.graphband.rounds import Report, Round
from slurmband.liveness import incarnation
from slurmband.liveness.beats import Beats
from slurmband.liveness.heartbeat import Heartbeat
from slurmband.liveness.incarnation import Applicant
from slurmband.liveness.journal import Journal
from slurmband.liveness.notice import Notice, telling
from slurmband.liveness.snapshot import Snapshots, survey
from slurmband.locks.leftovers import remove_leftovers
from slurmband.processes import fate_of, identify
from slurmband.store import (
    claiming,
    interventions,
    membership,
    pruning,
    queries,
    registration,
    transitions,
)
from slurmband.store.database import Store, Transaction
from slurmband.store.modes import Mode
from slurmband.store.registration import Budgets

log = logging.getLogger(__name__)

#: Seconds to wait when the database cannot be used, such as for a full disk.
AFTER_A_FAULT = 10.0


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
        self.graph = graph
        self._options = options
        self._clock = clock
        self._notice = Notice(store.layout.notice)
        self.snapshots = Snapshots(store.layout.snapshot, clock.monotonic)
        self.pid = os.getpid()
        self._doubts = 0
        self.worker = self._join(element)
        self.journal = Journal(
            store.layout.journals, self.worker.key, durable=store.mode is Mode.SHARED
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

    def _join(self, element: Element | None) -> Worker:
        options = self._options
        applicant = Applicant(
            process=identify(),
            element=element,
            labels=options.labels,
            identifier=options.identifier,
            heartbeat_timeout=options.heartbeat_timeout,
            log=_log_file(),
        )
        now = self._clock.now()
        joined: Worker | None = None
        while True:
            try:
                with self._store.transaction() as tx:
                    self._register(tx, now)
                    if joined is None or not queries.is_there(tx, joined):
                        joined = incarnation.join(
                            tx, self._store.layout, applicant, fate_of=fate_of, now=now
                        )
                self._doubts = 0
                return joined
            except (CommitUnknown, DatabaseFault) as fault:
                self._pause(fault)

    def _register(self, tx: Transaction, now: float) -> None:
        options = self._options
        registration.register(
            tx,
            self.graph,
            budgets=Budgets(options.max_failed_retries, options.max_killed_retries),
            new_revision=False,
            compare=options.enable_fingerprints,
            alone=lambda: incarnation.alone(tx, fate_of=fate_of),
            now=now,
        )
        registered = registration.current(tx)
        assert registered is not None
        self._fingerprints = registered.fingerprints
        if options.enable_fingerprints and self._fingerprints != self.graph.fingerprints:
            log.warning(
                "the fingerprints of this program are not the registered ones, and other workers are "
                "there: nothing is run again for it. They are compared by `slurmband submit`, by "
                "band.register(), and by the first worker after all others have left."
            )

    def round(
        self, reports: Sequence[Report], *, wish: Wish, keeping: Collection[int] = ()
    ) -> Round:
        """Report what ended and claim what is next, in one transaction.

        Parameters
        ----------
        reports : sequence of (Claim, Ending)
        wish : Wish
            How many tasks to claim.
        keeping : collection of int
            Attempts that this worker holds, and goes on holding.

        Raises
        ------
        WorkerLost
            If this incarnation was judged lost: whatever it held was revoked.
        """
        unknown = False
        while True:
            found = Round()
            try:
                with self._store.transaction() as tx:
                    freed = self._report(tx, reports, found)
                    self._look_and_claim(tx, found, wish, keeping if unknown else None)
                    over = bool(reports) and not found.left
                    newest = self._worth_telling(tx, certain=unknown or over, perhaps=freed)
                    due = not found.claims or self.snapshots.due()
                    surveyed = survey(tx) if due or self._store.mode is Mode.SHARED else None
                break
            except (CommitUnknown, DatabaseFault) as fault:
                unknown = unknown or isinstance(fault, CommitUnknown)
                self._pause(fault)
                with suppress(JournalFault):  # it may take what the database does not
                    self.journal.settle()
        self._doubts = 0
        if newest:
            self._notice.ring(newest)
        if surveyed is not None:
            (self.snapshots.publish if due else self.snapshots.keep)(surveyed)
        if reports and found.finished:
            self._prune()
        return found

    def _worth_telling(self, tx: Transaction, *, certain: bool, perhaps: bool) -> int:
        """Return the newest event, where those who wait are to look again; else 0."""
        if certain or (perhaps and queries.is_claimable(tx)):
            return queries.newest_event(tx)
        return 0

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
                self._pause(fault)
                if give_up() or self.heartbeat.lost:
                    return False
            else:
                return True

    def _pause(self, fault: EnvironmentFault) -> None:
        """Wait before trying the same again: what is known must not be lost."""
        seconds = AFTER_A_FAULT
        if isinstance(fault, CommitUnknown):  # where it stays so, as on a full disk, it is no hurry
            seconds = min(seconds, random.uniform(0.1, 1.0) * 2**self._doubts)
            self._doubts += 1
        log.warning("trying again in %.1f s: %s", seconds, fault)
        self._clock.sleep(seconds)

    def _report(self, tx: Transaction, reports: Sequence[Report], found: Round) -> bool:
        """Close the attempts that ended; True if that made other work ready."""
        closed = transitions.close_all(tx, reports, now=self._clock.now())
        outcomes = {held.attempt: ending.outcome for held, ending in reports}
        for held in closed.lost:
            # Recorded already: by a commit whose outcome was unknown, or from the journal.
            if queries.outcome_of(tx, held.attempt) != outcomes[held.attempt]:
                found.refused.append(held)
        return bool(closed.freed)

    def _look_and_claim(
        self, tx: Transaction, found: Round, wish: Wish, unknown: Collection[int] | None
    ) -> None:
        """Claim, or adopt what an `unknown` commit may have claimed besides what is kept."""
        membership.check_alive(tx, self.worker)
        if self._options.failure_policy == "stop":
            found.stopped_by = queries.first_ended_badly(tx)
        found.superseded = self._superseded(tx)
        if wish.want and found.superseded is None and found.stopped_by is None:
            if unknown is not None:
                held = queries.open_claims(tx, self.worker.key)
                found.claims = [claim for claim in held if claim.attempt not in unknown]
            found.claims = found.claims or self._claim(tx, wish)
        counts = queries.counts(tx)
        found.completed, found.total = counts[TaskState.COMPLETED], wanted(counts)
        found.left = queries.active_for(tx, self.worker.labels)
        found.finished = not any(counts[state] for state in ACTIVE)

    def _superseded(self, tx: Transaction) -> GraphError | None:
        """Say in which way the registered graph is no longer the one this worker joined with."""
        registered = registration.current(tx)
        assert registered is not None
        if registered.digest != self.graph.digest:
            return GraphChanged(registered.digest, self.graph.digest)
        if registered.fingerprints in (self._fingerprints, self.graph.fingerprints, None):
            return None
        return FingerprintsChanged()

    def _claim(self, tx: Transaction, wish: Wish) -> list[Claim]:
        """Claim tasks that are in this worker's own graph."""
        now = self._clock.now()
        while claims := self._claim_share(tx, wish):
            own = [claim for claim in claims if claim.task in self.graph.tasks]
            for claim in claims:
                if claim.task not in self.graph.tasks:
                    interventions.disown(tx, claim, now=now)
            if own:
                return own
        return []

    def _claim_share(self, tx: Transaction, wish: Wish) -> list[Claim]:
        worker, limit = self.worker, wish.want
        if limit > 1:
            ready = queries.claimable_for(tx, worker.labels)
            limit = wish.of(ready, queries.workers_alive(tx))
        return claiming.claim(tx, worker.key, worker.labels, limit=limit, now=self._clock.now())

    def leave(self, reports: Sequence[Report], reason: Reason) -> Round:
        """Report what ended, release what is held, and end this incarnation."""
        found = Round()
        try:
            if reports:
                found = self.round(reports, wish=NOTHING)
            with telling(self._store) as tx:
                membership.leave(tx, self.worker, reason, now=self._clock.now())
            Beats(self._store.layout.beats).end(self.worker.key)
            log.info("worker=%s left: %s", self.worker.name, reason)
        except WorkerLost as lost:
            found.refused.extend(held for held, _ in reports)
            log.warning("%s", lost)
        except EnvironmentFault as fault:
            log.warning("worker=%s left, perhaps unrecorded: %s", self.worker.name, fault)
        finally:
            self.abandon()
        return found

    def abandon(self) -> None:
        """Stop beating and close the journal, without a word to the database."""
        self.heartbeat.stop()
        self.journal.close()


def _log_file() -> str | None:
    """Return the file that standard output goes to; None for a terminal or a pipe."""
    try:
        path = os.readlink("/proc/self/fd/1")
    except OSError:
        return None
    return path if path.startswith("/") and os.path.isfile(path) else None
