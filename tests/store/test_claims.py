"""A claim is a row: who gets which task, and that nobody else gets it."""

from dataclasses import replace

import pytest

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.states import Event, TaskState
from slurmband.domain.task import Task
from slurmband.domain.workers import Worker
from slurmband.errors import InvariantBroken, RaceLost
from slurmband.store import claiming, interventions, membership, moves, queries
from slurmband.store.claiming import Taker
from tests.store.builders import FAILED, RELEASED, Bench, names, task

pytestmark = pytest.mark.unit


def test_a_claim_says_which_attempt_of_which_task_it_is(bench: Bench) -> None:
    bench.register(task("bake"))

    held = bench.claim(bench.worker())

    assert held == Claim(attempt=1, task="bake", task_key=1, number=1, slot=0)
    assert bench.state("bake") == "running"


def test_a_claimed_task_is_given_to_nobody_else(bench: Bench) -> None:
    bench.register(task("bake"))
    bench.claim(bench.worker("alice"))

    assert bench.claims(bench.worker("bob")) == []


def test_a_task_whose_dependencies_are_open_is_not_given_out(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    alice = bench.worker()

    assert names(bench.claims(alice)) == ["bake"]


def test_a_worker_gets_no_more_than_it_asks_for(bench: Bench) -> None:
    bench.register(*(task(f"loaf{i}") for i in range(5)))

    assert names(bench.claims(bench.worker(), limit=3)) == ["loaf0", "loaf1", "loaf2"]


def test_the_limit_holds_across_several_kinds_of_requirements(bench: Bench) -> None:
    bench.register(task("plain"), task("oven", labels="oven"), task("both", labels="oven salt"))
    cook = bench.worker(labels="oven salt")

    assert names(bench.claims(cook, limit=2)) == ["plain", "oven"]
    assert names(bench.claims(cook, limit=2)) == ["both"]


@pytest.mark.parametrize("ending", [FAILED, RELEASED], ids=["failed", "released"])
def test_every_try_has_a_number_and_a_fence_of_its_own(bench: Bench, ending: Ending) -> None:
    bench.register(task("bake"), failed=1)
    alice = bench.worker()
    first = bench.claim(alice)
    bench.close(first, ending)

    second = bench.claim(alice)

    assert (second.number, second.attempt) == (2, first.attempt + 1)


def test_a_fence_is_not_used_again_even_when_its_row_is_gone(bench: Bench) -> None:
    bench.register(task("bake"))
    alice = bench.worker()
    first = bench.claim(alice)
    bench.close(first, RELEASED)
    bench.write("DELETE FROM events")
    bench.write("DELETE FROM task_statuses")
    bench.write("DELETE FROM attempts")

    assert bench.claim(alice).attempt > first.attempt


def test_a_worker_can_ask_what_it_holds(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("fry"))
    alice, bob = bench.worker("alice"), bench.worker("bob")
    bake = bench.claim(alice)
    bench.claim(bob)
    fry = bench.claim(alice)
    bench.close(bake)

    with bench.store.read() as tx:
        assert queries.open_claims(tx, alice.key) == [fry]


def test_an_attempt_can_be_asked_how_it_ended(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    bake, boil = bench.claims(bench.worker())
    bench.close(boil)

    with bench.store.read() as tx:
        assert queries.outcome_of(tx, bake.attempt) is None
        assert queries.outcome_of(tx, boil.attempt) == "completed"


def test_a_task_that_is_no_longer_claimable_is_not_claimed_by_halves(bench: Bench) -> None:
    bench.register(task("bake"))
    alice = bench.worker()
    bench.write("UPDATE tasks SET free_slots = 0")
    before = bench.dump()

    def claim_what_is_taken() -> None:
        with bench.store.transaction() as tx:
            found = tx.connection.exec_driver_sql(
                "SELECT *, 0 AS awaited, NULL AS learned FROM tasks"
            ).all()
            claiming._open(tx, [(alice.key, row) for row in found], 3.0, {alice.key: []})

    with pytest.raises(RaceLost):
        claim_what_is_taken()

    assert bench.dump() == before


def test_a_claim_of_a_task_that_is_no_longer_in_the_graph_is_handed_back(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    alice = bench.worker()
    held = bench.claim(alice)

    with bench.store.transaction() as tx:
        interventions.disown(tx, held, now=4.0)

    assert bench.states() == {"bake": "cancelled", "boil": "ready"}
    assert bench.rows("SELECT outcome, reason FROM attempts") == [
        ("released", "no longer in the graph")
    ]


def test_a_task_that_is_gone_is_handed_back_while_others_are_still_in_it(bench: Bench) -> None:
    bench.register(task("bake", slots=2))
    bench.claim(bench.worker("alice"))
    second = bench.claim(bench.worker("bob"))

    with bench.store.transaction() as tx:
        interventions.disown(tx, second, now=4.0)

    assert bench.state("bake") == "running"
    assert bench.one("SELECT count(*) FROM attempts WHERE outcome IS NULL") == 1
    assert bench.claims(bench.worker("carol")) == []


def test_a_task_moves_only_along_an_edge_of_the_table(bench: Bench) -> None:
    bench.register(task("bake"))

    with pytest.raises(InvariantBroken, match="no edge for free"), bench.store.transaction() as tx:
        moves.move(tx, [moves.Move(1, TaskState.READY, Event.FREE)], 1.0)


def test_nothing_waits_for_a_task_that_was_handed_back_since_the_graph_has_it_no_longer(
    bench: Bench,
) -> None:
    bench.submit(task("mill", of="1"), task("bake", "mill"), task("boil"), compare=True)
    alice = bench.worker()
    bench.close(bench.claim(alice))
    bake = bench.claim(alice)
    bench.submit(task("mill", of="2"), task("bake", "mill"), task("boil"), compare=True)
    mill = bench.claim(alice)
    bench.submit(task("boil"))
    bench.close(bake, RELEASED)
    bench.close(mill, RELEASED)
    assert bench.states() == {"mill": "ready", "bake": "waiting", "boil": "ready"}

    mill = bench.claim(alice)
    with bench.store.transaction() as tx:
        interventions.disown(tx, mill, now=4.0)

    assert bench.states() == {"mill": "cancelled", "bake": "blocked", "boil": "ready"}


# --- several workers at once ----------------------------------------------------------------------


def deal(bench: Bench, *limits: tuple[Worker, int]) -> list[list[str]]:
    """Claim for several workers; return what each got."""
    takers = [Taker(worker.key, worker.labels, limit) for worker, limit in limits]
    with bench.store.transaction() as tx:
        taken = claiming.claim(tx, takers, now=3.0)
    for worker, _ in limits:
        with bench.store.read() as tx:
            assert set(taken[worker.key]) <= set(queries.open_claims(tx, worker.key))
    return [names(taken[worker.key]) for worker, _ in limits]


def test_what_is_ready_is_dealt_out_like_cards(bench: Bench) -> None:
    bench.register(*(task(f"loaf{i}") for i in range(9)))
    alice, bob, carol = (bench.worker(name) for name in ("alice", "bob", "carol"))

    dealt = deal(bench, (alice, 3), (bob, 1), (carol, 2))

    assert dealt == [["loaf0", "loaf3", "loaf5"], ["loaf1"], ["loaf2", "loaf4"]]


def test_where_there_is_too_little_the_last_get_nothing(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    workers = [bench.worker(name) for name in ("alice", "bob", "carol")]

    assert deal(bench, *((worker, 2) for worker in workers)) == [["bake"], ["boil"], []]


def test_each_gets_what_its_labels_allow(bench: Bench) -> None:
    bench.register(task("bake", labels="oven"), task("boil"), task("fry"))
    alice, bob, carol = (bench.worker("alice"), bench.worker("bob", "oven"), bench.worker("carol"))

    assert deal(bench, (alice, 1), (bob, 2), (carol, 1)) == [["boil"], ["bake"], ["fry"]]


def test_workers_share_a_task_that_is_for_several(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("boil"))
    alice, bob, carol = (bench.worker(name) for name in ("alice", "bob", "carol"))
    bench.claim(alice)

    assert deal(bench, (alice, 2), (bob, 2), (carol, 2)) == [["boil"], ["bake"], []]
    assert bench.rows("SELECT task, slot, number FROM attempts") == [
        (1, 0, 1),
        (2, 0, 1),
        (1, 1, 2),
    ]


# --- in the time that is left ---------------------------------------------------------------------


def of_kind(name: str, kind: str, limit: float | None = None) -> Task[None]:
    return replace(task(name), kind=kind, time_limit=limit)


def in_time(bench: Bench, left: float | None, limit: int = 99, *, fresh: bool = False) -> list[str]:
    """Return what a worker with so much time left would get, and leave it where it is."""
    alice = bench.worker()
    with bench.store.transaction() as tx:
        (claims,) = claiming.claim(
            tx, [Taker(alice.key, alice.labels, limit, left, fresh)], now=3.0
        ).values()
        membership.leave(tx, alice, Reason.LEFT, now=4.0)
    return names(claims)


def ran(bench: Bench, *took: float) -> None:
    """Let a worker complete what is ready, a task for each of these seconds."""
    alice = bench.worker()
    for seconds in took:
        bench.close(bench.claim(alice), Ending(Outcome.COMPLETED, seconds=seconds))
    bench.leave(alice)


def test_only_what_fits_is_claimed_and_a_shorter_task_of_low_priority_is_no_worse(
    bench: Bench,
) -> None:
    bench.register(
        *(of_kind(f"slow{i}", "slow") for i in range(3)),
        *(of_kind(f"quick{i}", "quick") for i in range(2)),
    )
    ran(bench, 10.0, 10.0)  # of the slow ones

    assert in_time(bench, None) == ["slow2", "quick0", "quick1"]
    assert in_time(bench, 10.0) == ["slow2", "quick0", "quick1"]
    assert in_time(bench, 9.9) == ["quick0", "quick1"]  # of whose kind nothing is known
    assert in_time(bench, 9.9, limit=1) == ["quick0"]


def test_a_limit_bounds_what_a_task_of_a_slow_kind_may_take(bench: Bench) -> None:
    bench.register(of_kind("first", ""), of_kind("bounded", "", 5.0), of_kind("unbounded", ""))
    ran(bench, 20.0)

    assert in_time(bench, 5.0) == ["bounded"]
    assert in_time(bench, 4.9) == []
    assert in_time(bench, 40.0) == ["bounded", "unbounded"]


def test_who_has_begun_nothing_gets_what_fits_on_the_average_where_nothing_surely_does(
    bench: Bench,
) -> None:
    """Else tasks that take more than half of a job would be begun by nobody after the first."""
    bench.register(of_kind("first", "a"), of_kind("next", "a"), of_kind("long", "b", 3600.0))
    ran(bench, 40.0)  # so that another one hardly exceeds 80 s

    assert in_time(bench, 60.0) == []
    assert in_time(bench, 60.0, fresh=True) == ["next"]
    assert in_time(bench, 39.0, fresh=True) == []
    assert in_time(bench, 80.0, fresh=True) == ["next"]
    assert in_time(bench, 3600.0, fresh=True) == ["next", "long"]


def test_a_task_of_which_only_the_limit_is_known_is_taken_to_last_as_long(bench: Bench) -> None:
    bench.register(of_kind("long", "a", 3600.0), of_kind("unknown", "b"))

    assert in_time(bench, 3599.0) == ["unknown"]
    assert in_time(bench, 3600.0) == ["long", "unknown"]


def test_what_is_claimed_says_how_long_it_may_and_will_take(bench: Bench) -> None:
    limited = (of_kind("b", "", 5.0), of_kind("c", ""), of_kind("d", "x", 7.0))
    bench.register(of_kind("a", ""), *limited)
    ran(bench, 20.0)

    claims = bench.claims(bench.worker())

    assert [(c.task, c.time_limit, c.foreseen) for c in claims] == [
        ("b", 5.0, 5.0),
        ("c", None, 40.0),
        ("d", 7.0, 7.0),
    ]


def test_workers_that_have_time_for_anything_share_with_those_that_have_no_end(
    bench: Bench,
) -> None:
    bench.register(*(task(f"loaf{i}") for i in range(4)))
    alice, bob, carol = (bench.worker(name) for name in ("alice", "bob", "carol"))
    times = {alice: None, bob: 9.0, carol: 8.0}
    takers = [Taker(worker.key, worker.labels, 2, left) for worker, left in times.items()]

    with bench.store.transaction() as tx:
        taken = claiming.claim(tx, takers, now=3.0)

    assert [names(taken[w.key]) for w in (alice, bob, carol)] == [
        ["loaf0", "loaf3"],
        ["loaf1"],
        ["loaf2"],
    ]
