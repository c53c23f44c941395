"""What ends badly blocks all that waits for it; trying it again lets that wait once more."""

from pathlib import Path

import pytest

from slurmband.domain.attempts import Ending
from slurmband.store import interventions, listings, queries, transitions
from slurmband.store.database import Store
from tests.store.builders import COMPLETED, FAILED, KILLED, Bench, finish, task

pytestmark = pytest.mark.unit


def end_badly(bench: Bench, *wanted: str, ending: Ending = FAILED) -> None:
    """Fail the tasks named, and complete whatever else is ready."""
    for held in bench.claims(bench.worker("cook" + "".join(wanted))):
        bench.close(held, ending if held.task in wanted else COMPLETED)


@pytest.mark.parametrize("ending", [FAILED, KILLED], ids=["failed", "killed"])
def test_all_that_waits_for_it_is_blocked_and_nothing_else(bench: Bench, ending: Ending) -> None:
    bench.register(
        *(task("bake"), task("serve", "bake"), task("eat", "serve"), task("boil")),
        *(task("drink", "boil"), task("nap", "eat", "drink")),
        killed=0,
    )

    end_badly(bench, "bake", ending=ending)

    assert bench.states() == {
        "bake": str(ending.outcome),
        "serve": "blocked",
        "eat": "blocked",
        "boil": "completed",
        "drink": "ready",
        "nap": "blocked",
    }


