"""A graph is written once per revision; what has run is left alone."""

import pytest

from slurmband.domain.attempts import Ending
from slurmband.domain.budgets import NAMES
from slurmband.errors import GraphChanged
from slurmband.store import listings, registration
from slurmband.store.registration import Registered
from tests.store.builders import FAILED, KILLED, RELEASED, Bench, finish, names, task

pytestmark = pytest.mark.unit

BADLY = pytest.mark.parametrize("ending", [FAILED, KILLED], ids=["failed", "killed"])


def test_the_first_registration_writes_tasks_edges_and_the_revision(bench: Bench) -> None:
    found = bench.register(task("bake"), task("serve", "bake"), now=7.0)

    assert found == Registered(1, added=2)
    assert bench.rows("SELECT id, state, unmet, free_slots FROM tasks ORDER BY key") == [
        ("bake", "ready", 0, 1),
        ("serve", "waiting", 1, 0),
    ]
    assert bench.rows("SELECT * FROM edges") == [(1, 2, 0)]
    assert bench.rows("SELECT number, total_tasks, registered_at FROM revisions") == [(1, 2, 7.0)]


def test_before_the_first_registration_there_is_no_revision(bench: Bench) -> None:
    with bench.store.read() as tx:
        assert registration.current(tx) is None
        assert listings.revision_row(tx) is None


