"""Who may take what, and what comes first."""

import pytest

from slurmband.store import queries
from slurmband.store.counts import Counts
from tests.store.builders import Bench, names, task

pytestmark = pytest.mark.unit


def test_higher_priority_goes_first(bench: Bench) -> None:
    bench.register(task("low", priority=-1), task("plain"), task("high", priority=7))
    alice = bench.worker()

    assert [bench.claim(alice).task for _ in range(3)] == ["high", "plain", "low"]


def test_ties_go_in_the_order_of_the_graph(bench: Bench) -> None:
    bench.register(*(task(name) for name in ("zinc", "acid", "milk")))

    assert names(bench.claims(bench.worker())) == ["zinc", "acid", "milk"]


def test_priority_holds_across_kinds_of_requirements(bench: Bench) -> None:
    bench.register(
        *(task("a"), task("b", priority=3), task("c", priority=2, labels="gpu")),
        task("d", priority=4, labels="gpu"),
    )

    assert names(bench.claims(bench.worker(labels="gpu"), limit=3)) == ["d", "b", "c"]


def test_a_task_that_became_ready_late_does_not_lose_its_priority(bench: Bench) -> None:
    bench.register(task("bake", priority=9), task("boil"), task("serve", "bake", priority=9))
    alice = bench.worker()
    bench.close(bench.claim(alice))

    assert bench.claim(alice).task == "serve"


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ("", ["plain"]),
        ("gpu", ["plain", "gpu"]),
        ("gpu big", ["plain", "gpu", "both"]),
        ("big gpu fast", ["plain", "gpu", "both"]),
        ("big", ["plain"]),
    ],
)
def test_a_worker_takes_only_what_it_has_all_labels_for(
    bench: Bench, offered: str, expected: list[str]
) -> None:
    bench.register(task("plain"), task("gpu", labels="gpu"), task("both", labels="big gpu"))

    assert names(bench.claims(bench.worker(labels=offered))) == expected


def test_labels_are_compared_as_words_and_not_as_text(bench: Bench) -> None:
    bench.register(task("a", labels='gp"u'), task("b", labels="g"))

    assert names(bench.claims(bench.worker(labels='gp"u'))) == ["a"]


def test_a_worker_stays_for_what_it_could_run_and_for_nothing_else(bench: Bench) -> None:
    bench.register(task("plain"), task("gpu", labels="gpu"), task("late", "gpu", labels="gpu"))
    alice, gina = bench.worker("alice"), bench.worker("gina", labels="gpu")

    with bench.store.read() as tx:
        assert Counts(tx).active_for(alice.labels) == 1
        assert Counts(tx).active_for(gina.labels) == 3
    for held in bench.claims(gina):
        bench.close(held)
    with bench.store.read() as tx:
        assert Counts(tx).active_for(alice.labels) == 0
        assert Counts(tx).active_for(gina.labels) == 1


def test_what_no_live_worker_can_run_is_named(bench: Bench) -> None:
    bench.register(task("plain"), task("gpu", labels="gpu"), task("late", "gpu", labels="big"))
    bench.worker("alice")
    gina = bench.worker("gina", labels="gpu")

    with bench.store.read() as tx:
        assert queries.unservable(tx) == []
    bench.leave(gina)
    with bench.store.read() as tx:
        assert queries.unservable(tx) == ['["gpu"]']


def test_what_is_no_longer_ready_is_not_named_as_unservable(bench: Bench) -> None:
    bench.register(task("gpu", labels="gpu"))
    gina = bench.worker("gina", labels="gpu")
    bench.claim(gina)
    bench.write("UPDATE workers SET status = 'left', ended_at = 1.0")

    with bench.store.read() as tx:
        assert queries.unservable(tx) == []
