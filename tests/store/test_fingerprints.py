"""A completed task of another fingerprint runs again, and what has not started waits for it."""

import pytest

from slurmband.domain.budgets import Budgets
from slurmband.domain.graph import check
from slurmband.errors import GraphChanged
from slurmband.store import registration
from slurmband.store.registration import Registered
from tests.store.builders import FAILED, KILLED, RELEASED, Bench, finish, task

pytestmark = pytest.mark.unit


@pytest.fixture
def done(bench: Bench) -> Bench:
    """bake, of flour-1, completed; serve, which needs it, has not begun."""
    bench.submit(task("bake", of="flour-1"), task("serve", "bake"), compare=True)
    finish(bench, bench.worker(), "bake")
    return bench


def test_another_fingerprint_lets_a_completed_task_run_again(done: Bench) -> None:
    found = done.submit(task("bake", of="flour-2"), task("serve", "bake"), compare=True)

    assert found == Registered(2, invalidated=1)
    assert done.states() == {"bake": "invalidated", "serve": "waiting"}
    again = done.claim(done.worker("bob"))
    assert (again.task, again.number) == ("bake", 2)
    assert done.close(again) == {"serve"}


def test_what_is_to_run_again_only_learns_a_third_fingerprint(done: Bench) -> None:
    done.submit(task("bake", of="flour-2"), task("serve", "bake"), compare=True)

    found = done.submit(task("bake", of="flour-3"), task("serve", "bake"), compare=True)

    assert found.invalidated == 0
    assert done.state("bake") == "invalidated"
    done.close(done.claim(done.worker("bob")))
    assert done.one("SELECT last_fingerprint FROM tasks WHERE id = 'bake'") == "flour-3"


def test_the_same_fingerprint_is_skipped(done: Bench) -> None:
    before = done.dump()

    assert done.submit(
        task("bake", of="flour-1"), task("serve", "bake"), compare=True
    ) == Registered(1)

    assert done.dump() == before


def test_a_task_without_a_fingerprint_is_skipped(done: Bench) -> None:
    done.submit(task("bake"), task("serve", "bake"), compare=True)

    assert done.state("bake") == "completed"


def test_a_completion_without_a_fingerprint_is_not_known_to_differ(bench: Bench) -> None:
    bench.submit(task("bake"), compare=True)
    finish(bench, bench.worker(), "bake")

    assert bench.submit(task("bake", of="flour-1"), compare=True).invalidated == 0
    assert bench.state("bake") == "completed"


def test_fingerprints_are_not_compared_unless_asked_for(done: Bench) -> None:
    done.submit(task("bake", of="flour-2"), task("serve", "bake"))

    assert done.states() == {"bake": "completed", "serve": "ready"}


def test_a_difference_that_was_not_compared_is_found_when_it_is(done: Bench) -> None:
    other = (task("bake", of="flour-2"), task("serve", "bake"))
    done.submit(*other)

    assert done.submit(*other, compare=True).invalidated == 1


def test_what_has_not_completed_only_learns_its_fingerprint(bench: Bench) -> None:
    bench.submit(task("bake", of="flour-1"), compare=True)

    assert bench.submit(task("bake", of="flour-2"), compare=True).invalidated == 0

    assert bench.rows("SELECT state, fingerprint FROM tasks") == [("ready", "flour-2")]


@pytest.mark.parametrize("ending", [FAILED, KILLED, RELEASED], ids=["failed", "killed", "released"])
def test_only_a_completion_changes_the_last_fingerprint(done: Bench, ending: object) -> None:
    done.submit(task("bake", of="flour-2"), task("serve", "bake"), compare=True)

    done.close(done.claim(done.worker("bob")), ending)  # type: ignore[arg-type]  # an Ending

    assert done.one("SELECT last_fingerprint FROM tasks WHERE id = 'bake'") == "flour-1"


def test_the_history_carries_the_fingerprint_of_each_moment(done: Bench) -> None:
    done.submit(task("bake", of="flour-2"), task("serve", "bake"), compare=True)
    done.close(done.claim(done.worker("bob")))

    history = done.rows(
        "SELECT event, fingerprint FROM task_statuses WHERE task_id = 1 ORDER BY id"
    )

    assert history == [
        ("register", "flour-1"),
        ("claim", "flour-1"),
        ("complete", "flour-1"),
        ("invalidate", "flour-2"),
        ("claim", "flour-2"),
        ("complete", "flour-2"),
    ]
    assert done.rows("SELECT number, fingerprint FROM attempts") == [(1, "flour-1"), (2, "flour-2")]


def test_a_fresh_round_has_whole_budgets(bench: Bench) -> None:
    bench.submit(task("bake", of="flour-1"), compare=True)
    bench.register(task("bake"), failed=1)
    worker = bench.worker()
    bench.close(bench.claim(worker), FAILED)
    bench.close(bench.claim(worker))
    bench.submit(task("bake", of="flour-2"), compare=True)

    bench.close(bench.claim(worker), FAILED)

    assert bench.state("bake") == "ready"


