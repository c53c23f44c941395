"""The loop of one worker: begin a life, report and claim, begin and end tasks, leave."""

import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar

from slurmband.cgroups import oom_kills
from slurmband.clock import Clock
from slurmband.domain.attempts import Claim, Ending, Outcome
from slurmband.domain.graph import Graph
from slurmband.domain.pace import NOTHING, Pace, Wish
from slurmband.domain.task import Task
from slurmband.domain.workers import LOCAL_CLUSTER, Element, Stop
from slurmband.errors import (
    BandStopped,
    HandedBack,
    SlurmbandError,
    TimeLimitReached,
    WorkerLost,
)
from slurmband.graphband.dues import Dues
from slurmband.graphband.endings import (
    AT_THE_WALL,
    COMPLETED,
    INTERRUPTED,
    NO_TIME,
    NOT_BEGUN,
    at_exit,
    failure,
    for_memory,
)
from slurmband.graphband.hand import Hand
from slurmband.graphband.jobtime import JobTime
from slurmband.graphband.leaving import Leaving
from slurmband.graphband.life import Life
from slurmband.graphband.options import Options
from slurmband.graphband.orders import BY_A_PERSON, Orders
from slurmband.graphband.overruns import Alarm
from slurmband.graphband.progress import Progress
from slurmband.graphband.rounds import Round
from slurmband.graphband.signals import Drain
from slurmband.graphband.title import Title
from slurmband.graphband.waiting import Lookout
from slurmband.liveness.continuing import continue_array
from slurmband.liveness.inquiry import causes_for
from slurmband.locks.held import Held
from slurmband.processes import age_of_this_process
from slurmband.slurm.environment import element_from
from slurmband.slurm.times import end_of_job, time_limit_of
from slurmband.store.database import Store

log = logging.getLogger(__name__)

_ENDED_BADLY: Final = frozenset({Outcome.FAILED, Outcome.KILLED})

T = TypeVar("T")


