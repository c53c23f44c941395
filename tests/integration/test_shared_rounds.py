"""Workers of a node do each other's rounds; each is done once, whoever does it and however that ends."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import select
from sqlalchemy.sql.elements import ClauseElement

from slurmband.domain.attempts import Claim, Report
from slurmband.domain.graph import check
from slurmband.domain.pace import NOTHING, Wish
from slurmband.domain.task import Task
from slurmband.errors import CommitUnknown, WorkerLost
from slurmband.graphband.life import Life
from slurmband.graphband.options import Options
from slurmband.graphband.publications import Publications
from slurmband.graphband.rounds import Request, Round
from slurmband.locks.host import HostLock
from slurmband.store.database import Store, Transaction
from slurmband.store.schema import workers
from slurmband.store.statements import Statement
from tests.fakes.clock import HandClock
from tests.integration.band import wait_for
from tests.store.builders import COMPLETED, FAILED, Bench, task

pytestmark = pytest.mark.integration

ONE = Wish(1)


class Counting(Store):
    """A store that counts its transactions, and may lose some."""

    begun: int = 0

    def __init__(self, database: Path, *, mode: str) -> None:
        #: What to raise after a commit, for each transaction to come.
        self.faults: list[Exception] = []
        super().__init__(database, mode=mode, create=True)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        Counting.begun += 1
        with super().transaction() as tx:
            yield tx
        if self.faults:
            raise self.faults.pop(0)


class Node:
    """Workers of one node, each with a store of its own, as processes have."""

    def __init__(self, database: Path, *, mode: str) -> None:
        self.database = database
        self.mode = mode
        self.stores: list[Counting] = []
        self.lives: list[Life] = []
        self._bench = Bench(self._store())

    def _store(self) -> Counting:
        made = Counting(self.database, mode=self.mode)
        self.stores.append(made)
        return made

    def join(self, *tasks: Task[None], policy: Literal["continue", "stop"] = "continue") -> Life:
        options = Options(identifier=f"w{len(self.lives)}", failure_policy=policy)
        life = Life(self._store(), check(list(tasks)), options, HandClock(), None)
        self.lives.append(life)
        return life

    def rows(self, query: str) -> list[tuple[object, ...]]:
        return self._bench.rows(query)

    def register(self, *tasks: Task[None]) -> None:
        """Register a newer graph, as `slurmband submit` does."""
        self._bench.submit(*tasks)

    def lose(self, life: Life) -> None:
        self._bench.lose(life.worker)

    def asked(self) -> int:
        """Count the requests that wait."""
        folder = self.stores[0].node_folder
        assert folder is not None
        return len(list(folder.glob("*.asked"))) if folder.exists() else 0

    def _are_asked(self, number: int) -> bool:
        return self.asked() == number

    def together(self, *rounds: Callable[[], object]) -> None:
        """Do rounds that all ask while another process holds the lock of the node."""
        threads = [threading.Thread(target=each) for each in rounds]
        with HostLock(self.stores[0].layout.folder).hold():
            for number, thread in enumerate(threads, 1):
                thread.start()
                wait_for(partial(self._are_asked, number), what="it asked")
            Counting.begun = 0
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def end(self) -> None:
        for life in self.lives:
            life.abandon()
        for store in self.stores:
            store.close()


@pytest.fixture(params=["local", "shared"])
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    made = Node(tmp_path / "slurmband.sqlite", mode=request.param)
    yield made
    made.end()


class Rounds:
    """What the rounds of some lives brought."""

    def __init__(self) -> None:
        self.of: dict[str, Round | Exception] = {}

    def ask(
        self, life: Life, reports: list[Report] | None = None, wish: Wish = ONE
    ) -> Callable[[], None]:
        def ask() -> None:
            try:
                self.of[life.worker.name] = life.round(reports or [], wish=wish)
            except WorkerLost as lost:
                self.of[life.worker.name] = lost

        return ask

    def __getitem__(self, life: Life) -> Round:
        found = self.of[life.worker.name]
        assert isinstance(found, Round), found
        return found


def claim(life: Life) -> Claim:
    (held,) = life.round((), wish=ONE).claims
    return held


def graph(*names: str) -> list[Task[None]]:
    return [task(name) for name in names]


def everything(node: Node) -> list[tuple[object, ...]]:
    return node.rows("SELECT t.id, a.outcome FROM attempts a JOIN tasks t ON t.key = a.task")


def test_who_waits_is_served_in_the_transaction_of_who_comes_first(node: Node) -> None:
    tasks = graph("bake", "boil", "fry")
    lives, told = [node.join(*tasks) for _ in range(3)], Rounds()

    node.together(*(told.ask(life) for life in lives))

    assert Counting.begun == 1
    assert sorted(told[life].claims[0].task for life in lives) == ["bake", "boil", "fry"]
    assert len(everything(node)) == 3
    assert all((told[life].left, told[life].total) == (3, 3) for life in lives)
    assert node.asked() == 0


def test_reports_of_all_are_recorded_and_free_what_waits(node: Node) -> None:
    tasks = [*graph("bake", "boil"), task("serve", "bake", "boil")]
    alice, bob = node.join(*tasks), node.join(*tasks)
    baked, boiled, told = claim(alice), claim(bob), Rounds()

    node.together(told.ask(alice, [(baked, COMPLETED)]), told.ask(bob, [(boiled, COMPLETED)]))

    assert Counting.begun == 1
    claims = [held.task for life in (alice, bob) for held in told[life].claims]
    assert claims == ["serve"]
    assert everything(node) == [("bake", "completed"), ("boil", "completed"), ("serve", None)]


def test_two_in_one_task_may_report_together(node: Node) -> None:
    tasks = [task("bake", slots=2), task("serve", "bake")]
    alice, bob, told = node.join(*tasks), node.join(*tasks), Rounds()
    reports = {life.worker.name: [(claim(life), COMPLETED)] for life in (alice, bob)}

    node.together(*(told.ask(life, reports[life.worker.name], NOTHING) for life in (alice, bob)))

    assert Counting.begun == 1
    assert everything(node) == [("bake", "completed")] * 2
    assert told[alice].refused == told[bob].refused == []


def test_a_report_that_came_too_late_is_refused_to_whose_it_is(node: Node) -> None:
    tasks = graph("bake", "boil")
    alice, bob, told = node.join(*tasks), node.join(*tasks), Rounds()
    baked, boiled = claim(alice), claim(bob)
    bob.round([(boiled, FAILED)], wish=NOTHING)

    node.together(
        told.ask(alice, [(baked, COMPLETED)], NOTHING),
        told.ask(bob, [(boiled, COMPLETED)], NOTHING),
    )

    assert told[alice].refused == []
    assert told[bob].refused == [boiled]


def test_a_worker_that_was_lost_finds_that_out_itself(node: Node) -> None:
    tasks = graph("bake", "boil")
    alice, bob, told = node.join(*tasks), node.join(*tasks), Rounds()
    node.lose(bob)

    node.together(told.ask(alice), told.ask(bob))

    assert len(told[alice].claims) == 1
    assert isinstance(told.of[bob.worker.name], WorkerLost)
    assert len(everything(node)) == 1


def never(_publications: Publications, _request: Request, _found: Round) -> None:
    """Answer as a worker that is killed between its commit and its answers."""


def unreadably(publications: Publications, request: Request, _found: Round) -> None:
    file = publications._file(request, "told")
    assert file is not None
    file.write_bytes(b"no answer")
    publications.discard(request)


@pytest.mark.parametrize("how", [never, unreadably])
def test_an_answer_that_never_comes_is_found_in_the_database(
    node: Node, monkeypatch: pytest.MonkeyPatch, how: Callable[..., None]
) -> None:
    tasks = graph("bake", "boil", "fry", "steam")
    alice, bob, told = node.join(*tasks), node.join(*tasks), Rounds()
    baked = claim(bob)
    monkeypatch.setattr(Publications, "answer", how)

    node.together(told.ask(alice), told.ask(bob, [(baked, COMPLETED)]))

    assert Counting.begun == 2
    assert told[bob].refused == []
    assert len(everything(node)) == 3
    held = node.rows(f"SELECT id FROM attempts WHERE outcome IS NULL AND worker = {bob.worker.key}")
    assert held == [(told[bob].claims[0].attempt,)]


def test_where_nobody_knows_of_a_commit_both_look_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = graph("bake", "boil")
    alice, bob, told = node.join(*tasks), node.join(*tasks), Rounds()
    for life in (alice, bob):
        monkeypatch.setattr(life.pauses, "pause", lambda _: time.sleep(0.01))
    for store in node.stores[1:]:
        store.faults = [CommitUnknown("the lock was taken away")]

    node.together(told.ask(alice), told.ask(bob))

    assert sorted(told[life].claims[0].task for life in (alice, bob)) == ["bake", "boil"]
    assert len(everything(node)) == 2


def test_a_round_that_its_worker_did_is_not_done_by_who_slept(node: Node) -> None:
    tasks = graph("bake", "boil", "fry")
    alice, bob = node.join(*tasks), node.join(*tasks)
    asleep = Request(bob.worker, 1, 0, (), ONE)
    claim(bob)
    mine = Request(alice.worker, 1, 0, (), ONE)

    with alice._store.transaction() as tx:
        done = alice.clerk.do(tx, mine, lambda: iter([asleep]))

    assert (done.others, done.stale) == ([], [asleep])
    assert len(everything(node)) == 2


def test_what_a_dead_worker_asked_is_read_once(node: Node) -> None:
    tasks = graph("bake", "boil")
    alice, bob = node.join(*tasks), node.join(*tasks)
    bob._publications.publish(Request(bob.worker, 1, 0, (), ONE))
    node.lose(bob)
    assert node.asked() == 1

    claim(alice)

    assert node.asked() == 0


def test_a_request_that_makes_no_sense_spoils_no_other_round(node: Node) -> None:
    tasks = graph("bake", "boil")
    alice, bob = node.join(*tasks), node.join(*tasks)
    mad = replace(claim(bob), task_key=99)
    bob._publications.publish(Request(bob.worker, 2, 1, [(mad, COMPLETED)], ONE))

    assert claim(alice).task == "boil"
    assert sorted(everything(node)) == [("bake", None), ("boil", None)]


def test_nothing_is_left_to_prepare_once_others_wait(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = Statement(select(workers.c.rounds))
    alice = node.join(*graph("bake"))
    monkeypatch.setattr(ClauseElement, "compile", None, raising=False)

    with alice._store.transaction() as tx:
        assert statement.value(tx) == 0


def test_a_request_of_another_band_is_not_done(node: Node) -> None:
    """Two containers of a node may share a place for locks, and spell two folders alike."""
    alice = node.join(*graph("bake", "boil"))
    bob = node.join(*graph("bake", "boil"))
    elsewhere = replace(bob.worker, process=replace(bob.worker.process, start_ticks=1))
    mine, stranger = Request(alice.worker, 1, 0, (), ONE), Request(elsewhere, 1, 0, (), ONE)

    with alice._store.transaction() as tx:
        done = alice.clerk.do(tx, mine, lambda: iter([stranger]))

    assert done.others == []
    assert len(everything(node)) == 1


def test_who_works_by_other_rules_does_its_own_rounds(node: Node) -> None:
    tasks = graph("bake", "boil")
    alice, bob, told = node.join(*tasks), node.join(*tasks, policy="stop"), Rounds()

    node.together(told.ask(alice), told.ask(bob))

    assert Counting.begun == 2
    assert len(everything(node)) == 2


def test_who_took_a_newer_graph_does_rounds_of_that_one_only(node: Node) -> None:
    newer = graph("bake", "boil")
    alice, bob, told = node.join(*graph("bake")), node.join(*graph("bake")), Rounds()
    node.register(*newer)
    alice.take(check(newer))

    node.together(told.ask(alice), told.ask(bob))

    assert told[alice].superseded is None
    assert told[bob].superseded is not None
    assert told[bob].claims == []


def test_who_is_outdated_does_rounds_for_nobody(node: Node) -> None:
    """Its own graph is not the one that the others' tasks are in."""
    alice, bob = node.join(*graph("bake")), node.join(*graph("bake"))
    node.register(*graph("bake", "boil"))
    asking = Request(bob.worker, 1, 0, (), ONE)

    with alice._store.transaction() as tx:
        done = alice.clerk.do(tx, Request(alice.worker, 1, 0, (), ONE), lambda: iter([asking]))

    assert done.own.superseded is not None
    assert done.others == []