def test_a_completion_of_the_round_before_does_not_count(done: Bench) -> None:
    done.submit(task("bake", of="flour-2"), task("serve", "bake"), compare=True)

    done.close(done.claim(done.worker("bob")), RELEASED)

    assert done.state("bake") == "ready"


# --- dependents ---------------------------------------------------------------------------------


CHAIN_1 = (task("mill", of="corn-1"), task("bake", "mill", of="x"), task("serve", "bake"))
CHAIN_2 = (task("mill", of="corn-2"), *CHAIN_1[1:])


def test_a_ready_dependent_waits_again_and_is_freed_once(bench: Bench) -> None:
    bench.submit(*CHAIN_1, compare=True)
    worker = bench.worker()
    finish(bench, worker, "mill")
    assert bench.state("bake") == "ready"

    bench.submit(*CHAIN_2, compare=True)
    assert bench.states() == {"mill": "invalidated", "bake": "waiting", "serve": "waiting"}

    finish(bench, worker, "mill", "bake", "serve")
    assert bench.rows("SELECT unmet FROM tasks") == [(0,), (0,), (0,)]


def test_a_completed_dependent_of_the_same_fingerprint_stays(bench: Bench) -> None:
    bench.submit(*CHAIN_1, compare=True)
    worker = bench.worker()
    finish(bench, worker, "mill", "bake")

    bench.submit(*CHAIN_2, compare=True)

    assert bench.states() == {"mill": "invalidated", "bake": "completed", "serve": "ready"}
    finish(bench, worker, "mill", "serve")


def test_a_completed_dependent_whose_fingerprint_changed_too_runs_after_its_upstream(
    bench: Bench,
) -> None:
    bench.submit(*CHAIN_1, compare=True)
    worker = bench.worker()
    finish(bench, worker, "mill", "bake", "serve")

    bench.submit(task("mill", of="corn-2"), task("bake", "mill", of="y"), CHAIN_1[2], compare=True)

    assert bench.states() == {"mill": "invalidated", "bake": "waiting", "serve": "completed"}
    assert bench.claim(worker).task == "mill"


def test_an_invalidated_task_waits_for_a_dependency_that_a_revision_gives_it(done: Bench) -> None:
    done.submit(task("bake", of="flour-2"), task("serve", "bake"), compare=True)
    revised = (task("mill"), task("bake", "mill", of="flour-2"), task("serve", "bake"))

    done.submit(*revised, compare=True)

    assert done.states() == {"bake": "waiting", "serve": "waiting", "mill": "ready"}
    finish(done, done.worker("bob"), "mill", "bake", "serve")


def test_a_dependent_that_is_outdated_later_waits_as_well(bench: Bench) -> None:
    bench.submit(*CHAIN_1, compare=True)
    finish(bench, bench.worker(), "mill", "bake", "serve")
    bench.submit(*CHAIN_2, compare=True)
    assert bench.states() == {"mill": "invalidated", "bake": "completed", "serve": "completed"}

    bench.submit(task("mill", of="corn-2"), task("bake", "mill", of="y"), CHAIN_1[2], compare=True)

    assert bench.states() == {"mill": "invalidated", "bake": "waiting", "serve": "completed"}


def test_an_outdated_task_waits_for_a_dependency_that_comes_with_the_new_fingerprint(
    bench: Bench,
) -> None:
    bench.submit(task("bake", of="1"), compare=True)
    alice = bench.worker()
    finish(bench, alice, "bake")

    found = bench.submit(task("mill", of="1"), task("bake", "mill", of="2"), compare=True)

    assert found == Registered(2, added=1, invalidated=1)
    assert bench.states() == {"bake": "waiting", "mill": "ready"}
    finish(bench, alice, "mill", "bake")


def test_an_outdated_task_does_not_wait_for_what_was_dropped_from_the_graph(bench: Bench) -> None:
    bench.submit(task("mill", of="1"), task("bake", "mill", of="1"), compare=True)
    alice = bench.worker()
    finish(bench, alice, "mill", "bake")
    bench.submit(task("mill", of="2"), task("bake", "mill", of="1"), compare=True)

    bench.submit(task("bake", of="2"), compare=True)

    assert bench.states() == {"mill": "cancelled", "bake": "invalidated"}


def test_an_outdated_task_runs_as_the_newest_graph_has_it(bench: Bench) -> None:
    bench.submit(task("bake", of="1"), compare=True)
    alice = bench.worker()
    finish(bench, alice, "bake")

    bench.submit(task("bake", of="2", labels="oven", slots=2), compare=True)

    assert bench.claims(alice) == []
    oven = bench.worker("bob", "oven"), bench.worker("carol", "oven")
    assert [bench.claim(worker).slot for worker in oven] == [0, 1]


