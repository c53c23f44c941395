"""Old history is forgotten without a broken reference, and nothing else changes."""

from dataclasses import replace

import pytest

from slurmband.errors import UsageError
from slurmband.store import claiming, transitions
from slurmband.store.claiming import Taker
from slurmband.store.pruning import Pruned
from tests.store.builders import FAILED, Bench, finish, task

pytestmark = pytest.mark.unit


@pytest.fixture
def long(bench: Bench) -> Bench:
    """bake, which failed three times before it completed (9 rows), and serve (4 rows)."""
    bench.register(task("bake", of="x"), task("serve", "bake"), failed=3)
    worker = bench.worker()
    for _ in range(3):
        bench.close(bench.claim(worker), FAILED)
    finish(bench, worker, "bake", "serve")
    return bench


HISTORY = (
    "SELECT event FROM task_statuses JOIN tasks ON tasks.key = task_id WHERE tasks.id = ? "
    "ORDER BY task_statuses.id"
)


def test_the_newest_rows_of_each_task_stay(long: Bench) -> None:
    assert long.prune(keep_latest=3) == Pruned(statuses=7, events=5)

    assert long.rows(HISTORY, "bake") == [("retry",), ("claim",), ("complete",)]
    assert long.rows(HISTORY, "serve") == [("free",), ("claim",), ("complete",)]


def test_no_reference_breaks(long: Bench) -> None:
    long.prune(keep_latest=1, keep_events=5, keep_attempts=0)

    assert long.rows("PRAGMA foreign_key_check") == []
    assert long.one("PRAGMA integrity_check") == "ok"


def test_what_is_short_stays_whole(long: Bench) -> None:
    before = long.dump()

    assert long.prune() == Pruned()

    assert long.dump() == before


def test_tasks_attempts_and_workers_stay_as_they_are(long: Bench) -> None:
    kept = ("tasks", "edges", "attempts", "workers", "revisions", "task_counts")
    before = {name: rows for name, rows in long.dump().items() if name in kept}

    long.prune(keep_latest=1, keep_events=0)

    assert {name: rows for name, rows in long.dump().items() if name in kept} == before


def test_texts_go_with_the_attempts_that_they_are_of(bench: Bench) -> None:
    bench.register(task("bake"), failed=5)
    worker = bench.worker()
    for told in ("Traceback one", "Traceback two"):
        bench.close(bench.claim(worker), replace(FAILED, error=told))

    bench.prune(keep_latest=1, keep_events=0)
    assert bench.one("SELECT count(*) FROM error_texts") == 2
    bench.prune(keep_latest=1, keep_events=0, keep_attempts=1)

    assert bench.rows("SELECT text FROM error_texts") == [("Traceback two",)]


def test_a_pruned_band_goes_on(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"), failed=5)
    worker = bench.worker()
    bench.close(bench.claim(worker), FAILED)
    held = bench.claim(worker)
    bench.prune(keep_latest=1, keep_events=0, keep_attempts=0)

    bench.close(held)

    finish(bench, worker, "serve")
    assert bench.one("SELECT attempts FROM tasks WHERE id = 'bake'") == 2


def test_only_so_many_events_stay_and_their_numbers_are_not_used_again(long: Bench) -> None:
    newest = long.one("SELECT max(sequence) FROM events")

    assert long.prune(keep_events=2).events == newest - 2
    assert long.rows("SELECT sequence FROM events") == [(newest - 1,), (newest,)]

    long.prune(keep_events=0)
    long.worker("bob")
    assert long.rows("SELECT sequence FROM events") == [(newest + 1,)]


def test_attempts_go_only_when_asked_and_the_newest_completion_never(long: Bench) -> None:
    assert long.prune(keep_latest=1).attempts == 0

    assert long.prune(keep_attempts=0).attempts == 3

    assert long.rows("SELECT task, number, outcome, fingerprint FROM attempts") == [
        (1, 4, "completed", "x"),
        (2, 1, "completed", None),
    ]


def test_an_open_attempt_is_never_pruned(bench: Bench) -> None:
    bench.register(task("bake"), failed=1)
    worker = bench.worker()
    bench.close(bench.claim(worker), FAILED)
    held = bench.claim(worker)

    assert bench.prune(keep_attempts=0).attempts == 1

    assert bench.rows("SELECT id FROM attempts") == [(held.attempt,)]


def test_the_file_becomes_smaller(bench: Bench) -> None:
    bench.register(*[task(f"t{n}") for n in range(100)], failed=9)
    worker = bench.worker()
    for _ in range(6):
        with bench.store.transaction() as tx:
            taken = claiming.claim(tx, [Taker(worker.key, worker.labels, 100)], now=1.0)
            for held in taken[worker.key]:
                transitions.close(tx, held, FAILED, now=2.0)
    before = bench.one("PRAGMA page_count")

    bench.prune(keep_latest=1, keep_events=0)

    assert bench.one("PRAGMA page_count") < before
    assert bench.one("PRAGMA freelist_count") == 0


@pytest.mark.parametrize(
    "keep", [{"keep_latest": 0}, {"keep_events": -1}, {"keep_attempts": -1}], ids=str
)
def test_too_small_a_number_is_told_and_nothing_is_pruned(
    long: Bench, keep: dict[str, int | None]
) -> None:
    before = long.dump()

    with pytest.raises(UsageError, match="it is at least"):
        long.prune(**keep)

    assert long.dump() == before
