"""A graph that grows has one producer at a time, and what it registers is settled at once."""

from collections.abc import Callable

import pytest

from slurmband.domain.workers import Worker
from slurmband.errors import GraphGrows, ProducerLost, UnknownDependency
from slurmband.store import growth
from slurmband.store.counts import Counts
from slurmband.store.growth import Growth
from tests.store.builders import FAILED, Bench, finish, task

pytestmark = pytest.mark.unit

Gone = Callable[[Bench, Worker], object]


@pytest.fixture
def alice(bench: Bench) -> Worker:
    """Join a band that grows."""
    bench.open()
    return bench.worker("alice")


@pytest.fixture
def producer(bench: Bench, alice: Worker) -> Worker:
    assert bench.take(alice)
    return alice


@pytest.fixture
def bob(bench: Bench, alice: Worker) -> Worker:
    return bench.worker("bob")


def left(bench: Bench, labels: str = "") -> int:
    with bench.store.read() as tx:
        return Counts(tx).active_for(labels.split())


def said(bench: Bench) -> list[tuple[str, str | None]]:
    return [
        (event, detail)
        for event, detail in bench.rows("SELECT event, detail FROM events ORDER BY sequence")
        if event in ("register", "grow", "end")
    ]


# --- who is the producer ------------------------------------------------------------------------


def test_nobody_is_the_producer_at_first(bench: Bench, alice: Worker) -> None:
    assert bench.growth() == Growth(growing=True, producer=None)


def test_there_is_one_producer_at_a_time(bench: Bench, producer: Worker, bob: Worker) -> None:
    assert not bench.take(bob)
    assert not bench.take(producer)

    assert bench.growth() == Growth(growing=True, producer="alice")


def test_who_gives_the_claim_back_leaves_it_to_others(
    bench: Bench, producer: Worker, bob: Worker
) -> None:
    assert bench.give_back(producer)

    assert bench.take(bob)
    assert bench.growth() == Growth(growing=True, producer="bob")


def test_nobody_gives_back_what_is_anothers(bench: Bench, producer: Worker, bob: Worker) -> None:
    assert not bench.give_back(bob)

    assert bench.growth() == Growth(growing=True, producer="alice")


@pytest.mark.parametrize("gone", [Bench.leave, Bench.lose], ids=["left", "lost"])
def test_the_claim_goes_with_its_worker(
    bench: Bench, producer: Worker, bob: Worker, gone: Gone
) -> None:
    gone(bench, producer)

    assert bench.growth() == Growth(growing=True, producer=None)
    assert bench.take(bob)


@pytest.mark.parametrize("gone", [Bench.leave, Bench.lose], ids=["left", "lost"])
def test_a_worker_that_goes_takes_no_others_claim_with_it(
    bench: Bench, producer: Worker, bob: Worker, gone: Gone
) -> None:
    gone(bench, bob)

    assert bench.growth() == Growth(growing=True, producer="alice")


@pytest.mark.parametrize("gone", [Bench.leave, Bench.lose], ids=["left", "lost"])
def test_who_is_no_longer_alive_does_not_become_the_producer(
    bench: Bench, alice: Worker, gone: Gone
) -> None:
    gone(bench, alice)

    assert not bench.take(alice)


def test_a_whole_graph_has_no_producer(bench: Bench) -> None:
    bench.register(task("a"))

    assert not bench.take(bench.worker())
    assert bench.growth() is None


# --- slices -------------------------------------------------------------------------------------


def test_a_slice_is_registered_in_its_order(bench: Bench, producer: Worker) -> None:
    assert bench.extend(producer, task("b"), task("a", "b")) == 2
    assert bench.extend(producer, task("c", "a")) == 1

    assert bench.states() == {"b": "ready", "a": "waiting", "c": "waiting"}
    finish(bench, producer, "b", "a", "c")


def test_a_slice_is_told_to_those_who_wait(bench: Bench, producer: Worker) -> None:
    bench.extend(producer, task("a"), task("b"))

    assert said(bench) == [("register", "revision 1, 0 tasks"), ("grow", "2 more")]