@pytest.mark.parametrize("ending", [FAILED, KILLED, RELEASED], ids=["failed", "killed", "released"])
def test_a_running_dependent_finishes_and_waits_only_if_it_is_tried_again(
    bench: Bench, ending: object
) -> None:
    bench.submit(*CHAIN_1, compare=True)
    bench.register(*CHAIN_1, failed=1, killed=1)
    worker = bench.worker()
    finish(bench, worker, "mill")
    held = bench.claim(worker)

    bench.submit(*CHAIN_2, compare=True)
    assert bench.state("bake") == "running"
    freed = bench.close(held, ending)  # type: ignore[arg-type]  # an Ending

    assert freed == set()
    assert bench.states() == {"mill": "invalidated", "bake": "waiting", "serve": "waiting"}
    finish(bench, worker, "mill", "bake", "serve")


def test_a_running_dependent_that_completes_stays_completed(bench: Bench) -> None:
    bench.submit(*CHAIN_1, compare=True)
    worker = bench.worker()
    finish(bench, worker, "mill")
    held = bench.claim(worker)
    bench.submit(*CHAIN_2, compare=True)

    assert bench.close(held) == {"serve"}

    assert bench.states() == {"mill": "invalidated", "bake": "completed", "serve": "ready"}


def test_what_waits_anew_for_a_failure_is_blocked_by_it(bench: Bench) -> None:
    bench.submit(*CHAIN_1, compare=True)
    worker = bench.worker()
    finish(bench, worker, "mill")
    held = bench.claim(worker)
    bench.submit(*CHAIN_2, compare=True)
    bench.close(bench.claim(worker), FAILED)  # mill

    bench.close(held, RELEASED)

    assert bench.states() == {"mill": "failed", "bake": "blocked", "serve": "blocked"}


def test_a_failed_dependent_waits_for_its_upstream_when_it_is_retried(bench: Bench) -> None:
    bench.submit(*CHAIN_1, compare=True)
    worker = bench.worker()
    finish(bench, worker, "mill")
    bench.close(bench.claim(worker), FAILED)
    bench.submit(*CHAIN_2, compare=True)

    bench.reset("bake")

    assert bench.states() == {"mill": "invalidated", "bake": "waiting", "serve": "waiting"}
    finish(bench, worker, "mill", "bake", "serve")


# --- who compares -------------------------------------------------------------------------------


def test_a_worker_compares_where_nobody_else_is_there(done: Bench) -> None:
    other = (task("bake", of="flour-2"), task("serve", "bake"))

    assert done.register(*other, compare=True, alone=False) == Registered(1)
    assert done.state("bake") == "completed"

    assert done.register(*other, compare=True, alone=True) == Registered(2, invalidated=1)
    assert done.state("bake") == "invalidated"


def test_a_worker_with_the_registered_fingerprints_asks_for_nobody(done: Bench) -> None:
    graph = check([task("bake", of="flour-1"), task("serve", "bake")])

    with done.store.transaction() as tx:
        found = registration.register(
            tx,
            graph,
            budgets=Budgets(),
            new_revision=False,
            compare=True,
            alone=lambda: pytest.fail("nothing is to be compared"),
            now=9.0,
        )

    assert found == Registered(1)


def test_a_worker_that_does_not_compare_writes_nothing(done: Bench) -> None:
    before = done.dump()

    done.register(task("bake", of="flour-2"), task("serve", "bake"), alone=True)

    assert done.dump() == before


def test_another_graph_is_refused_whoever_is_there(done: Bench) -> None:
    with pytest.raises(GraphChanged):
        done.register(task("bake", of="flour-2"), compare=True, alone=True)


def test_the_revision_says_whether_fingerprints_are_compared(done: Bench) -> None:
    with done.store.read() as tx:
        compared = registration.current(tx)
    done.submit(task("bake", of="flour-1"), task("serve", "bake"))
    with done.store.read() as tx:
        not_compared = registration.current(tx)

    assert compared is not None
    assert compared.fingerprints is not None
    assert not_compared is not None
    assert not_compared.fingerprints is None


# --- a fingerprint that changes while the task runs ---------------------------------------------


def test_what_completes_with_an_older_fingerprint_is_to_run_again(bench: Bench) -> None:
    bench.submit(task("bake", of="flour-1"), task("serve", "bake"), compare=True)
    held = bench.claim(bench.worker())
    bench.submit(task("bake", of="flour-2"), task("serve", "bake"), compare=True)

    assert bench.close(held) == {"bake"}

    assert bench.states() == {"bake": "invalidated", "serve": "waiting"}
    assert bench.one("SELECT last_fingerprint FROM tasks WHERE id = 'bake'") == "flour-1"


def test_what_was_claimed_without_a_fingerprint_is_not_known_to_differ(bench: Bench) -> None:
    bench.submit(task("bake"), compare=True)
    held = bench.claim(bench.worker())
    bench.submit(task("bake", of="flour-1"), compare=True)

    bench.close(held)

    assert bench.state("bake") == "completed"


def test_that_is_so_only_where_fingerprints_are_compared(bench: Bench) -> None:
    bench.submit(task("bake", of="flour-1"), task("serve", "bake"))
    held = bench.claim(bench.worker())
    bench.submit(task("bake", of="flour-2"), task("serve", "bake"))

    assert bench.close(held) == {"serve"}