def test_a_second_failure_upstream_changes_nothing_for_what_is_blocked(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake", "boil"))

    end_badly(bench, "bake", "boil")

    assert bench.rows("SELECT count(*) FROM task_statuses WHERE status = 'blocked'") == [(1,)]


def test_what_is_blocked_is_not_freed_by_its_other_dependencies(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake", "boil"))
    bake, boil = bench.claims(bench.worker())
    bench.close(bake, FAILED)

    assert bench.close(boil) == set()

    assert bench.state("serve") == "blocked"


def test_what_failed_is_ready_again_after_a_reset_with_its_whole_budget(bench: Bench) -> None:
    bench.register(task("bake"), failed=1, killed=0)
    alice = bench.worker()
    bench.close(bench.claim(alice), FAILED)
    bench.close(bench.claim(alice), FAILED)

    assert bench.reset() == ["bake"]

    assert bench.close(bench.claim(alice), FAILED) == {"bake"}
    assert bench.claim(alice).number == 4


def test_what_was_killed_is_ready_again_after_a_reset_with_its_whole_budget(bench: Bench) -> None:
    bench.register(task("bake"), failed=0, killed=1)
    alice = bench.worker()
    bench.close(bench.claim(alice), KILLED)
    bench.close(bench.claim(alice), KILLED)

    assert bench.reset() == ["bake"]

    assert bench.close(bench.claim(alice), KILLED) == {"bake"}


def test_a_reset_lets_everything_below_wait_again(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"), task("eat", "serve"))
    end_badly(bench, "bake")

    bench.reset("bake")

    assert bench.states() == {"bake": "ready", "serve": "waiting", "eat": "waiting"}
    finish(bench, bench.worker(), "bake", "serve", "eat")


def test_a_reset_touches_only_what_it_names(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), failed=1)
    for worker in (bench.worker("alice"), bench.worker("bob")):
        for held in bench.claims(worker):
            bench.close(held, FAILED)

    assert bench.reset("boil") == ["boil"]

    assert bench.states() == {"bake": "failed", "boil": "ready"}
    assert bench.rows("SELECT failures FROM tasks ORDER BY key") == [(2,), (0,)]


def test_a_reset_leaves_alone_what_did_not_end_badly(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("fry"), task("serve", "bake"))
    bake, _, _ = bench.claims(bench.worker())
    bench.close(bake)

    assert bench.reset() == []

    assert bench.states() == {
        "bake": "completed",
        "boil": "running",
        "fry": "running",
        "serve": "ready",
    }


def test_what_something_else_still_blocks_stays_blocked(bench: Bench) -> None:
    bench.register(
        *(task("bake"), task("boil"), task("serve", "bake", "boil"), task("eat", "serve")),
        task("smell", "bake"),
    )
    end_badly(bench, "bake", "boil")

    bench.reset("bake")

    assert bench.states() == {
        "bake": "ready",
        "boil": "failed",
        "serve": "blocked",
        "eat": "blocked",
        "smell": "waiting",
    }


def test_what_a_blocked_task_still_blocks_stays_blocked(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("drain", "boil"), task("eat", "bake", "drain"))
    end_badly(bench, "bake", "boil")

    bench.reset("bake")

    assert bench.state("eat") == "blocked"


@pytest.mark.parametrize("width", [3, 601])
def test_blocking_and_unblocking_reach_the_whole_of_wide_layers(bench: Bench, width: int) -> None:
    slices = [task(f"slice{i}", "bake") for i in range(width)]
    crumbs = [task(f"crumb{i}", f"slice{i}") for i in range(width)]
    bench.register(task("bake"), *slices, *crumbs)

    end_badly(bench, "bake")
    blocked = bench.one("SELECT n FROM task_counts WHERE state = 'blocked'")
    bench.reset()
    waiting = bench.one("SELECT n FROM task_counts WHERE state = 'waiting'")

    assert blocked == waiting == 2 * width


def test_why_a_task_is_blocked_names_what_failed_itself_first(bench: Bench) -> None:
    bench.register(task("slice", "bake"), task("bake"), task("eat", "slice", "bake"))
    end_badly(bench, "bake")

    with bench.store.read() as tx:
        found = listings.blocking_tasks(tx)

    assert found == {"slice": ("bake", "failed"), "eat": ("bake", "failed")}


def test_what_was_dropped_below_a_failure_is_not_blocked(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    end_badly(bench, "bake")
    bench.submit(task("bake"))

    with bench.store.read() as tx:
        assert listings.blocking_tasks(tx) == {}


def test_a_task_far_below_is_told_what_is_right_above_it(bench: Bench) -> None:
    bench.register(task("boil"), task("bake"), task("slice", "bake"), task("eat", "slice", "boil"))
    end_badly(bench, "bake")

    with bench.store.read() as tx:
        found = listings.blocking_tasks(tx)

    assert found["eat"] == ("slice", "blocked")


def test_the_first_that_ended_badly_is_found(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))

    with bench.store.read() as tx:
        assert queries.first_ended_badly(tx) is None
    end_badly(bench, "boil")
    with bench.store.read() as tx:
        assert queries.first_ended_badly(tx) == "boil"


def test_a_task_with_open_dependencies_is_not_freed_by_settling(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))

    with bench.store.transaction() as tx:
        interventions.settle(tx, [2], now=5.0)

    assert bench.state("serve") == "waiting"


def steps_to_block(folder: Path, bystanders: int) -> int:
    """Return how much SQLite does, in hundreds of steps, while a failure blocks one task of many."""
    bench = Bench(Store(folder / "slurmband.sqlite", mode="local", create=True))
    chain = [task(f"t{n}", f"t{n - 1}") for n in range(1, bystanders)]
    bench.register(task("bad", priority=1), task("t0"), *chain, task("blocked", "bad"))
    held, steps = bench.claim(bench.worker()), [0]

    def count() -> None:
        steps[0] += 1

    with bench.store.transaction() as tx:
        tx.driver.set_progress_handler(count, 100)
        transitions.close(tx, held, FAILED, now=3.0)
        tx.driver.set_progress_handler(None, 0)
    assert bench.state("blocked") == "blocked"
    bench.store.close()
    return steps[0]


def test_what_a_failure_costs_does_not_depend_on_how_many_others_wait(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()

    few, many = steps_to_block(tmp_path / "few", 10), steps_to_block(tmp_path / "many", 3000)

    assert many < few + 20
