"""Whatever happens, in whatever order, and whoever's clock says what: the store agrees with a model."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.task import Task
from slurmband.domain.workers import Worker
from slurmband.errors import ClaimLost
from slurmband.liveness.beats import Beats, Watch
from slurmband.liveness.reaper import Reaper
from slurmband.store import claiming, interventions, invariants, transitions
from slurmband.store.claiming import Taker
from slurmband.store.database import Store, Transaction
from tests.fakes.clock import HandClock
from tests.store.builders import COMPLETED, ELSEWHERE, FAILED, RELEASED, Bench, names, task

pytestmark = pytest.mark.unit

PICK = st.integers(0, 99)
#: Every process writes times by a clock of its own, which may be wrong by days.
TIME = st.floats(-1e6, 1e6)
BADLY: Final = ("failed", "killed", "cancelled")
STARTED: Final = ("running", "completed")
TIMEOUT: Final = 60.0  # the heartbeat timeout that the bench gives its workers


@dataclass
class Node:
    """A task as the model sees it."""

    name: str
    needs: frozenset[str]
    slots: int
    priority: int
    of: str | None = None
    state: str = "waiting"
    open: dict[int, str | None] = field(default_factory=dict)
    failures: int = 0
    deaths: int = 0
    completed: bool = False
    last: str | None = None
    in_graph: bool = True

    def again(self, state: str) -> None:
        """Begin a round with whole budgets."""
        self.state, self.failures, self.deaths, self.completed = state, 0, 0, False


class Model:
    """The promises, said once more and as simply as can be."""

    def __init__(self, nodes: list[Node], failed: int, killed: int) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.failed, self.killed, self.compare = failed, killed, False
        self.settle()

    def claimable(self) -> list[str]:
        found = [n for n in self.nodes.values() if self._claimable(n)]
        return [node.name for node in sorted(found, key=lambda node: -node.priority)]

    def _claimable(self, node: Node) -> bool:
        joinable = node.state == "running" and not node.completed and not self._spent(node)
        free = joinable and len(node.open) < node.slots
        return node.state in ("ready", "invalidated") or free

    def _spent(self, node: Node) -> str | None:
        if node.failures > self.failed:
            return "failed"
        return "killed" if node.deaths > self.killed else None

    def claim(self, name: str, attempt: int) -> None:
        self.nodes[name].state = "running"
        self.nodes[name].open[attempt] = self.nodes[name].of

    def end(self, name: str, attempt: int, outcome: str) -> None:
        node = self.nodes[name]
        of = node.open.pop(attempt)
        node.failures += outcome == "failed"
        node.deaths += outcome == "killed"
        if outcome == "completed":
            node.completed, node.last = True, of
        if not node.open:
            node.state = "completed" if node.completed else self._spent(node) or "ready"
            self.invalidate([node] if self.compare else [])
            self.settle()

    def invalidate(self, among: Iterable[Node]) -> None:
        for node in among:
            known = None not in (node.of, node.last)
            if node.state == "completed" and known and node.of != node.last:
                node.again("invalidated")

    def cancel(self, name: str) -> None:
        self.nodes[name].state = "cancelled"
        self.nodes[name].open.clear()
        self.settle()

    def retry(self, chosen: Iterable[str]) -> None:
        for name in chosen:
            self.nodes[name].again("waiting")
        self.settle()

    def revise(self, graph: list[Node], *, compare: bool) -> None:
        """Take over another graph: what has started waits for nothing new unless it runs again."""
        wanted = {node.name: node for node in graph}
        for node in self.nodes.values():
            new = wanted.pop(node.name, None)
            if new is None and node.state not in (*STARTED, "cancelled"):
                node.state = "cancelled"
            back = new is not None and not node.in_graph and node.state == "cancelled"
            node.in_graph = new is not None
            if new is None:
                continue
            node.of = new.of
            said = (new.needs, new.slots, new.priority)
            if node.state in STARTED:
                node.needs = new.needs
            if node.state == "completed":
                node.slots, node.priority = new.slots, new.priority
            elif back or (
                node.state not in STARTED and said != (node.needs, node.slots, node.priority)
            ):
                node.needs, node.slots, node.priority = said
                node.state = "waiting" if node.state not in BADLY else node.state
            if back:
                node.again("waiting")
        self.nodes |= wanted
        self.compare = compare and any(node.of for node in graph)
        self.invalidate(self.nodes[n.name] for n in graph if compare)
        self.settle()

    def settle(self) -> None:
        """Free, hold and block; the nodes are in an order in which dependencies come first."""
        for node in self.nodes.values():
            if node.state not in ("waiting", "ready", "invalidated", "blocked"):
                continue
            above = {self.nodes[name].state for name in node.needs}
            if above & {*BADLY, "blocked"}:
                node.state = "blocked"
            elif above - {"completed"}:
                node.state = "waiting"
            elif node.state != "invalidated":
                node.state = "ready"


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 6) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, most))):
        above = [node.name for node in nodes]
        needs = draw(st.sets(st.sampled_from(above), max_size=3)) if above else set()
        slots, priority = draw(st.integers(1, 2)), draw(st.integers(0, 1))
        nodes.append(Node(f"t{number}", frozenset(needs), slots, priority))
    return nodes


def as_tasks(nodes: Iterable[Node]) -> list[Task[None]]:
    return [task(n.name, *n.needs, slots=n.slots, priority=n.priority, of=n.of) for n in nodes]


class Crash(Exception):
    """The process ends in the middle of a transaction."""


class Life(RuleBasedStateMachine):
    """Workers that come, work, fail, leave, freeze and die; a person who gives up and tries again."""

    def __init__(self) -> None:
        super().__init__()
        memory = (
            "/dev/shm" if os.path.isdir("/dev/shm") else None
        )  # a hundred files: spare the disk
        self.folder = tempfile.TemporaryDirectory(dir=memory)
        store = Store(Path(self.folder.name) / "a.sqlite", mode="local", create=True)
        self.bench = Bench(store)
        self.workers: dict[Worker, list[Claim]] = {}
        self.paused: set[Worker] = set()
        self.dead: set[ProcessIdentity] = set()
        self.stale: list[Claim] = []
        self.joined = 0
        self.clock = HandClock()
        self.beats = Beats(store.layout.beats)
        watch = Watch(self.beats, self.clock.monotonic)
        self.reaper = Reaper(
            store,
            lambda workers: watch.look([w.key for w in workers], longest_gap=TIMEOUT),
            lambda _elements: {},
            lambda process: Fate.GONE if process in self.dead else Fate.UNKNOWN,
            self.clock.now,
        )

    def teardown(self) -> None:
        self.bench.store.close()
        self.folder.cleanup()

    @initialize(nodes=graphs(), failed=st.integers(0, 2), killed=st.integers(0, 2))
    def register(self, nodes: list[Node], failed: int, killed: int) -> None:
        self.model = Model(nodes, failed, killed)
        self.bench.register(*as_tasks(nodes), failed=failed, killed=killed)

    # --- workers ------------------------------------------------------------------------------

    @rule(now=TIME)
    def join(self, now: float) -> None:
        self.joined += 1
        process = replace(ELSEWHERE, pid=self.joined)
        worker = self.bench.worker(f"w{self.joined}", process=process, now=now)
        self.beats.start(worker.key)
        self.workers[worker] = []

    @precondition(lambda self: self.workers)
    @rule(pick=PICK, limit=st.integers(1, 3), now=TIME)
    def claim(self, pick: int, limit: int, now: float) -> None:
        worker = self._worker(pick)
        in_it = names(self.workers[worker])  # a worker is in a task once
        expected = [name for name in self.model.claimable() if name not in in_it][:limit]

        got = self.bench.claims(worker, limit=limit, now=now)

        assert names(got) == expected
        for held in got:
            self.model.claim(held.task, held.attempt)
        self.workers[worker] += got

    @precondition(lambda self: len(self.workers) > 1)
    @rule(limits=st.lists(st.integers(1, 3), min_size=2, max_size=4), now=TIME)
    def claim_together(self, limits: list[int], now: float) -> None:
        """As workers of a node, of which one does the round of all."""
        some = list(zip(self.workers, limits, strict=False))
        before = self.model.claimable()
        takers = [Taker(worker.key, worker.labels, limit) for worker, limit in some]

        with self.bench.store.transaction() as tx:
            taken = claiming.claim(tx, takers, now=now)

        for worker, limit in some:
            got = taken[worker.key]
            assert len(got) <= limit
            assert set(names(got)) <= set(before).difference(names(self.workers[worker]))
            for held in got:
                self.model.claim(held.task, held.attempt)
            self.workers[worker] += got
        for worker, limit in some:  # nobody idles where there is something for it
            left = set(self.model.claimable()).difference(names(self.workers[worker]))
            assert len(taken[worker.key]) == limit or not left

    @precondition(lambda self: any(self.workers.values()))
    @rule(pick=PICK, ending=st.sampled_from([COMPLETED, COMPLETED, FAILED, RELEASED]), now=TIME)
    def report(self, pick: int, ending: Ending, now: float) -> None:
        held = self._held(pick)
        before = self._claimable()

        freed = self.bench.close(held, ending, now=now)

        self._ended(held, ending.outcome)
        assert freed == self._claimable() - before

    @precondition(lambda self: any(self.workers.values()))
    @rule(
        pick=PICK,
        endings=st.lists(
            st.sampled_from([COMPLETED, COMPLETED, FAILED, RELEASED]), min_size=9, max_size=9
        ),
        now=TIME,
    )
    def report_several(self, pick: int, endings: list[Ending], now: float) -> None:
        """Report at once what a worker holds, and something that it holds no more."""
        mine = self.workers[next(w for w, held in self.workers.items() if self._held(pick) in held)]
        lost = [held for held in self.stale[:1] if held.task not in names(mine)]
        reports = list(zip([*lost, *mine], endings, strict=False))

        with self.bench.store.transaction() as tx:
            closed = transitions.close_all(tx, reports, now=now)

        assert closed.lost == lost
        for held, ending in reports[len(lost) :]:
            self._ended(held, ending.outcome)

    @precondition(lambda self: self.workers)
    @rule(pick=PICK, now=TIME)
    def leave(self, pick: int, now: float) -> None:
        worker = self._worker(pick)

        self.bench.leave(worker, now=now)

        self._gone(worker, {})

    @precondition(lambda self: self.workers)
    @rule(
        pick=PICK,
        reason=st.sampled_from([Reason.SILENT, Reason.PREEMPTED]),
        told=st.lists(
            st.sampled_from(["nothing", "begun", "completed", "failed"]), min_size=20, max_size=20
        ),
        now=TIME,
    )
    def lose(self, pick: int, reason: Reason, told: list[str], now: float) -> None:
        worker = self._worker(pick)
        book = list(zip(self.workers[worker], told, strict=False))
        says = {"begun": None, "completed": COMPLETED, "failed": FAILED}
        journal = {claim.attempt: says[word] for claim, word in book if word in says}

        self.bench.lose(worker, reason, journal=journal, now=now)

        charge = Outcome.KILLED if reason.charged else Outcome.RELEASED
        means = {"nothing": "released", "begun": charge}
        self._gone(worker, {claim: means.get(word, word) for claim, word in book})

    @precondition(lambda self: self.workers)
    @rule(pick=PICK)
    def pause(self, pick: int) -> None:
        self.paused.add(self._worker(pick))

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        self.paused.clear()

    @precondition(lambda self: self.workers)
    @rule(pick=PICK)
    def crash(self, pick: int) -> None:
        self.dead.add(self._worker(pick).process)

    @rule(seconds=st.floats(1, 0.9 * TIMEOUT))
    def beat(self, seconds: float) -> None:
        """Let time go by; whoever is neither frozen nor dead beats."""
        self.clock.forward(seconds)
        for worker in self.workers.keys() - self.paused:
            if worker.process not in self.dead:
                self.beats.file(worker.key).write_text(f"{self.clock.now()}\n")

    @rule()
    def reap(self) -> None:
        dead = {worker for worker in self.workers if worker.process in self.dead}

        lost = {verdict.worker for verdict in self.reaper.run_once().lost}

        assert dead <= lost <= dead | self.paused
        for worker in lost:
            self._gone(worker, {})  # no journal says that anything was begun

    # --- people -------------------------------------------------------------------------------

    @rule(pick=PICK, now=TIME)
    def cancel(self, pick: int, now: float) -> None:
        node = self._node(pick)
        settled = node.state in ("completed", "cancelled")
        revoked = [held for held in self._all_held() if held.task == node.name]

        assert self.bench.cancel(node.name, now=now) == [node.name] * (not settled)

        if not settled:
            self._forget(revoked)
            self.model.cancel(node.name)

    @rule(now=TIME)
    def retry(self, now: float) -> None:
        wanted = {n.name for n in self.model.nodes.values() if n.state in ("failed", "killed")}

        assert set(self.bench.reset(now=now)) == wanted

        self.model.retry(wanted)

    @rule(pick=PICK, now=TIME)
    def retry_one(self, pick: int, now: float) -> None:
        node = self._node(pick)
        wanted = [node.name] if node.state in BADLY and node.in_graph else []

        assert self.bench.reset(node.name, now=now) == wanted

        self.model.retry(wanted)

    @rule(
        graph=graphs(most=8),
        of=st.lists(st.sampled_from([None, "1", "2"]), min_size=8, max_size=8),
        compare=st.booleans(),
        now=TIME,
    )
    def revise(self, graph: list[Node], of: list[str | None], compare: bool, now: float) -> None:
        revised = [replace(node, of=own) for node, own in zip(graph, of, strict=False)]

        self.bench.submit(*as_tasks(revised), compare=compare, now=now)

        self.model.revise(revised, compare=compare)

    @rule(of=st.lists(st.sampled_from(["1", "2"]), min_size=20, max_size=20), now=TIME)
    def invalidate(self, of: list[str], now: float) -> None:
        """Register the graph as it is, with fingerprints of which some are others."""
        there = [node for node in self.model.nodes.values() if node.in_graph]
        same = [replace(node, of=own) for node, own in zip(there, of, strict=False)]
        known = {node.name for node in same}
        graph = [replace(node, needs=node.needs & known) for node in same]

        self.bench.submit(*as_tasks(graph), compare=True, now=now)

        self.model.revise(graph, compare=True)

    # --- what must change nothing -------------------------------------------------------------

    @precondition(lambda self: self.stale)
    @rule(pick=PICK, ending=st.sampled_from([COMPLETED, FAILED, RELEASED]), now=TIME)
    def report_what_is_over(self, pick: int, ending: Ending, now: float) -> None:
        before = self.bench.dump()

        with pytest.raises(ClaimLost):
            self.bench.close(self.stale[pick % len(self.stale)], ending, now=now)

        assert self.bench.dump() == before

    @precondition(lambda self: self.workers)
    @rule(pick=PICK)
    def crash_in_a_transaction(self, pick: int) -> None:
        before, worker = self.bench.dump(), self._worker(pick)

        with pytest.raises(Crash), self.bench.store.transaction() as tx:  # noqa: PT012  # one crash
            self._do_everything(tx, worker)
            raise Crash

        assert self.bench.dump() == before

    def _do_everything(self, tx: Transaction, worker: Worker) -> None:
        for held in self.workers[worker]:
            transitions.close(tx, held, COMPLETED, now=1.0)
        claiming.claim(tx, [Taker(worker.key, worker.labels, 9)], now=2.0)
        interventions.cancel(tx, list(self.model.nodes), now=3.0)
        interventions.reset(tx, list(self.model.nodes), now=4.0)

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        expected = {node.name: node.state for node in self.model.nodes.values()}
        assert self.bench.states() == expected

    @invariant()
    def exactly_the_running_tasks_have_open_attempts(self) -> None:
        found = self.bench.rows(
            "SELECT tasks.id, attempts.id FROM attempts JOIN tasks ON tasks.key = task "
            "WHERE outcome IS NULL"
        )
        nodes = self.model.nodes.values()
        assert set(found) == {(node.name, attempt) for node in nodes for attempt in node.open}
        assert all(bool(node.open) == (node.state == "running") for node in nodes)

    @invariant()
    def what_holds_of_every_sound_database_holds(self) -> None:
        with self.bench.store.read() as tx:
            assert invariants.broken(tx.connection) == {}

    @invariant()
    def what_waits_for_an_end_without_completion_is_blocked(self) -> None:
        for node in self.model.nodes.values():
            above = {self.model.nodes[name].state for name in node.needs}
            hopeless = bool(above & {*BADLY, "blocked"})
            assert (node.state == "blocked") == (hopeless and node.state not in (*STARTED, *BADLY))

    @invariant()
    def every_attempt_has_its_own_number_and_no_number_is_left_out(self) -> None:
        found = self.bench.rows(
            "SELECT count(*), min(number), max(number), tasks.attempts FROM attempts "
            "JOIN tasks ON tasks.key = task GROUP BY task"
        )
        assert all(low == 1 and n == high == total for n, low, high, total in found)

    @invariant()
    def a_slot_completes_at_most_once_in_a_round(self) -> None:
        """A round ends with the task, or where a person or another fingerprint begins the next."""
        rounds = (
            "(SELECT count(*) FROM task_statuses WHERE task_id = attempts.task "
            "AND attempt < attempts.id AND event IN ('complete', 'fail', 'kill', 'cancel'))"
        )
        twice = self.bench.rows(
            f"SELECT task, slot FROM attempts WHERE outcome = 'completed' "
            f"GROUP BY task, slot, fingerprint, {rounds} HAVING count(*) > 1"
        )
        assert twice == []

    @invariant()
    def fingerprints_are_those_of_the_last_completion(self) -> None:
        found = self.bench.rows("SELECT id, fingerprint, last_fingerprint FROM tasks ORDER BY key")
        assert found == [(n.name, n.of, n.last) for n in self.model.nodes.values()]

    # --- picking ------------------------------------------------------------------------------

    def _worker(self, pick: int) -> Worker:
        return list(self.workers)[pick % len(self.workers)]

    def _held(self, pick: int) -> Claim:
        held = self._all_held()
        return held[pick % len(held)]

    def _node(self, pick: int) -> Node:
        return list(self.model.nodes.values())[pick % len(self.model.nodes)]

    def _all_held(self) -> list[Claim]:
        return [claim for claims in self.workers.values() for claim in claims]

    def _claimable(self) -> set[str]:
        nodes = self.model.nodes.values()
        return {node.name for node in nodes if node.state in ("ready", "invalidated")}

    def _ended(self, held: Claim, outcome: str) -> None:
        self._forget([held])
        self.model.end(held.task, held.attempt, outcome)

    def _forget(self, over: list[Claim]) -> None:
        for worker, claims in self.workers.items():
            self.workers[worker] = [held for held in claims if held not in over]
        self.stale += over

    def _gone(self, worker: Worker, outcomes: dict[Claim, str]) -> None:
        for held in list(self.workers[worker]):
            self._ended(held, outcomes.get(held, "released"))
        del self.workers[worker]
        self.paused.discard(worker)


Life.TestCase.settings = settings(
    max_examples=int(os.environ.get("SLURMBAND_EXAMPLES", "100")),
    stateful_step_count=30,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestLife = Life.TestCase
