"""What is asked of the store counts every task that it is about, and no other."""

import pytest

from slurmband.store import queries
from tests.store.builders import FAILED, Bench, finish, task

pytestmark = pytest.mark.unit


def unservable(bench: Bench) -> list[str]:
    with bench.store.read() as tx:
        return queries.unservable(tx)


def ended_badly(bench: Bench) -> str | None:
    with bench.store.read() as tx:
        return queries.first_ended_badly(tx)


def test_labels_that_no_worker_offers_are_told_of_ready_and_invalidated_tasks(
    bench: Bench,
) -> None:
    bench.submit(task("bake", of="1", labels="oven"), compare=True)
    assert unservable(bench) == ['["oven"]']
    alice = bench.worker("alice", "oven")
    assert unservable(bench) == []
    finish(bench, alice, "bake")
    bench.leave(alice)
    assert unservable(bench) == []

    bench.submit(task("bake", of="2", labels="oven"), task("boil", labels="oven"), compare=True)

    assert bench.states() == {"bake": "invalidated", "boil": "ready"}
    assert unservable(bench) == ['["oven"]']


def test_a_failure_stops_no_band_whose_graph_has_the_task_no_longer(bench: Bench) -> None:
    """Nor could anybody retry it."""
    bench.register(task("bake"), task("boil"))
    held = bench.claim(bench.worker())
    bench.submit(task("boil"))
    bench.close(held, FAILED)
    assert ended_badly(bench) is None

    bench.submit(task("bake"), task("boil"))

    assert ended_badly(bench) == "bake"