def test_the_same_graph_again_writes_nothing(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    before = bench.dump()

    again = bench.register(task("serve", "bake"), task("bake"), now=9.0)

    assert again == Registered(1)
    assert bench.dump() == before


def test_submitting_the_same_graph_again_writes_nothing(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    before = bench.dump()

    assert bench.submit(task("bake"), task("serve", "bake")) == Registered(1)

    assert bench.dump() == before


@pytest.mark.parametrize(
    "own",
    [
        [task("bake")],
        [task("bake"), task("serve")],
        [task("bake"), task("serve", "bake"), task("eat")],
    ],
    ids=["a task less", "an edge less", "a task more"],
)
def test_a_worker_with_another_graph_is_refused(bench: Bench, own: list[object]) -> None:
    bench.register(task("bake"), task("serve", "bake"), failed=1)
    before = bench.dump()

    with pytest.raises(GraphChanged):
        bench.register(*own, failed=5)  # type: ignore[arg-type]  # they are tasks

    assert bench.dump() == before


def test_budgets_have_defaults_and_stay_where_nothing_is_said(bench: Bench) -> None:
    budgets = f"SELECT {', '.join(NAMES)} FROM workflows"

    bench.register(task("bake"))
    assert bench.rows(budgets) == [(0, 2, 1, 1)]
    bench.register(task("bake"), failed=2)
    assert bench.rows(budgets) == [(2, 2, 1, 1)]
    bench.register(task("bake"), killed=0)
    assert bench.rows(budgets) == [(2, 0, 0, 0)]
    bench.register(task("bake"))
    assert bench.rows(budgets) == [(2, 0, 0, 0)]


# --- a new revision -----------------------------------------------------------------------------


def test_a_new_revision_adds_what_is_new(bench: Bench) -> None:
    bench.register(task("bake"))

    found = bench.submit(task("boil"), task("bake"), task("serve", "bake", "boil"), now=8.0)

    assert found == Registered(2, added=2)
    assert bench.states() == {"bake": "ready", "boil": "ready", "serve": "waiting"}
    assert bench.rows("SELECT number, total_tasks, registered_at FROM revisions")[1] == (2, 3, 8.0)
    assert bench.one("SELECT revision FROM workflows") == 2
    finish(bench, bench.worker(), "bake", "boil", "serve")


def test_a_worker_of_the_old_revision_is_refused_after_a_new_one(bench: Bench) -> None:
    bench.register(task("bake"))
    bench.submit(task("bake"), task("boil"))

    with pytest.raises(GraphChanged):
        bench.register(task("bake"))
    assert bench.register(task("bake"), task("boil")) == Registered(2)
    with bench.store.read() as tx:
        newest = listings.revision_row(tx)
    assert newest is not None
    assert (newest["number"], newest["total_tasks"]) == (2, 2)


def test_a_new_revision_drops_what_is_gone(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake"))

    assert bench.submit(task("boil")) == Registered(2, dropped=2)

    assert bench.states() == {"bake": "cancelled", "boil": "ready", "serve": "cancelled"}
    assert names(bench.claims(bench.worker())) == ["boil"]


@BADLY
def test_what_ended_badly_or_is_blocked_can_be_dropped(bench: Bench, ending: Ending) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake"), killed=0)
    bench.close(bench.claim(bench.worker()), ending)

    assert bench.submit(task("boil")).dropped == 2

    assert bench.states() == {"bake": "cancelled", "boil": "ready", "serve": "cancelled"}
    assert bench.reset() == []


def test_what_completed_stays_completed_when_it_is_gone(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    bench.close(bench.claim(bench.worker()))

    assert bench.submit(task("boil")).dropped == 0

    assert bench.state("bake") == "completed"


def test_what_runs_is_not_dropped_before_it_ended(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    held = bench.claim(bench.worker())
    assert bench.submit(task("boil")).dropped == 0
    assert bench.state("bake") == "running"
    bench.close(held, RELEASED)

    assert bench.submit(task("boil")) == Registered(2, dropped=1)


def test_what_was_dropped_can_be_added_again(bench: Bench) -> None:
    graph = [task("bake"), task("serve", "bake"), task("boil")]
    bench.register(*graph)
    bench.submit(task("boil"))

    assert bench.submit(*graph) == Registered(3, changed=2)

    assert bench.states() == {"bake": "ready", "serve": "waiting", "boil": "ready"}
    finish(bench, bench.worker(), *("bake", "boil", "serve"))


def test_what_is_added_again_has_whole_budgets(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    alice = bench.worker()
    bench.close(bench.claim(alice), FAILED)
    bench.submit(task("boil"))
    bench.submit(task("bake"), task("boil"))

    bench.close(bench.claim(alice), RELEASED)

    assert bench.state("bake") == "ready"


def test_a_completion_before_the_drop_does_not_complete_what_is_added_again(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("boil"))
    alice, bob = bench.worker("alice"), bench.worker("bob")
    completed, _open = bench.claim(alice), bench.claim(bob)
    bench.close(completed)
    bench.cancel("bake")
    bench.submit(task("boil"))
    bench.submit(task("bake", slots=2), task("boil"))

    bench.close(bench.claim(alice), FAILED)

    assert bench.state("bake") == "failed"


def test_what_was_dropped_twice_is_dropped_once(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    bench.submit(task("boil"))

    assert bench.submit(task("boil")) == Registered(2)


def test_a_ready_task_that_gets_a_dependency_waits(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))

    assert bench.submit(task("bake"), task("boil", "bake")) == Registered(2, changed=1)

    assert bench.states() == {"bake": "ready", "boil": "waiting"}
    assert bench.close(bench.claim(bench.worker())) == {"boil"}


def test_a_waiting_task_that_loses_its_dependency_is_ready(bench: Bench) -> None:
    bench.register(task("bake"), task("boil", "bake"))

    bench.submit(task("bake"), task("boil"))

    assert names(bench.claims(bench.worker())) == ["bake", "boil"]


def test_a_task_can_wait_for_another_than_before(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake"))
    bench.submit(task("bake"), task("boil"), task("serve", "boil"))
    bake, boil = bench.claims(bench.worker())

    assert bench.close(bake) == set()
    assert bench.close(boil) == {"serve"}


def test_new_dependencies_of_what_has_started_do_not_hold_it_up(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    bake, boil = bench.claims(bench.worker())
    bench.close(bake)

    found = bench.submit(task("late"), task("bake", "late"), task("boil", "late"))

    assert found == Registered(2, added=1, too_late=("bake", "boil"))
    assert bench.states() == {"bake": "completed", "boil": "running", "late": "ready"}
    assert bench.close(boil) == set()


@pytest.mark.parametrize("ending", [FAILED, RELEASED], ids=["failed", "released"])
def test_what_had_started_waits_for_new_dependencies_if_it_is_tried_again(
    bench: Bench, ending: Ending
) -> None:
    bench.register(task("bake"), failed=1)
    alice = bench.worker()
    held = bench.claim(alice)
    bench.submit(task("late"), task("bake", "late"))

    bench.close(held, ending)

    assert bench.states() == {"bake": "waiting", "late": "ready"}
    finish(bench, alice, "late", "bake")


def test_what_had_started_does_not_wait_for_what_the_graph_no_longer_asks_for(
    bench: Bench,
) -> None:
    bench.submit(task("mill", of="1"), task("bake", "mill"), compare=True)
    alice = bench.worker()
    finish(bench, alice, "mill")
    held = bench.claim(alice)
    bench.submit(task("mill", of="2"), task("bake", "mill"), compare=True)
    bench.submit(task("bake"), task("mill", "bake", of="2"), compare=True)

    bench.close(held, RELEASED)

    assert bench.states() == {"mill": "waiting", "bake": "ready"}
    finish(bench, alice, "bake", "mill")


# --- dependencies on what is there already ------------------------------------------------------


def test_what_depends_on_a_completed_task_need_not_wait_for_it(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    bench.close(bench.claim(bench.worker()))

    bench.submit(task("bake"), task("boil", "bake"), task("serve", "bake"), task("eat", "serve"))

    assert bench.states() == {
        "bake": "completed",
        "boil": "ready",
        "serve": "ready",
        "eat": "waiting",
    }
    finish(bench, bench.worker("bob"), "boil", "serve", "eat")


def test_an_edge_from_a_completed_task_is_satisfied_and_any_other_is_not(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    bench.close(bench.claim(bench.worker()))

    bench.submit(task("bake"), task("boil"), task("serve", "bake", "boil"))

    assert bench.rows("SELECT upstream, satisfied FROM edges ORDER BY 1") == [(1, 1), (2, 0)]
    assert bench.one("SELECT unmet FROM tasks WHERE id = 'serve'") == 1


@BADLY
def test_what_depends_on_a_task_that_ended_badly_is_blocked(bench: Bench, ending: Ending) -> None:
    bench.register(task("bake"), task("boil"), killed=0)
    bench.close(bench.claim(bench.worker()), ending)

    bench.submit(task("bake"), task("boil", "bake"), task("serve", "bake"), task("eat", "serve"))

    assert set(bench.states().values()) == {str(ending.outcome), "blocked"}
    bench.reset()
    finish(bench, bench.worker("bob"), "bake", "boil", "serve", "eat")


def test_what_depends_on_a_blocked_task_is_blocked(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    bench.close(bench.claim(bench.worker()), FAILED)

    bench.submit(task("bake"), task("serve", "bake"), task("eat", "serve"))

    assert bench.state("eat") == "blocked"


def test_what_no_longer_depends_on_a_failure_is_free_and_so_is_what_waits_for_it(
    bench: Bench,
) -> None:
    bench.register(task("bake"), task("serve", "bake"), task("eat", "serve"), task("nap", "eat"))
    bench.close(bench.claim(bench.worker()), FAILED)

    bench.submit(task("bake"), task("serve"), task("eat", "serve"), task("nap", "eat"))

    assert bench.states() == {
        "bake": "failed",
        "serve": "ready",
        "eat": "waiting",
        "nap": "waiting",
    }
    finish(bench, bench.worker("bob"), "serve", "eat", "nap")


def test_what_another_failure_still_blocks_stays_blocked_when_rewired(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake"), task("eat", "serve", "boil"))
    for held in bench.claims(bench.worker()):
        bench.close(held, FAILED)

    bench.submit(task("bake"), task("boil"), task("serve"), task("eat", "serve", "boil"))

    assert (bench.state("serve"), bench.state("eat")) == ("ready", "blocked")


# --- what the digest does not cover -------------------------------------------------------------


@pytest.mark.parametrize("state", ["ready", "waiting", "blocked"])
def test_a_new_priority_takes_effect_at_submit(bench: Bench, state: str) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake"))
    name = "boil" if state == "ready" else "serve"
    if state == "blocked":
        bench.close(bench.claim(bench.worker()), FAILED)
    assert bench.state(name) == state
    urgent = {name: 5}

    found = bench.submit(
        task("bake"),
        task("boil", priority=urgent.get("boil", 0)),
        task("serve", "bake", priority=urgent.get("serve", 0)),
    )

    assert found == Registered(1, changed=1)
    assert bench.state(name) == state
    assert bench.one("SELECT priority FROM tasks WHERE id = ?", name) == 5


def test_a_new_priority_is_given_to_the_task_that_has_it_and_to_no_other(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))

    bench.submit(task("bake", priority=5), task("boil"))

    assert bench.rows("SELECT id, priority FROM tasks ORDER BY key") == [("bake", 5), ("boil", 0)]


def test_new_requirements_take_effect_at_submit(bench: Bench) -> None:
    bench.register(task("bake"))

    bench.submit(task("bake", labels="oven"))

    assert bench.claims(bench.worker()) == []
    assert names(bench.claims(bench.worker("bob", labels="oven"))) == ["bake"]


def test_more_slots_take_effect_at_submit(bench: Bench) -> None:
    bench.register(task("bake"))

    bench.submit(task("bake", slots=2))

    bench.claim(bench.worker("alice"))
    bench.claim(bench.worker("bob"))
    assert bench.claims(bench.worker("carol")) == []


def test_fewer_slots_take_effect_at_submit(bench: Bench) -> None:
    bench.register(task("bake", slots=2))

    bench.submit(task("bake"))

    bench.claim(bench.worker("alice"))
    assert bench.claims(bench.worker("bob")) == []


def test_a_worker_does_not_change_priorities(bench: Bench) -> None:
    bench.register(task("bake"))

    assert bench.register(task("bake", priority=5)) == Registered(1)

    assert bench.one("SELECT priority FROM tasks") == 0


@BADLY
def test_what_ended_badly_is_tried_again_as_the_newest_graph_has_it(
    bench: Bench, ending: Ending
) -> None:
    bench.register(task("bake"), killed=0)
    bench.close(bench.claim(bench.worker()), ending)

    bench.submit(task("bake", labels="oven"))
    bench.reset()

    assert bench.claims(bench.worker("bob")) == []
    assert names(bench.claims(bench.worker("carol", labels="oven"))) == ["bake"]


@BADLY
def test_a_retry_waits_for_dependencies_that_came_after_the_end(
    bench: Bench, ending: Ending
) -> None:
    bench.register(task("bake"), task("serve", "bake"), killed=0)
    worker = bench.worker()
    bench.close(bench.claim(worker), ending)

    bench.submit(task("mill"), task("bake", "mill"), task("serve", "bake"))
    assert bench.state("bake") == str(ending.outcome)
    bench.reset("bake")

    assert bench.states() == {"bake": "waiting", "serve": "waiting", "mill": "ready"}
    finish(bench, worker, "mill", "bake", "serve")


@BADLY
def test_a_retry_does_not_wait_for_what_the_graph_no_longer_asks_for(
    bench: Bench, ending: Ending
) -> None:
    bench.register(task("mill"), task("bake", "mill"), killed=0)
    worker = bench.worker()
    finish(bench, worker, "mill")
    bench.close(bench.claim(worker), ending)
    bench.submit(task("mill", of="x"), task("bake"))

    bench.reset("bake")

    assert bench.state("bake") == "ready"
    assert bench.rows("SELECT * FROM edges") == []


def test_a_task_has_budgets_of_its_own_where_it_says_so(bench: Bench) -> None:
    bench.register(task("bake", failed=2), task("boil"), task("stew", failed=0), failed=1)
    worker = bench.worker()
    for _ in range(2):
        for held in bench.claims(worker):
            bench.close(held, FAILED)

    assert bench.states() == {"bake": "ready", "boil": "failed", "stew": "failed"}


def test_the_budget_of_deaths_is_its_own_too(bench: Bench) -> None:
    bench.register(task("bake", killed=0), task("boil"), killed=1)
    for held in bench.claims(bench.worker()):
        bench.close(held, KILLED)

    assert bench.states() == {"bake": "killed", "boil": "ready"}


def test_a_revision_changes_the_budgets_of_what_can_still_run(bench: Bench) -> None:
    bench.register(task("bake", failed=0))
    bench.submit(task("bake", failed=1))
    worker = bench.worker()
    bench.close(bench.claim(worker), FAILED)
    assert bench.state("bake") == "ready"
    bench.close(bench.claim(worker), FAILED)

    bench.submit(task("bake"))
    bench.reset()
    bench.close(bench.claim(worker), FAILED)

    assert bench.state("bake") == "failed"


def test_a_task_that_completed_and_left_the_graph_is_not_dropped(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"))
    finish(bench, bench.worker(), "bake", "boil")

    bench.submit(task("boil"))

    assert bench.rows("SELECT id, state, in_graph FROM tasks") == [
        ("bake", "completed", 0),
        ("boil", "completed", 1),
    ]
