"""Graphs larger than one statement are written row for row, and whoever comes later writes none."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from slurmband.domain.budgets import Budgets
from slurmband.domain.graph import check
from slurmband.domain.task import Task
from slurmband.store import registration
from slurmband.store.database import Store
from tests.store.builders import Bench, task

pytestmark = pytest.mark.unit

#: More than one statement takes, of tasks and of edges.
COUNT = 1000
WRITTEN = ("tasks", "edges", "task_statuses", "task_counts")


def of_all_kinds() -> list[Task[Any]]:
    """Return a graph in which every task differs from its neighbours in what is registered of it."""
    graph: list[Task[Any]] = []
    for n in range(COUNT):
        needs = {f"t{m}" for m in (n - 1, n - 7, n // 2) if 0 <= m < n and n % 5}
        own: dict[str, Any] = {"labels": "gpu big" if n % 3 == 0 else "", "slots": 1 + n % 2}
        own |= {"priority": n % 4, "of": f"f{n}" if n % 6 else None, "failed": n % 3 or None}
        graph.append(task(f"t{n}", *needs, **own))
    return graph


def test_every_task_and_edge_of_a_large_graph_is_written(bench: Bench) -> None:
    graph = of_all_kinds()
    keys = {own.id: key for key, own in enumerate(graph, start=1)}

    bench.register(*graph, now=7.0)

    waits = [bool(own.dependencies) for own in graph]
    states = ["waiting" if waiting else "ready" for waiting in waits]
    assert bench.rows(
        "SELECT key, id, workflow_id, state, requirements, priority, max_parallel_workers, free_slots, "
        "unmet, attempts, failures, deaths, completions, fingerprint, last_fingerprint, "
        "max_failed_retries, max_killed_retries, in_graph FROM tasks ORDER BY key"
    ) == [
        (
            *(keys[own.id], own.id, "main", state),
            '["big", "gpu"]' if own.requirements else "[]",
            *(own.priority, own.max_parallel_workers, 0 if waiting else own.max_parallel_workers),
            *(len(own.dependencies), 0, 0, 0, 0, own.fingerprint, None),
            *(own.max_failed_retries, None, 1),
        )
        for own, state, waiting in zip(graph, states, waits, strict=True)
    ]
    assert bench.rows("SELECT * FROM edges ORDER BY upstream, downstream") == sorted(
        (keys[name], keys[own.id], 0) for own in graph for name in own.dependencies
    )
    assert bench.rows(
        "SELECT id, task_id, status, event, timestamp, worker_id, attempt, fingerprint "
        "FROM task_statuses ORDER BY id"
    ) == [
        (key, key, state, "register", 7.0, None, None, own.fingerprint)
        for key, own, state in zip(range(1, COUNT + 1), graph, states, strict=True)
    ]
    assert bench.rows("SELECT state, sum(n) FROM task_counts GROUP BY state ORDER BY state") == [
        ("ready", waits.count(False)),
        ("waiting", waits.count(True)),
    ]


def test_a_graph_that_grew_is_written_like_one_that_was_whole(bench: Bench, tmp_path: Path) -> None:
    other = Bench(Store(tmp_path / "other.sqlite", create=True))
    graph = of_all_kinds()
    bench.register(*graph, now=5.0)
    other.open()
    alice = other.worker("alice")
    other.take(alice)

    for start, stop in pairwise([0, 1, 400, COUNT]):
        other.extend(alice, *graph[start:stop], now=5.0)

    whole, grown = bench.dump(), other.dump()
    assert {table: grown[table] for table in WRITTEN} == {table: whole[table] for table in WRITTEN}


def test_the_order_of_a_graph_may_be_any(bench: Bench) -> None:
    bench.register(task("serve", "bake", "lay"), task("bake"), task("lay", "buy"), task("buy"))

    assert bench.rows("SELECT * FROM edges ORDER BY 1, 2") == [(2, 1, 0), (3, 1, 0), (4, 3, 0)]
    assert bench.rows("SELECT unmet FROM tasks ORDER BY key") == [(2,), (0,), (1,), (0,)]


def test_sqlite_gets_back_the_cache_that_it_had(bench: Bench) -> None:
    with bench.store.transaction() as tx:
        ask = tx.connection.exec_driver_sql
        ask("PRAGMA cache_size = -1234")
        registration.register(
            tx, check(of_all_kinds()), budgets=Budgets(), new_revision=False, now=0.0
        )
        assert ask("PRAGMA cache_size").scalar_one() == -1234


def steps_of_a_later_worker(bench: Bench, graph: list[Task[Any]]) -> tuple[int, int]:
    """Return how many steps SQLite does for a worker that finds its graph, and rows that it changes."""
    own, steps = check(graph), [0]

    def count() -> int:
        steps[0] += 1
        return 0

    with bench.store.transaction() as tx:
        driver: Any = tx.connection.connection.dbapi_connection
        before = driver.total_changes
        driver.set_progress_handler(count, 1)
        registration.register(tx, own, budgets=Budgets(), new_revision=False, compare=True, now=9.0)
        driver.set_progress_handler(None, 1)
        return steps[0], driver.total_changes - before


def test_a_later_worker_costs_the_database_the_same_however_many_tasks_there_are(
    bench: Bench, tmp_path: Path
) -> None:
    small = Bench(Store(tmp_path / "small.sqlite", create=True))
    few, many = of_all_kinds()[:3], of_all_kinds()
    small.register(*few, compare=True)
    bench.register(*many, compare=True)

    steps, changes = steps_of_a_later_worker(bench, many)

    assert (steps, changes) == steps_of_a_later_worker(small, few)
    assert changes == 0
