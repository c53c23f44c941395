"""Whatever happens, in whatever order: the store agrees with a model of sixty lines."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.workers import Worker
from slurmband.errors import ClaimLost
from slurmband.store.database import Store
from tests.store.builders import COMPLETED, FAILED, RELEASED, Bench, names, task

pytestmark = pytest.mark.unit

PICK = st.integers(0, 99)
BADLY = ("failed", "killed")


@dataclass
class Node:
    """A task as the model sees it."""

    name: str
    needs: frozenset[str]
    slots: int
    priority: int
    state: str = "ready"
    open: set[int] = field(default_factory=set)
    failures: int = 0
    deaths: int = 0
    completed: bool = False


class Model:
    """The promises, said once more and as simply as can be."""

    def __init__(self, nodes: list[Node], failed: int, killed: int) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.failed, self.killed = failed, killed
        for node in nodes:
            node.state = "waiting" if node.needs else "ready"

    def claimable(self) -> list[str]:
        found = [n for n in self.nodes.values() if n.state == "ready" or self._joinable(n)]
        return [node.name for node in sorted(found, key=lambda node: -node.priority)]

    def _joinable(self, node: Node) -> bool:
        running = node.state == "running" and not node.completed and not self._spent(node)
        return running and len(node.open) < node.slots

    def _spent(self, node: Node) -> str | None:
        if node.failures > self.failed:
            return "failed"
        return "killed" if node.deaths > self.killed else None

    def claim(self, name: str, attempt: int) -> None:
        self.nodes[name].state = "running"
        self.nodes[name].open.add(attempt)

    def end(self, name: str, attempt: int, outcome: str) -> None:
        node = self.nodes[name]
        node.open.remove(attempt)
        node.failures += outcome == "failed"
        node.deaths += outcome == "killed"
        node.completed |= outcome == "completed"
        if not node.open:
            node.state = "completed" if node.completed else self._spent(node) or "ready"
            self.settle()

    def reset(self) -> None:
        for node in self.nodes.values():
            if node.state in BADLY:
                node.state, node.failures, node.deaths = "ready", 0, 0
            elif node.state == "blocked":
                node.state = "waiting"
        self.settle()

    def settle(self) -> None:
        """Free and block; the nodes are in an order in which dependencies come first."""
        for node in self.nodes.values():
            above = {self.nodes[name].state for name in node.needs}
            if node.state == "waiting" and above & {*BADLY, "blocked"}:
                node.state = "blocked"
            elif node.state == "waiting" and above == {"completed"}:
                node.state = "ready"


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 6))):
        above = [node.name for node in nodes]
        needs = draw(st.sets(st.sampled_from(above), max_size=3)) if above else set()
        slots, priority = draw(st.integers(1, 2)), draw(st.integers(0, 1))
        nodes.append(Node(f"t{number}", frozenset(needs), slots, priority))
    return nodes


class Life(RuleBasedStateMachine):
    """Workers that come, work, fail, leave and die, and a person who tries again."""

    def __init__(self) -> None:
        super().__init__()
        memory = (
            "/dev/shm" if os.path.isdir("/dev/shm") else None
        )  # a hundred files: spare the disk
        self.folder = tempfile.TemporaryDirectory(dir=memory)
        store = Store(Path(self.folder.name) / "a.sqlite", mode="local", create=True)
        self.bench = Bench(store)
        self.workers: dict[Worker, list[Claim]] = {}
        self.stale: list[Claim] = []
        self.joined = 0

    def teardown(self) -> None:
        self.bench.store.close()
        self.folder.cleanup()

    @initialize(nodes=graphs(), failed=st.integers(0, 2), killed=st.integers(0, 2))
    def register(self, nodes: list[Node], failed: int, killed: int) -> None:
        self.model = Model(nodes, failed, killed)
        graph = [task(n.name, *n.needs, slots=n.slots, priority=n.priority) for n in nodes]
        self.bench.register(*graph, failed=failed, killed=killed)

    @rule()
    def join(self) -> None:
        self.joined += 1
        self.workers[self.bench.worker(f"w{self.joined}")] = []

    @precondition(lambda self: self.workers)
    @rule(pick=PICK, limit=st.integers(1, 3))
    def claim(self, pick: int, limit: int) -> None:
        worker = self._worker(pick)
        expected = self.model.claimable()[:limit]

        got = self.bench.claims(worker, limit=limit)

        assert names(got) == expected
        for held in got:
            self.model.claim(held.task, held.attempt)
        self.workers[worker] += got

    @precondition(lambda self: any(self.workers.values()))
    @rule(pick=PICK, ending=st.sampled_from([COMPLETED, COMPLETED, FAILED, RELEASED]))
    def report(self, pick: int, ending: Ending) -> None:
        held = self._held(pick)
        before = {n.name for n in self.model.nodes.values() if n.state == "ready"}

        freed = self.bench.close(held, ending)

        self._ended(held, ending.outcome)
        now = {n.name for n in self.model.nodes.values() if n.state == "ready"}
        assert freed == now - before

    @precondition(lambda self: self.workers)
    @rule(pick=PICK)
    def leave(self, pick: int) -> None:
        worker = self._worker(pick)

        self.bench.leave(worker)

        for held in list(self.workers[worker]):
            self._ended(held, "released")
        del self.workers[worker]

    @precondition(lambda self: self.workers)
    @rule(
        pick=PICK,
        reason=st.sampled_from([Reason.SILENT, Reason.PREEMPTED]),
        told=st.lists(
            st.sampled_from(["nothing", "begun", "completed", "failed"]), min_size=20, max_size=20
        ),
    )
    def lose(self, pick: int, reason: Reason, told: list[str]) -> None:
        worker = self._worker(pick)
        held = list(self.workers[worker])
        book = list(zip(held, told, strict=False))
        says = {"begun": None, "completed": COMPLETED, "failed": FAILED}
        journal = {claim.attempt: says[word] for claim, word in book if word in says}

        self.bench.lose(worker, reason, journal=journal)

        charge = Outcome.KILLED if reason.charged else Outcome.RELEASED
        means = {"nothing": "released", "begun": charge}
        for claim, word in book:
            self._ended(claim, means.get(word, word))
        del self.workers[worker]

    @rule()
    def reset(self) -> None:
        wanted = {node.name for node in self.model.nodes.values() if node.state in BADLY}

        assert set(self.bench.reset()) == wanted

        self.model.reset()

    @precondition(lambda self: self.stale)
    @rule(pick=PICK, ending=st.sampled_from([COMPLETED, FAILED, RELEASED]))
    def report_what_is_over(self, pick: int, ending: Ending) -> None:
        before = self.bench.dump()

        with pytest.raises(ClaimLost):
            self.bench.close(self.stale[pick % len(self.stale)], ending)

        assert self.bench.dump() == before

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
        assert all(len(node.open) <= node.slots for node in nodes)

    @invariant()
    def nothing_ran_before_its_dependencies_completed(self) -> None:
        early = self.bench.rows(
            "SELECT 1 FROM task_statuses ran JOIN edges ON downstream = ran.task_id "
            "WHERE ran.event = 'claim' AND NOT EXISTS (SELECT 1 FROM task_statuses done WHERE "
            "done.task_id = upstream AND done.status = 'completed' AND done.id < ran.id)"
        )
        assert early == []

    @invariant()
    def what_waits_for_an_end_without_completion_is_blocked(self) -> None:
        for node in self.model.nodes.values():
            above = {self.model.nodes[name].state for name in node.needs}
            assert (node.state == "blocked") == bool(above & {*BADLY, "blocked"})

    @invariant()
    def the_counts_are_right(self) -> None:
        counted = self.bench.rows("SELECT state, n FROM task_counts WHERE n > 0 ORDER BY 1")
        grouped = self.bench.rows("SELECT state, count(*) FROM tasks GROUP BY state ORDER BY 1")
        assert counted == grouped

    @invariant()
    def every_attempt_has_its_own_number_and_no_number_is_left_out(self) -> None:
        found = self.bench.rows(
            "SELECT count(*), min(number), max(number), tasks.attempts FROM attempts "
            "JOIN tasks ON tasks.key = task GROUP BY task"
        )
        assert all(low == 1 and n == high == total for n, low, high, total in found)

    @invariant()
    def a_slot_completes_at_most_once(self) -> None:
        twice = self.bench.rows(
            "SELECT task, slot FROM attempts WHERE outcome = 'completed' "
            "GROUP BY task, slot HAVING count(*) > 1"
        )
        assert twice == []

    # --- picking ------------------------------------------------------------------------------

    def _worker(self, pick: int) -> Worker:
        return list(self.workers)[pick % len(self.workers)]

    def _held(self, pick: int) -> Claim:
        held = [claim for claims in self.workers.values() for claim in claims]
        return held[pick % len(held)]

    def _ended(self, held: Claim, outcome: str) -> None:
        for claims in self.workers.values():
            if held in claims:
                claims.remove(held)
        self.model.end(held.task, held.attempt, outcome)
        self.stale.append(held)


Life.TestCase.settings = settings(
    max_examples=int(os.environ.get("SLURMBAND_EXAMPLES", "100")),
    stateful_step_count=30,
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestLife = Life.TestCase