class Loop(Generic[T]):
    """What a Graphband does between its first claim and its leave; it may begin anew afterwards.

    Parameters
    ----------
    store : Store
    graph : Graph
    options : Options
    clock : Clock
    locks : Held
        What this process holds, which its beats keep fresh.
    tqdm_kwargs : mapping
        For the progress bar.
    interrupts : bool
        Whether SIGINT, too, asks this worker to leave.
    """

    def __init__(
        self,
        store: Store,
        graph: Graph,
        options: Options,
        clock: Clock,
        *,
        locks: Held,
        tqdm_kwargs: Mapping[str, Any],
        interrupts: bool,
    ) -> None:
        self._store = store
        self._graph = graph
        self._options = options
        self._clock = clock
        self._locks = locks
        self._tqdm_kwargs = tqdm_kwargs
        self._interrupts = interrupts
        self._causes = causes_for(store, clock.now)
        self._life: Life | None = None
        self._name = ""
        self._lookout: Lookout | None = None
        self._hand = Hand()
        self._pace = Pace(options.max_claims)
        self._talking = threading.Lock()  # the lookout's thread may do a round, too
        self._found = Round()
        self._asked = self._taken = self._began = 0.0
        self._dues = Dues(clock, options.heartbeat_timeout)
        self._producing = False
        self._orders = Orders(store)
        self._time = JobTime(clock)
        self._alarm = Alarm()
        self._oom_kills = 0
        self.drain = Drain(self._forward)
        #: Why it leaves, and whether for good.
        self.leaving = Leaving(self.drain, self._time)
        #: Shows what this worker does.
        self.title = Title()
        self._progress = Progress(tqdm_kwargs)
        #: The claim in hand.
        self.held: Claim | None = None
        #: Set to end the loop after the task in hand.
        self.closing = False

    def take(self, graph: Graph) -> None:
        """Go on with a graph that the program has built anew."""
        self._graph = graph
        if self._life is not None:
            self._life.take(graph)

    # --- rounds -----------------------------------------------------------------------------------

    def next(self, *, wait: bool) -> tuple[Task[T] | None, Round]:
        """Return the next task, or None when it is time to leave; report, when it is time for that.

        Returns
        -------
        Task or None, Round
            The round is the newest.

        Raises
        ------
        GraphChanged, FingerprintsChanged
            If a newer graph than this program's was registered.
        BandStopped
            If a task failed and the policy is to stop.
        """
        while True:
            life, lookout = self.begun(), self._lookout
            assert lookout is not None
            if not self._may_ask_later(life):
                found = self._ask(life, lookout)
                if found is None:
                    continue
                if found.stop:
                    self.drain.ask(BY_A_PERSON)
                if self.drain:
                    log.info("worker=%s leaves: %s", life.worker.name, self.drain.asked_by)
                    return None, found
                if not self._hand and (found.no_time or (self._time.over and found.left)):
                    return None, self._out_of_time(life, found)
                fresh = life.heartbeat.fresh()
                if self.closing or (fresh and not self._hand and not self._stays(found, wait=wait)):
                    if found.left:  # a program that loops until nothing is left must see the dead
                        lookout.reap_if_due()
                    return None, found
                if not fresh or not self._hand:
                    self._wait(life, lookout, found)
                    continue
                lookout.reap_if_due()
            task = self._begin_next()
            if task is not None:
                return task, self._found

    def _may_ask_later(self, life: Life) -> bool:
        """Whether what is in hand can be begun before anything is reported."""
        hand = self._hand
        if not hand or hand.urgent or self.drain or self.closing:
            return False
        if life.heartbeat.lost or not life.heartbeat.fresh():
            return False
        return self._clock.monotonic() - self._asked < self._pace.patience(awaited=hand.awaited)

    def _ask(self, life: Life, lookout: Lookout) -> Round | None:
        """Do a round: report, and fill the hand; None if this incarnation was judged lost."""
        lookout.remember()
        self._oom_kills = oom_kills()
        leaves = self.drain or self.closing or not life.heartbeat.fresh()
        try:
            found = self._talk(life, NOTHING if leaves else self._pace.wish(len(self._hand)))
        except WorkerLost as lost:
            self._mourn(life, lost)
            return None
        self._dues.settle(life.heartbeat)
        if self._hand or self._hand.reports:
            self._dues.owe()
        self._tell(found)
        if found.superseded is not None:
            raise found.superseded
        if found.stopped_by is not None:
            raise BandStopped(found.stopped_by)
        return found

    def _talk(self, life: Life, wish: Wish) -> Round:
        with self._talking:
            reports, began = self._hand.reports, self._clock.monotonic()
            life.journal.sync()  # of what the database says, the journal tells as well
            keeping = self._hand.attempts | ({self.held.attempt} if self.held else set())
            found = life.round(reports, wish=wish, keeping=keeping, time=self._time)
            self._hand.told(reports)
            self._hand.add(found.claims)
            self._asked = self._clock.monotonic()
            self._pace.asked(self._asked - began, len(self._hand) if found.claims else 0)
            self._found = found
            return found

    def _out_of_time(self, life: Life, found: Round) -> Round:
        """Say why this worker leaves although there is work."""
        self.leaving.no_time = True
        left = max(0.0, self._time.left() or 0.0)
        log.info(
            "worker=%s leaves: nothing that is ready fits into the %.0f s that its job has left",
            *(life.worker.name, left),
        )
        return found

    def _stays(self, found: Round, *, wait: bool) -> bool:
        """Whether to wait for work where there is none now."""
        return found.left > 0 and (wait or found.producing)

    def _wait(self, life: Life, lookout: Lookout, found: Round) -> None:
        fresh = life.heartbeat.fresh()
        self.title.doing(life.worker.name, "waiting")
        self._producing = found.producing
        if found.producing and self._produce():
            return
        if not fresh:
            log.warning("worker=%s cannot beat: it begins nothing meanwhile", life.worker.name)
        lookout.wait(self._awaited if fresh else life.heartbeat.fresh)

    def _begin_next(self) -> Task[T] | None:
        held = self._hand.take()
        if held is None:
            return None
        if not self._time.allows(held.foreseen):
            self._hand.ended(held, NO_TIME)
            return None
        return self._begin_task(held)

    def _produce(self) -> bool:
        """Make the graph grow, where it is this worker's turn; whether the next round has work."""
        return False

    def _awaited(self) -> bool:
        """Whether a waiting worker has a reason of its own for the next round."""
        return bool(self.drain) or self._time.over

    def _task_of(self, held: Claim) -> Task[T] | None:
        """Return the task that was claimed; None if it was handed back, since the worker leaves."""
        return self._graph.tasks.handed_out(held.task, held.number)

    def _begin_task(self, held: Claim) -> Task[T] | None:
        life, self._taken = self.begun(), self._clock.monotonic()
        task = self._task_of(held)
        if task is None:
            return None
        if not life.begin(held.attempt, give_up=self.drain.__bool__):
            self._hand.ended(held, INTERRUPTED)
            return None
        self.held, self._time.fresh = held, False
        self._dues.settle(life.heartbeat)
        self.title.in_task(life.worker.name, held.task, held.number)
        self._began = self._clock.monotonic()
        if held.time_limit is not None:
            life.heartbeat.limit(held.time_limit, held.attempt)
        _log(logging.INFO, "task=%s attempt=%d worker=%s began", *_names(held, life))
        return task

    def set_alarm(self) -> None:
        """Let the task in hand be interrupted when it takes too long; its code is to begin now."""
        if self.held is not None and self.held.time_limit is not None:
            self._alarm.set(self.held.time_limit)

    def attempt(self, function: Callable[[Task[T]], object], task: Task[T]) -> None:
        """Run `function` on the task in hand, and write down how it ended."""
        try:
            try:
                self.set_alarm()
                function(task)
            finally:
                self._alarm.stop()  # from here on it is not the task that would be stopped
        except KeyboardInterrupt:
            if not self.of_parent:
                self.end_task(INTERRUPTED)
            raise
        except (
            Exception,
            SystemExit,
            TimeLimitReached,
            HandedBack,
        ) as error:  # the loop's edge: it is an outcome
            if self.of_parent:
                raise  # a child that was forked in the task ends as its own code says
            self.end_task(failure(error))
        else:
            self.end_task(COMPLETED)

    def end_task(self, ending: Ending) -> None:
        """Write down how the task in hand ended; the next round reports it."""
        self._alarm.stop()
        held, life = self.held, self.begun()
        assert held is not None
        if held.time_limit is not None:
            life.heartbeat.limit(None)
        seconds = self._clock.monotonic() - self._began
        if ending is INTERRUPTED and self.leaving.cuts_short:
            ending = AT_THE_WALL
        if ending.outcome is Outcome.FAILED and oom_kills() > self._oom_kills:
            ending = for_memory(ending)  # of a program that it ran: the worker is still there
        ending = Ending(ending.outcome, ending.reason, ending.error, seconds)
        life.journal.ended(held.attempt, ending)
        self._hand.ended(held, ending)
        self.held = None
        self._dues.owe()
        self._pace.ran(self._clock.monotonic() - self._taken)
        _log(
            logging.WARNING if ending.outcome in _ENDED_BADLY else logging.INFO,
            "task=%s attempt=%d worker=%s %s after %.2f s%s",
            *(*_names(held, life), ending.outcome, seconds),
            f": {ending.reason}" if ending.reason else "",
        )

    @property
    def bar(self) -> Any:
        """The progress bar; None while there is none."""
        return self._progress.bar

    # --- lives ------------------------------------------------------------------------------------

    @property
    def of_parent(self) -> bool:
        """Whether this is a forked child, which must not speak for its parent."""
        return self._life is not None and self._life.pid != os.getpid()

    @property
    def name(self) -> str:
        """Name of this worker, also after it left; it joins to have one."""
        if self._life is None and self._name:
            return self._name
        return self.begun().worker.name

    def begun(self) -> Life:
        """Return the present incarnation, beginning one where there is none."""
        if self._life is None:
            self._life = self._begin()
        if self.of_parent:
            raise SlurmbandError(
                "this band belongs to another process. Make a Graphband of its own after a fork."
            )
        return self._life

    def _begin(self) -> Life:
        element = element_from(os.environ)
        life = self._new_life(element)
        self._dues.settle(life.heartbeat)
        self._learn_time(element)
        if self._lookout is None:  # what it has seen of others outlives this worker's own lives
            self._lookout = Lookout(
                self._store,
                interval=self._options.heartbeat_interval,
                timeout=self._options.heartbeat_timeout,
                backup_interval=self._options.seconds_between_backups(self._store.mode),
                ask_slurm=self._causes.of,
                clock=self._clock,
                at_each_look=self._look_after_task,
            )
        self._lookout.begin(life.worker.key)
        self._name = life.worker.name
        self.drain.listen(interrupts=self._interrupts)
        life.heartbeat.hear_signals()
        life.heartbeat.on_beat = lambda: self._at_beat(life)
        self._locks.worker_is(life.worker.key)
        atexit.register(self._at_exit)
        self._progress = Progress(self._tqdm_kwargs)
        self.leaving.no_time = False
        return life

    def _learn_time(self, element: Element | None) -> None:
        """Learn when this worker's job ends, or how to find that out."""
        ends_at = end_of_job(os.environ)
        if ends_at is not None:
            self._time.learn(ends_at)
        elif element and element.submission and element.cluster != LOCAL_CLUSTER:
            self._time.inquire(element.submission, age_of_this_process())

    def _look_after_task(self) -> None:
        """Do what is due while the task runs, in the lookout's thread."""
        if (life := self._life) is not None:
            life.journal.sync()
            self._hear_orders(life)
            element = life.worker.element
            if element is not None and element.array_job_id is not None:
                self._time.ask(partial(time_limit_of, element.array_job_id))
        self._ask_meanwhile()

    def _hear_orders(self, life: Life) -> None:
        how = self._orders.hear(life.worker.key)
        if how is not None:
            self.drain.ask(BY_A_PERSON)
        if how is Stop.NOW:
            os.kill(os.getpid(), signal.SIGTERM)  # as `scancel` does: the guardian sees to it

    def _ask_meanwhile(self) -> None:
        """In a task that turns out to be long, report, and hand back what others could do meanwhile."""
        life, held = self._life, self.held
        if life is None or held is None:
            return
        if not (self._hand or self._hand.reports or self._time.wants_a_round):
            return
        if self._clock.monotonic() - self._began < self._pace.longest():
            return
        self._hand.give_up(NOT_BEGUN)
        with suppress(WorkerLost):  # its own thread finds out, and says so
            self._talk(life, NOTHING)

    def _at_beat(self, life: Life) -> None:
        """Do what is to be done now and then, in the thread that hears the beats."""
        self._locks.beat()
        self._dues.check(life.heartbeat, paused_at=life.pauses.last)
        life.snapshots.flush()

    def _new_life(self, element: Element | None) -> Life:
        return Life(self._store, self._graph, self._options, self._clock, element)

    def leave(self) -> None:
        """Report what is still to be reported, and end this incarnation."""
        if self._life is None or self.of_parent:
            return
        life, self._life = self._life, None
        self.title.doing(life.worker.name, "leaving")
        self._locks.worker_is(None)  # while it still beats: what is held stays held
        if self._lookout is not None:
            self._lookout.end()
        reports = self._hand.reports
        self._hand.clear()  # what was not begun goes back with this incarnation
        try:
            reason = self.leaving.reason
            self._tell(life.leave(reports, reason))
            if self.leaving.is_for_time(reason):
                continue_array(str(self._store.layout.database), life.worker.key)
        finally:
            self.title.restore()
            self.drain.restore()
            atexit.unregister(self._at_exit)
            self._progress.close()

    def _mourn(self, life: Life, lost: WorkerLost) -> None:
        """Learn that this incarnation was judged lost; the next round begins another."""
        log.warning("%s; going on as a new incarnation", lost)
        for held in self._hand.clear():
            _say_refused(held)
        self._life = None
        self._locks.worker_is(None)
        if self._lookout is not None:
            self._lookout.end()
        life.abandon()

    def _at_exit(self) -> None:
        """Record a loop that the interpreter's end finds open."""
        if self._life is not None and not self.of_parent:
            if self.held is not None:
                self.end_task(at_exit())
            self.leave()

    def _forward(self, number: int) -> None:
        if self._life is not None:
            self._life.heartbeat.forward(number)

    # --- what people see --------------------------------------------------------------------------

    def _tell(self, found: Round) -> None:
        for held in found.refused:
            _say_refused(held)
        self._progress.show(found)


def _names(held: Claim, life: Life) -> tuple[str, int, str]:
    return held.task, held.number, life.worker.name


def _log(level: int, words: str, *values: object) -> None:
    """Log what is logged for each task; where in this file that is, need not be found out each time."""
    if log.isEnabledFor(level):
        log.handle(log.makeRecord(log.name, level, __file__, 0, words, values, None))


def _say_refused(held: Claim) -> None:
    log.warning(
        "task=%s attempt=%d: the report was refused, since the claim had been revoked; "
        "the task is somebody else's now",
        *(held.task, held.number),
    )
