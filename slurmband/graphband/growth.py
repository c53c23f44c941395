"""The loop of a worker whose graph grows: it produces tasks whenever there is none to claim."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final, TypeVar

from slurmband.clock import Clock
from slurmband.domain.attempts import Claim, Ending, Outcome, Reason, Report
from slurmband.domain.graph import Graph
from slurmband.domain.pace import Wish
from slurmband.domain.task import Task
from slurmband.domain.tasks import Tasks
from slurmband.domain.workers import Element
from slurmband.errors import ProducerLost
from slurmband.graphband.clerk import Clerk, Done
from slurmband.graphband.feed import Feed
from slurmband.graphband.jobtime import JobTime
from slurmband.graphband.life import Life
from slurmband.graphband.loop import Loop
from slurmband.graphband.options import Options
from slurmband.graphband.publications import Publications
from slurmband.graphband.rounds import Request, Round
from slurmband.liveness import incarnation
from slurmband.locks.held import Held
from slurmband.processes import fate_of
from slurmband.store import growth, queries, registration
from slurmband.store.database import Store, Transaction
from slurmband.store.registration import GROWING

T = TypeVar("T")

#: What a producer registers at a time: at most so many tasks and dependencies, and what it read in
#: so many seconds; but at least one task.
SLICE: Final = 1000
DEPENDENCIES: Final = 20_000
SECONDS: Final = 0.5
#: What stands for the graph where it is never whole.
_NEVER_WHOLE: Final = Graph(Tasks(), GROWING)


class Registry:
    """The ids that the database is known to have; what no producer needs to register."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self._newest = 0

    def look(self, tx: Transaction) -> dict[str, int]:
        """Return what was registered since the last look; it is learned once `tx` has committed."""
        return growth.ids_after(tx, self._newest)

    def learn(self, found: Mapping[str, int]) -> None:
        """Remember what a look found."""
        self.ids.update(found)
        self._newest = max(found.values(), default=self._newest)


class GrowingClerk(Clerk):
    """Does rounds that also register what the graph grew by.

    Parameters
    ----------
    registry : Registry
    revision : int
        Which opening of the graph was found at the join.
    options : Options
    clock : Clock
    """

    def __init__(self, registry: Registry, revision: int, options: Options, clock: Clock) -> None:
        super().__init__(_NEVER_WHOLE, None, options, clock)
        self._registry = registry
        #: Which opening of the graph the last round found.
        self.revision = revision
        #: What to register in the next round, and whether nothing comes after it.
        self.slice: Sequence[Task[Any]] = ()
        self.ends = False
        #: The newest event, where the graph grew or a producer is needed.
        self.news = 0
        #: The ids that the last round found registered.
        self.found: Mapping[str, int] = {}

    def do(
        self, tx: Transaction, request: Request, others: Callable[[], Iterator[Request]]
    ) -> Done:
        """Register, report and claim; and find out who is to produce next."""
        me, now = request.worker.key, self._clock.now()
        grown = request.wish.want > 0 and self._grow(tx, me, now)
        done = super().do(tx, request, others)
        found = done.own
        idle = bool(request.wish.want) and not (
            request.wish.in_hand or found.claims or found.superseded or found.stopped_by
        )
        gave_back = not idle and growth.give_back(tx, me)
        found.producing = idle and (growth.is_producer(tx, me) or growth.take(tx, me, now=now))
        self.found = self._registry.look(tx) if found.producing else {}
        registered = registration.current(tx)
        if found.producing and registered is not None:
            self.revision = registered.number
        found.finished = found.finished and not growth.is_growing(tx)
        self.news = queries.newest_event(tx) if grown or gave_back or done.again else 0
        return done

    def _grow(self, tx: Transaction, me: int, now: float) -> bool:
        """Register the slice in hand, and the end, if that is still ours to do."""
        if not self.slice and not self.ends:
            return False
        try:
            growth.extend(tx, me, self.slice, now=now)
            if self.ends:
                growth.end(tx, me, now=now)
        except ProducerLost:
            return False  # whoever is the producer now reads the same tasks
        return True

    def _is_own(self, claim: Claim) -> bool:  # noqa: ARG002  # it reads on until it finds the task
        return True


