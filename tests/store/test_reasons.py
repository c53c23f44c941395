"""What is read to answer why: of a task, of its kind, of the workers, of what went wrong."""

import math
from dataclasses import replace

import pytest

from slurmband.domain.band_facts import BandFacts, Blocker, Failure, Held
from slurmband.domain.budgets import Charge
from slurmband.domain.facts import TaskFacts, Typical
from slurmband.domain.states import TaskState
from slurmband.store import endings, intents, reasons
from tests.store.builders import COMPLETED, FAILED, KILLED, Bench, element, finish, task

pytestmark = pytest.mark.unit


def of(bench: Bench, name: str) -> TaskFacts:
    with bench.store.read() as tx:
        found = reasons.task(tx, name)
    assert found is not None
    return found


def band(bench: Bench, since: float = 0.0) -> BandFacts:
    with bench.store.read() as tx:
        return reasons.band(tx, since=since)


def test_a_task_that_is_not_there_is_none(bench: Bench) -> None:
    bench.register(task("a"))

    with bench.store.read() as tx:
        assert reasons.task(tx, "b") is None


def test_a_tasks_own_budget_comes_before_the_bands(bench: Bench) -> None:
    bench.register(task("a", failed=3), task("b"), failed=1)

    assert of(bench, "a").budgets[Charge.FAILED] == 3
    assert of(bench, "b").budgets[Charge.FAILED] == 1


def test_attempts_are_told_with_where_each_was_and_what_was_charged(bench: Bench) -> None:
    bench.register(task("a"), failed=1)
    first, second = bench.arrive(element()), bench.worker("bob")
    bench.close(bench.claim(first), FAILED, now=5.0)
    bench.close(bench.claim(second), KILLED, now=9.0)

    found = of(bench, "a")

    assert [(a.number, a.outcome, a.worker, a.element) for a in found.attempts] == [
        (1, "failed", "36_1", "36_1"),
        (2, "killed", "bob", None),
    ]
    assert (found.charged[Charge.FAILED], found.charged[Charge.KILLED]) == (1, 1)
    assert (found.state, found.event, found.since) == (TaskState.READY, "retry", 9.0)
    assert found.open_attempts == ()


def test_how_long_tasks_of_its_kind_take_is_told_where_it_is_known(bench: Bench) -> None:
    bench.register(task("a"))
    assert of(bench, "a").typical is None

    bench.write("INSERT INTO durations VALUES ('', 4, 30.0, 16.0, 34.6)")

    assert of(bench, "a").typical == Typical(4, 30.0, math.sqrt(4.0))
    assert of(bench, "a").expected == pytest.approx(30.0 + 2 * math.sqrt(4.0 * 4 / 3))


def test_what_goes_first_is_counted_as_workers_take_it(bench: Bench) -> None:
    bench.register(task("a"), task("b"), task("c", priority=1), task("d", "a"), task("e"))

    assert [of(bench, name).ahead for name in "abcde"] == [1, 2, 0, 0, 3]


def test_workers_are_told_with_what_they_took_first(bench: Bench) -> None:
    bench.register(task("a"), task("b"), task("c"))
    alice, bob = bench.worker("alice", "gpu"), bench.worker("bob")
    bench.claims(alice, limit=2, now=4.0)
    bench.write("UPDATE workers SET ends_at = 99.0, stop = 'drain' WHERE name = 'bob'")

    found = {worker.name: worker for worker in band(bench).workers}

    assert found["alice"].held == Held(2, "a", 1, 4.0)
    assert found["alice"].worker.labels == {"gpu"}
    assert (found["bob"].held, found["bob"].ends_at, found["bob"].stop) == (None, 99.0, "drain")

    bench.leave(bob)

    assert [worker.name for worker in band(bench).workers] == ["alice"]
    assert band(bench).gone == {"left": 1}


def test_the_first_ready_task_of_each_set_of_requirements_is_told(bench: Bench) -> None:
    bench.register(
        *(task("a", labels="gpu"), task("b", labels="gpu", priority=2), task("c"), task("d", "c")),
    )

    found = band(bench)

    assert {tuple(needs): head.task for needs, head in found.heads.items()} == {
        ("gpu",): "b",
        (): "c",
    }
    assert found.count(TaskState.WAITING) == 1
    assert found.claimable == {frozenset({"gpu"}): 2, frozenset(): 1}


