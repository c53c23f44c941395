"""Submissions that continue one another: once each, and only while there is work that gets somewhere."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slurmband.domain.attempts import Ending, Outcome, Reason
from slurmband.domain.processes import Fate
from slurmband.domain.workers import LOCAL_CLUSTER, Stop
from slurmband.errors import CommitUnknown, DatabaseFault, RaceLost
from slurmband.liveness.inquiry import ASK_EVERY
from slurmband.slurm.arrays import parse
from slurmband.slurm.queue import SlurmQueue
from slurmband.slurm.words import JobState
from slurmband.store import chains, intents, questions, stopping
from slurmband.store.chains import Link
from slurmband.store.database import Store, Transaction
from slurmband.submission import wait
from slurmband.submission.continuation import Continuation, refusal
from slurmband.submission.order import Order
from slurmband.submission.submit import Queued, Submitter
from tests.fakes.clock import HandClock
from tests.store.builders import Bench, element, task

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def graph(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))


def queue(bench: Bench, token: str, array: int, *, most: int | None = 3) -> int:
    with bench.store.transaction() as tx:
        submission = intents.intend(
            tx,
            token,
            cluster="thunder",
            array="0-1",
            command=["slurmband", "work"],
            directory="/home",
            script="#!/bin/sh",
            log=None,
            most=most,
            now=5.0,
        )
        intents.queued(tx, submission, array, [0, 1])
    return submission


def link(bench: Bench, worker: int) -> Link:
    with bench.store.read() as tx:
        found = chains.link_of(tx, worker)
    assert found is not None
    return found


def follow(bench: Bench, submission: int, before: Link) -> None:
    with bench.store.transaction() as tx:
        chains.follow(tx, submission, before)


def test_what_is_known_when_a_worker_has_left(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice, bob = (bench.arrive(element(array_task_id=i, job_id=40 + i)) for i in (0, 1))
    bench.close(bench.claim(alice))
    bench.leave(alice)

    assert (len(link(bench, alice.key).others), link(bench, alice.key).unseen) == (1, 0)
    bench.leave(bob)
    found = link(bench, alice.key)
    assert (found.others, found.furthered, found.work_left) == ((), 1, True)
    assert (found.length, found.most, found.stopped) == (1, 3, False)
    assert refusal(found) is None


def test_a_task_that_was_saved_and_handed_back_is_a_step_forward(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(job_id=40))
    bench.close(bench.claim(alice), Ending(Outcome.RELEASED, Reason.HANDED_BACK))
    bench.leave(alice)

    assert link(bench, alice.key).furthered == 1


def test_an_array_of_this_machine_is_not_one_of_slurm(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(array_task_id=0, job_id=40))
    local = bench.arrive(element(array_task_id=1, job_id=41, cluster=LOCAL_CLUSTER))

    assert len(link(bench, alice.key).others) == 1
    with bench.store.read() as tx:
        assert chains.link_of(tx, local.key) is None


class Unsure(Store):
    """Cannot tell of the next commit whether it is in the database."""

    commits: bool | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        commits, self.commits = self.commits, None
        with suppress(ZeroDivisionError), super().transaction() as tx:
            yield tx
            if commits is False:
                raise ZeroDivisionError
        if commits is not None:
            raise CommitUnknown("COMMIT said: disk I/O error")


class Calling(Submitter):
    """Calls no sbatch."""

    def _call(self, order: Order, submission: int) -> Queued:
        with self.store.transaction() as tx:
            intents.queued(tx, submission, 37, order.array.indices)
        return Queued(37, order.array)


@pytest.mark.parametrize("commits", [True, False])
def test_the_next_array_is_queued_once_whatever_became_of_the_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, commits: bool
) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(array_task_id=0, job_id=40))
    bob = bench.arrive(element(array_task_id=1, job_id=41))
    bench.close(bench.claim(alice))
    bench.leave(alice)
    bench.leave(bob)
    store = Unsure(bench.store.layout.database)
    submitter = Calling(store, SlurmQueue(), lambda: 9.0, lambda _seconds: None)

    monkeypatch.chdir("/")
    store.commits = commits
    said = Continuation(submitter, SlurmQueue()).go_on(bob.key)

    assert said == "continued as array 37, 2 of 3"
    assert bench.rows("SELECT id, follows, status FROM submissions") == [
        (1, None, "queued"),
        (2, 1, "queued"),
    ]
    store.close()


def test_while_the_graph_grows_there_is_work_left(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(array_task_id=0, job_id=40))
    for _ in range(2):
        bench.close(bench.claim(alice))
    bench.leave(alice)
    assert not link(bench, alice.key).work_left

    bench.write("UPDATE workflows SET growing = 1")

    assert link(bench, alice.key).work_left


def test_elements_that_nobody_has_seen_are_counted(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(array_task_id=1, job_id=41))

    assert link(bench, alice.key).unseen == 1


@dataclass
class Queueing:
    """A submitter that only notes what it was asked, and where."""

    store: Store
    asked: list[tuple[str, int]] = field(default_factory=list)

    def queue_order(self, order: Order, *, follows: Link) -> Queued:
        self.asked.append((os.getcwd(), follows.row["array_job_id"]))
        return Queued(37, order.array)


def test_the_next_array_is_queued_from_where_the_first_one_was(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(bench, "t1", 36)
    alice, bob = (bench.arrive(element(array_task_id=i, job_id=40 + i)) for i in (0, 1))
    bench.close(bench.claim(alice))
    bench.leave(alice)
    bench.leave(bob)
    submitter: Any = Queueing(bench.store)

    monkeypatch.chdir(tmp_path)  # as a task may have done
    said = Continuation(submitter, SlurmQueue()).go_on(bob.key)

    assert said == "continued as array 37, 2 of 3"
    assert submitter.asked == [("/home", 36)]


@dataclass
class Slurm:
    """Knows where jobs are; None: it does not answer."""

    known: dict[str, JobState] | None
    asked: list[str] = field(default_factory=list)

    def states(self, jobs: list[str]) -> dict[str, JobState] | None:
        self.asked += jobs
        return self.known

    def has_pending(self, _array: int) -> bool:
        return False


@pytest.mark.parametrize(
    ("fate", "known", "goes_on"),
    [
        (Fate.GONE, {}, True),
        (Fate.UNKNOWN, {"36_0": JobState("TIMEOUT", 0)}, True),
        (Fate.UNKNOWN, {"36_0": JobState("RUNNING", 1)}, True),
        (Fate.UNKNOWN, {"36_0": JobState("RUNNING", 0)}, False),
        (Fate.UNKNOWN, {"36_0": JobState("COMPLETING", 0)}, False),
        (Fate.UNKNOWN, {}, False),
        (Fate.UNKNOWN, None, False),
        (Fate.STOPPED, {}, False),
    ],
)
def test_nobody_waits_for_a_dead_worker_that_nobody_is_left_to_judge(
    bench: Bench, fate: Fate, known: dict[str, JobState] | None, *, goes_on: bool
) -> None:
    queue(bench, "t1", 36)
    alice, bob = (bench.arrive(element(array_task_id=i, job_id=40 + i)) for i in (0, 1))
    bench.close(bench.claim(bob))
    bench.leave(bob)
    submitter: Any = Queueing(bench.store)
    slurm: Any = Slurm(known)

    said = Continuation(submitter, slurm, lambda _process: fate).go_on(bob.key)

    assert said.startswith("continued" if goes_on else "not continued: 1 of its workers")
    assert len(submitter.asked) == goes_on
    assert slurm.asked == ([] if fate is Fate.GONE else ["36_0"])
    assert bench.one(f"SELECT status FROM workers WHERE key = {alice.key}") == "alive"


def test_slurm_is_not_asked_about_others_where_nothing_is_to_be_continued(bench: Bench) -> None:
    queue(bench, "t1", 36)
    bench.arrive(element(array_task_id=0, job_id=40))
    bob = bench.arrive(element(array_task_id=1, job_id=41))
    bench.leave(bob)
    submitter, slurm = Calling(bench.store, SlurmQueue(), lambda: 9.0, lambda _: None), Slurm({})

    said = Continuation(submitter, slurm, lambda _: Fate.UNKNOWN).go_on(bob.key)  # type: ignore[arg-type]  # all that is asked of it

    assert "completed a task" in said
    assert slurm.asked == []


def test_who_waits_for_an_array_waits_for_what_continues_it(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(array_task_id=0, job_id=40))
    before, over, clock = link(bench, alice.key), set[int](), HandClock()
    bench.leave(alice)
    slurm: Any = SimpleNamespace(are_queued=lambda arrays: not over.issuperset(arrays))
    waiting = wait.follow(bench.store, [Queued(36, parse("2"))], queue=slurm, clock=clock)

    def later() -> bool:
        clock.forward(ASK_EVERY)
        return next(waiting).over

    assert not next(waiting).over
    follow(bench, queue(bench, "t2", 37), before)
    over.add(36)
    assert [later(), later()] == [False, False]
    over.add(37)
    assert [later(), next(waiting, None)] == [True, None]


def test_slurm_is_asked_once_a_minute_for_all_arrays_and_only_where_nothing_happens(
    bench: Bench,
) -> None:
    asked: list[tuple[int, ...]] = []
    clock, alice = HandClock(), bench.worker()

    def are_queued(arrays: list[int]) -> bool:
        asked.append(tuple(arrays))
        return True

    slurm: Any = SimpleNamespace(are_queued=are_queued)
    arrays = [Queued(36, parse("2")), Queued(37, parse("2"))]
    waiting = [wait.follow(bench.store, arrays, queue=slurm, clock=clock) for _ in range(2)]

    def look(seconds: float) -> int:
        for _ in range(10):
            clock.forward(seconds / 10)
            assert not any(next(each).over for each in waiting)
        return len(asked)

    held = bench.claim(alice)
    assert look(ASK_EVERY / 2) == 0
    bench.close(held)
    assert look(ASK_EVERY / 2) == 0  # something happened, and somebody is there
    began = clock.monotonic()
    assert 2 <= look(5 * ASK_EVERY) <= (clock.monotonic() - began) / ASK_EVERY
    assert set(asked) == {(36, 37)}
    with bench.store.read() as tx:
        assert [(row["command"], row["n"]) for row in questions.asked(tx)] == [
            (wait.QUESTION, len(asked))
        ]


def test_who_may_only_read_waits_and_asks_uncounted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    queued = [True, False]
    slurm: Any = SimpleNamespace(are_queued=lambda _arrays: queued.pop(0))
    waiting = wait.follow(bench.store, [Queued(36, parse("2"))], queue=slurm, clock=clock)

    def refuse(*_given: object, **_named: object) -> bool:
        raise DatabaseFault("slurmband.sqlite", "attempt to write a readonly database")

    monkeypatch.setattr(questions, "take", refuse)

    assert not next(waiting).over
    clock.forward(wait.ABSENT_FOR)
    assert [next(waiting).over for _ in range(3)] == [False] * 3
    assert queued == [False]  # and not asked again at once
    clock.forward(wait.ABSENT_FOR)
    assert next(waiting).over


def test_an_array_that_was_not_submitted_so_is_not_continued(bench: Bench) -> None:
    queue(bench, "t1", 36, most=None)
    alice = bench.arrive(element(array_task_id=0, job_id=40))

    with bench.store.read() as tx:
        assert chains.link_of(tx, alice.key) is None
        assert chains.link_of(tx, bench.worker("by hand").key) is None


def test_each_submission_is_continued_once(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(array_task_id=0, job_id=40))
    before = link(bench, alice.key)
    follow(bench, queue(bench, "t2", 37, most=None), before)

    with pytest.raises(RaceLost, match="continued meanwhile"):
        follow(bench, queue(bench, "t3", 38, most=None), before)

    rows = bench.rows("SELECT token, follows, max_submissions FROM submissions ORDER BY id")
    assert rows == [("t1", None, 3), ("t2", 1, 3), ("t3", None, None)]


def test_a_chain_is_counted_from_its_first_submission(bench: Bench) -> None:
    for number in (1, 2, 3):
        submission = queue(bench, f"t{number}", 35 + number)
        if number > 1:
            follow(bench, submission, link(bench, bench.rows("SELECT max(key) FROM workers")[0][0]))
        bench.arrive(element(array_job_id=35 + number, array_task_id=0, job_id=50 + number))

    found = link(bench, bench.rows("SELECT max(key) FROM workers")[0][0])
    assert (found.length, found.most) == (3, 3)


def test_who_was_asked_to_stop_continues_nothing(bench: Bench) -> None:
    queue(bench, "t1", 36)
    alice = bench.arrive(element(array_task_id=0, job_id=40))
    before = link(bench, alice.key)
    with bench.store.transaction() as tx:
        stopping.stop_all(tx, Stop.DRAIN)

    assert link(bench, alice.key).stopped
    with pytest.raises(RaceLost, match="asked to stop"):
        follow(bench, queue(bench, "t2", 37), before)
    with bench.store.transaction() as tx:
        assert [stopping.go_on(tx), stopping.go_on(tx)] == [True, False]
    follow(bench, 2, before)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"stopped": True}, "stop"),
        ({"work_left": False}, "no work is left"),
        ({"length": 3}, "--max-submissions"),
        ({"furthered": 0}, "completed a task"),
    ],
)
def test_why_an_array_is_not_continued(change: dict[str, Any], word: str) -> None:
    good = Link({}, 1, 3, others=(), unseen=0, furthered=5, work_left=True, stopped=False)

    assert refusal(good) is None
    assert word in (refusal(replace(good, **change)) or "")


def test_the_sooner_of_two_wishes_counts(bench: Bench) -> None:
    alice, bob = bench.worker("alice"), bench.worker("bob")
    with bench.store.transaction() as tx:
        assert stopping.asked(tx, alice.key) is None
        assert stopping.stop(tx, ["alice", "nobody"], Stop.NOW) == ["alice"]
        stopping.stop_all(tx, Stop.DRAIN)
        assert stopping.asked(tx, alice.key) is Stop.NOW
        assert stopping.asked(tx, bob.key) is Stop.DRAIN


def test_who_has_left_is_not_asked_to(bench: Bench) -> None:
    bench.leave(bench.worker("alice"))
    with bench.store.transaction() as tx:
        assert stopping.stop(tx, ["alice"], Stop.NOW) == []