class GrowingLife(Life):
    """A registered incarnation whose rounds also register what the graph grew by.

    Parameters
    ----------
    store : Store
    registry : Registry
    options : Options
    clock : Clock
    element : Element or None
    """

    clerk: GrowingClerk

    def __init__(
        self,
        store: Store,
        registry: Registry,
        options: Options,
        clock: Clock,
        element: Element | None,
    ) -> None:
        self._registry = registry
        self._revision = 0
        super().__init__(store, _NEVER_WHOLE, options, clock, element)

    def _register(self, tx: Transaction, now: float) -> None:
        options = self._options
        opened = growth.begin(
            tx,
            budgets=options.budgets,
            reopen=lambda: incarnation.alone(tx, fate_of=fate_of),
            now=now,
        )
        self._revision = opened.number
        self._fingerprints = None

    def _new_clerk(self) -> GrowingClerk:
        return GrowingClerk(self._registry, self._revision, self._options, self._clock)

    def _published_by(self) -> Publications:
        """Share nothing: these rounds depend on what this very process has read."""
        return Publications(None, self.worker.key, ())

    def round(
        self,
        reports: Sequence[Report],
        *,
        wish: Wish,
        keeping: Collection[int] = (),
        time: JobTime | None = None,
    ) -> Round:
        """Do a round, and tell the waiting what the graph grew by, or that a producer is needed."""
        clerk = self.clerk
        try:
            found = super().round(reports, wish=wish, keeping=keeping, time=time)
        finally:
            clerk.slice, clerk.ends = (), False
        self._registry.learn(clerk.found)
        if clerk.news:
            self._notice.ring(clerk.news)
        return found


class GrowingLoop(Loop[T]):
    """What a Graphband over a growing graph does between its first claim and its leave.

    Parameters
    ----------
    store : Store
    source : callable
        Returns the tasks; they are read as far as they are needed.
    once : bool
        Whether calling `source` again would give nothing more: it is a generator.
    options : Options
    clock : Clock
    locks : Held
    tqdm_kwargs : mapping
    interrupts : bool
    """

    def __init__(
        self,
        store: Store,
        source: Callable[[], Iterable[Task[T]]],
        options: Options,
        clock: Clock,
        *,
        once: bool,
        locks: Held,
        tqdm_kwargs: Mapping[str, Any],
        interrupts: bool,
    ) -> None:
        super().__init__(
            store,
            _NEVER_WHOLE,
            options,
            clock,
            locks=locks,
            tqdm_kwargs=tqdm_kwargs,
            interrupts=interrupts,
        )
        self._source = source
        self._once = once
        self._feed: Feed[T] = Feed(source)
        self._registry = Registry()
        #: The opening of the graph that the feed was begun in.
        self._opening: int | None = None

    def reread(self) -> None:
        """Begin the source anew, as for a further loop; a generator goes on where it is."""
        if not self._once:
            self._feed.close()
            self._feed = Feed(self._source)
            self._opening = None

    def leave(self) -> None:
        """Report what is still to be reported, end this incarnation, and read no further."""
        super().leave()
        if not self.of_parent:
            self.reread()

    def _new_life(self, element: Element | None) -> GrowingLife:
        return GrowingLife(self._store, self._registry, self._options, self._clock, element)

    def _task_of(self, held: Claim) -> Task[T] | None:
        """Find the task in this process's own source, reading on if need be."""
        released = Ending(Outcome.RELEASED, Reason.DRAINED)
        self._reading()
        try:
            task: Task[T] | None = self._feed.find(held.task, self.drain.__bool__)
        except BaseException:
            self._hand.ended(held, released)
            raise
        if task is None:
            self._hand.ended(held, released)
            return None
        return replace(task, attempt=held.number)

    def _produce(self) -> bool:
        clerk, opening = self._reading(), self._opening
        new, ends = self._feed.new(self._registry.ids, limit=SLICE, seconds=SECONDS)
        clerk.slice = new[: _fitting(new)]
        clerk.ends = ends and len(clerk.slice) == len(new)
        if clerk.ends and clerk.revision != opening and not self._once:
            # It was opened again since this source was begun, which may have more by now.
            self.reread()
            clerk.ends = False
            return True
        return bool(clerk.slice) or clerk.ends

    def _reading(self) -> GrowingClerk:
        """Remember in which opening of the graph the source was begun."""
        life = self.begun()
        assert isinstance(life, GrowingLife)
        if self._opening is None:
            self._opening = life.clerk.revision
        return life.clerk

    def _awaited(self) -> bool:
        return super()._awaited() or (self._producing and self._feed.ready)


def _fitting(new: Sequence[Task[Any]]) -> int:
    """Return how many of these tasks fit one slice; one, if it has very many dependencies."""
    totals = accumulate(len(task.dependencies) for task in new)
    return max(1, sum(total <= DEPENDENCIES for total in totals))