def test_the_first_ready_task_is_expected_to_take_what_workers_reckon_with(bench: Bench) -> None:
    """Tasks of no kind took 10 s and 20 s: a third hardly exceeds 15 s and two deviations."""
    bench.register(*map(task, "abc"), replace(task("d", labels="gpu"), time_limit=12.0))
    alice = bench.worker()
    for seconds in (10.0, 20.0):
        bench.close(bench.claim(alice), replace(COMPLETED, seconds=seconds))

    expected = {head.task: head.expected for head in band(bench).heads.values()}

    assert expected == {"c": pytest.approx(15 + 2 * math.sqrt(50)), "d": 12.0}


def test_only_what_happened_lately_is_counted(bench: Bench) -> None:
    bench.register(task("a"), task("b"))
    alice = bench.worker()
    bench.close(bench.claim(alice), now=10.0)
    bench.close(bench.claim(alice, now=19.0), now=20.0)

    assert band(bench, since=15.0).recent == {"claim": 1, "complete": 1}
    assert band(bench).last_event == 20.0


def test_elements_in_which_no_worker_ever_joined_are_counted(bench: Bench) -> None:
    bench.register(task("a"))
    with bench.store.transaction() as tx:
        submission = intents.intend(
            *(tx, "slurmband-ab"),
            cluster="slurm",
            array="0-2",
            command=["run"],
            directory="/",
            script="export SLURMBAND_LABELS=gpu\n",
            log=None,
            now=0.0,
        )
        intents.queued(tx, submission, 36, range(3))
    bench.arrive(element())

    (found,) = band(bench).arrays

    assert (found.elements, found.unseen, found.first_unseen) == (3, 2, 0)
    assert "SLURMBAND_LABELS" in found.script


def test_failures_are_counted_by_reason_and_what_each_blocks_all_the_way_down(bench: Bench) -> None:
    bench.register(
        *(task("a"), task("b"), task("c")),
        *(task("a1", "a"), task("a2", "a1"), task("a3", "a2"), task("c1", "c"), task("c2", "c")),
    )
    alice = bench.worker()
    for held in bench.claims(alice, limit=3):
        bench.close(held, FAILED)

    found = band(bench)

    assert found.failures == (Failure(TaskState.FAILED, "ValueError: burnt", 3, "a"),)
    assert found.blockers == (
        Blocker("a", TaskState.FAILED, 3),
        Blocker("c", TaskState.FAILED, 2),
    )


def test_what_a_task_blocks_is_counted_so_far_and_no_further(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.register(task("a"), *(task(f"b{n}", "a") for n in range(6)))
    bench.close(bench.claim(bench.worker()), FAILED)

    monkeypatch.setattr(endings, "_COUNT_TO", 5)
    assert band(bench).blockers == (Blocker("a", TaskState.FAILED, 5, whole=False),)
    monkeypatch.setattr(endings, "_COUNT_TO", 6)
    assert band(bench).blockers == (Blocker("a", TaskState.FAILED, 6),)


def test_a_cancelled_task_blocks_and_is_no_failure(bench: Bench) -> None:
    bench.register(task("a"), task("b", "a"))
    bench.cancel("a")

    assert band(bench).failures == ()
    assert band(bench).blockers == (Blocker("a", TaskState.CANCELLED, 1),)


def test_a_worker_is_found_by_its_name_and_by_its_element_the_newest_first(bench: Bench) -> None:
    bench.register(task("a"))
    bench.arrive(element())
    newer = bench.arrive(element(1))
    finish(bench, newer, "a")

    with bench.store.read() as tx:
        by_element, by_name = reasons.last_worker(tx, "36_1"), reasons.last_worker(tx, "36_1r1")
        unknown = reasons.last_worker(tx, "36_2")

    assert by_element is not None
    assert by_element["key"] == newer.key
    assert by_name == by_element
    assert unknown is None