def test_a_slice_that_was_committed_unknown_to_its_producer_is_not_written_twice(
    bench: Bench, producer: Worker
) -> None:
    bench.extend(producer, task("a"), task("b", "a"))
    before = bench.dump()

    assert bench.extend(producer, task("a"), task("b", "a")) == 0

    assert bench.dump() == before
    assert bench.extend(producer, task("b", "a"), task("c", "b")) == 1


def test_what_was_registered_is_learned_step_by_step(bench: Bench, producer: Worker) -> None:
    bench.extend(producer, task("a"), task("b"))
    with bench.store.read() as tx:
        first = growth.ids_after(tx, 0)
    bench.extend(producer, task("c"))
    with bench.store.read() as tx:
        then = growth.ids_after(tx, max(first.values()))

    assert (set(first), set(then)) == ({"a", "b"}, {"c"})


# --- dependencies on what has been registered before --------------------------------------------


def test_a_task_whose_dependencies_have_completed_is_ready(bench: Bench, producer: Worker) -> None:
    bench.extend(producer, task("a"), task("b"))
    finish(bench, producer, "a", "b")

    bench.extend(producer, task("c", "a", "b"))

    assert bench.states()["c"] == "ready"
    assert bench.rows("SELECT satisfied FROM edges") == [(1,), (1,)]


def test_a_task_waits_only_for_what_has_not_completed(bench: Bench, producer: Worker) -> None:
    bench.extend(producer, task("a"), task("b"))
    finish(bench, producer, "a")
    running = bench.claim(producer)

    bench.extend(producer, task("c", "a", "b"))

    assert bench.state("c") == "waiting"
    assert bench.one("SELECT unmet FROM tasks WHERE id = 'c'") == 1
    assert bench.close(running) == {"c"}


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_what_depends_on_a_bad_end_is_blocked_at_once(
    bench: Bench, producer: Worker, how: str
) -> None:
    bench.extend(producer, task("a"), task("b", "a"), task("x"))
    if how == "failed":
        bench.close(bench.claim(producer), FAILED)
    else:
        bench.cancel("a")

    bench.extend(producer, task("c", "a"), task("d", "b"), task("e", "d"), task("f", "x"))

    blocked = {"a": how, "b": "blocked", "c": "blocked", "d": "blocked", "e": "blocked"}
    assert bench.states() == {**blocked, "x": "ready", "f": "waiting"}


def test_what_was_blocked_when_it_came_is_freed_by_a_retry(bench: Bench, producer: Worker) -> None:
    bench.extend(producer, task("a"))
    bench.close(bench.claim(producer), FAILED)
    bench.extend(producer, task("b", "a"), task("c", "b"))

    bench.reset("a")

    assert bench.states() == {"a": "ready", "b": "waiting", "c": "waiting"}
    finish(bench, producer, "a", "b", "c")


@pytest.mark.parametrize(
    "slice_",
    [[task("b", "nowhere")], [task("b", "c"), task("c")]],
    ids=["unknown", "yielded too late"],
)
def test_a_task_comes_after_what_it_depends_on(
    bench: Bench, producer: Worker, slice_: list[object]
) -> None:
    bench.extend(producer, task("a"))
    before = bench.dump()

    with pytest.raises(UnknownDependency, match="yield a task after all that it depends on"):
        bench.extend(producer, task("d"), *slice_)  # type: ignore[arg-type]  # they are tasks

    assert bench.dump() == before


# --- the end, and what comes after it -----------------------------------------------------------


def test_a_band_has_something_left_until_its_end_is_recorded(
    bench: Bench, producer: Worker
) -> None:
    bench.extend(producer, task("a"))
    finish(bench, producer, "a")
    assert left(bench) == 1

    bench.end(producer)

    assert left(bench) == 0
    assert bench.growth() == Growth(growing=False, producer=None)
    assert said(bench)[-1] == ("end", "of the graph, after 1 tasks")


