"""The history has one row per transition, and the counts always agree with the tasks."""

from collections.abc import Callable

import pytest

from slurmband.domain.attempts import Reason
from slurmband.domain.states import TaskState
from slurmband.store import listings
from slurmband.store.counts import Counts
from tests.store.builders import FAILED, KILLED, RELEASED, Bench, Row, task

pytestmark = pytest.mark.unit

HISTORY = (
    "SELECT event, status, timestamp, worker_id, attempt FROM task_statuses "
    "WHERE task_id = (SELECT key FROM tasks WHERE id = ?) ORDER BY id"
)


def history(bench: Bench, name: str) -> list[Row]:
    return bench.rows(HISTORY, name)


def counted(bench: Bench) -> set[Row]:
    return set(bench.rows("SELECT requirements, state, n FROM task_counts WHERE n > 0"))


def grouped(bench: Bench) -> set[Row]:
    return set(
        bench.rows("SELECT requirements, state, count(*) FROM tasks GROUP BY requirements, state")
    )


def test_a_whole_life_is_written_down(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"), failed=1, now=0.0)
    alice = bench.worker("alice")

    bench.close(bench.claim(alice, now=1.0), FAILED, now=2.0)
    bench.close(bench.claim(alice, now=3.0), RELEASED, now=4.0)
    bench.close(bench.claim(alice, now=5.0), now=6.0)

    assert history(bench, "bake") == [
        ("register", "ready", 0.0, None, None),
        ("claim", "running", 1.0, alice.key, 1),
        ("retry", "ready", 2.0, alice.key, 1),
        ("claim", "running", 3.0, alice.key, 2),
        ("release", "ready", 4.0, alice.key, 2),
        ("claim", "running", 5.0, alice.key, 3),
        ("complete", "completed", 6.0, alice.key, 3),
    ]
    assert history(bench, "serve") == [
        ("register", "waiting", 0.0, None, None),
        ("free", "ready", 6.0, None, None),
    ]


def test_what_follows_for_others_is_written_down_too(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"), killed=0)
    alice = bench.worker()
    held = bench.claim(alice)
    bench.lose(alice, Reason.OUT_OF_MEMORY, journal={held.attempt: None}, now=20.0)

    bench.reset(now=40.0)

    assert [row[:3] for row in history(bench, "bake")[2:]] == [
        ("kill", "killed", 20.0),
        ("reset", "ready", 40.0),
    ]
    assert [row[:3] for row in history(bench, "serve")[1:]] == [
        ("block", "blocked", 20.0),
        ("unblock", "waiting", 40.0),
    ]


def test_a_new_revision_is_written_down(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), now=0.0)

    bench.submit(task("boil"), task("fry", "boil"), now=50.0)
    bench.submit(task("boil"), task("fry", "boil"), task("bake", "boil"), now=60.0)

    assert [row[:3] for row in history(bench, "bake")] == [
        ("register", "ready", 0.0),
        ("drop", "cancelled", 50.0),
        ("restore", "waiting", 60.0),
    ]
    assert [row[:3] for row in history(bench, "fry")] == [("register", "waiting", 50.0)]


def test_the_newest_row_of_the_history_is_the_present(bench: Bench) -> None:
    bench.register(task("a"), task("b", "a"), task("c", "b"), task("d"), failed=0, killed=0)
    alice = bench.worker()
    first, second = bench.claims(alice)
    bench.close(first, FAILED)
    bench.close(second)
    bench.submit(task("a"), task("b"), task("c", "b"), task("d"))

    newest = bench.rows(
        "SELECT tasks.id, status FROM task_statuses JOIN tasks ON tasks.key = task_id "
        "WHERE task_statuses.id IN (SELECT max(id) FROM task_statuses GROUP BY task_id)"
    )

    assert dict(newest) == bench.states()


def test_counts_agree_with_the_tasks_after_every_event(bench: Bench) -> None:
    graph = [task("a"), task("b", "a", labels="gpu"), task("c", "b"), task("d", slots=2)]
    bench.register(*graph, failed=0, killed=0)
    alice = bench.worker(labels="gpu")
    steps: list[Callable[[], object]] = [
        lambda: bench.close(bench.claim(alice), RELEASED),
        lambda: bench.close(bench.claim(alice), FAILED),
        lambda: bench.reset(),
        lambda: bench.close(bench.claim(alice)),
        lambda: bench.close(bench.claim(alice), KILLED),
        lambda: bench.submit(task("a"), task("b", "a"), task("e", labels="gpu")),
        lambda: bench.submit(*graph),
    ]

    for step in steps:
        step()
        assert counted(bench) == grouped(bench)


def test_counts_name_every_state(bench: Bench) -> None:
    bench.register(task("a"), task("b", "a"), task("c", labels="gpu"))

    with bench.store.read() as tx:
        found = Counts(tx).states

    nothing = dict.fromkeys(TaskState, 0)
    assert found == nothing | {TaskState.READY: 2, TaskState.WAITING: 1}


def test_a_listing_shows_the_newest_attempt_of_each_task(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), failed=3)
    alice, bob = bench.worker("alice"), bench.worker("bob")
    bench.close(bench.claim(alice), FAILED)
    bench.claim(bob)

    with bench.store.read() as tx:
        shown = [(row["id"], row["worker"], row["outcome"]) for row in listings.task_rows(tx)]
        running = [row["id"] for row in listings.task_rows(tx, states=["running"])]

    assert shown == [("bake", "bob", None), ("boil", None, None)]
    assert running == ["bake"]


def test_every_attempt_of_one_task_is_listed_oldest_first(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), failed=3)
    alice = bench.worker("alice")
    for held in bench.claims(alice):
        bench.close(held, FAILED)
    bench.claim(bench.worker("bob"))

    with bench.store.read() as tx:
        rows = listings.attempt_rows(tx, "bake")
        own = listings.task_row(tx, "bake")
        nobody = listings.task_row(tx, "cake")

    shown = [(row["attempt"], row["outcome"], row["worker"]) for row in rows]
    assert shown == [(1, "failed", "alice"), (2, None, "bob")]
    assert own == {"id": "bake", "state": "running", "attempts": 2, "unmet": 0}
    assert nobody is None