def test_after_the_end_nobody_is_the_producer(bench: Bench, producer: Worker, bob: Worker) -> None:
    bench.end(producer)

    assert not bench.take(bob)
    with pytest.raises(ProducerLost):
        bench.extend(producer, task("late"))


@pytest.mark.parametrize(("reopen", "growing"), [(True, True), (False, False)])
def test_a_recorded_end_can_be_opened_again(
    bench: Bench, producer: Worker, *, reopen: bool, growing: bool
) -> None:
    bench.extend(producer, task("a"))
    bench.end(producer)

    opened = bench.open(reopen=reopen)

    assert bench.growth() == Growth(growing=growing, producer=None)
    assert opened.number == 1 + reopen
    assert bench.take(producer) == growing


def test_a_graph_that_grows_is_not_opened_a_second_time(bench: Bench, producer: Worker) -> None:
    assert bench.open(reopen=True).number == 1

    assert bench.growth() == Growth(growing=True, producer="alice")


def test_opening_sets_the_budgets(bench: Bench) -> None:
    bench.open(failed=2)
    bench.open(failed=3)

    assert bench.one("SELECT max_failed_retries FROM workflows") == 3


@pytest.mark.parametrize("new_revision", [True, False])
def test_a_whole_graph_does_not_take_the_place_of_a_growing_one(
    bench: Bench, producer: Worker, *, new_revision: bool
) -> None:
    bench.extend(producer, task("a"))
    before = bench.dump()

    with pytest.raises(GraphGrows, match="growing=True"):
        bench.register(task("a"), new_revision=new_revision)

    assert bench.dump() == before


def test_a_growing_graph_does_not_take_the_place_of_a_whole_one(bench: Bench) -> None:
    bench.register(task("a"))
    before = bench.dump()

    with pytest.raises(GraphGrows, match="registered whole"):
        bench.open(reopen=True)

    assert bench.dump() == before


# --- races --------------------------------------------------------------------------------------


def test_a_slice_before_its_producer_is_lost_stands(
    bench: Bench, producer: Worker, bob: Worker
) -> None:
    bench.extend(producer, task("a"))

    bench.lose(producer)

    assert bench.take(bob)
    assert bench.extend(bob, task("a"), task("b", "a")) == 1
    assert bench.states() == {"a": "ready", "b": "waiting"}


@pytest.mark.parametrize("successor", [False, True], ids=["nobody after it", "another after it"])
def test_a_slice_after_its_producer_was_lost_is_not_written(
    bench: Bench, producer: Worker, bob: Worker, *, successor: bool
) -> None:
    bench.lose(producer)
    if successor:
        bench.take(bob)
        bench.extend(bob, task("a"))
    before = bench.dump()

    with pytest.raises(ProducerLost):
        bench.extend(producer, task("a"), task("b"))

    assert bench.dump() == before


def test_an_end_before_its_producer_is_lost_stands(bench: Bench, producer: Worker) -> None:
    bench.end(producer)

    bench.lose(producer)

    assert bench.growth() == Growth(growing=False, producer=None)


@pytest.mark.parametrize("successor", [False, True], ids=["nobody after it", "another after it"])
def test_an_end_after_its_producer_was_lost_is_not_written(
    bench: Bench, producer: Worker, bob: Worker, *, successor: bool
) -> None:
    bench.lose(producer)
    if successor:
        bench.take(bob)
    before = bench.dump()

    with pytest.raises(ProducerLost):
        bench.end(producer)

    assert bench.dump() == before


def test_an_end_before_an_opening_is_undone_by_it_and_one_after_it_stands(
    bench: Bench, producer: Worker, bob: Worker
) -> None:
    bench.end(producer)
    assert bench.open(reopen=True).number == 2  # `submit` after the end
    assert bench.growth() == Growth(growing=True, producer=None)

    bench.take(bob)
    assert bench.open(reopen=True).number == 2  # `submit` before the end
    bench.end(bob)

    assert bench.growth() == Growth(growing=False, producer=None)
