"""A person gives tasks up, and takes that back; either way the graph stays consistent."""

import pytest

from slurmband.errors import ClaimLost
from tests.store.builders import COMPLETED, FAILED, KILLED, RELEASED, Bench, element, finish, task

pytestmark = pytest.mark.unit

CHAIN = (task("mill"), task("bake", "mill"), task("serve", "bake"), task("wash"))


@pytest.fixture
def chain(bench: Bench) -> Bench:
    bench.register(*CHAIN)
    return bench


def test_what_waits_for_a_cancelled_task_is_blocked(chain: Bench) -> None:
    assert chain.cancel("mill") == ["mill"]

    assert chain.states() == {
        "mill": "cancelled",
        "bake": "blocked",
        "serve": "blocked",
        "wash": "ready",
    }


@pytest.mark.parametrize("state", ["waiting", "blocked", "failed", "killed"])
def test_whatever_has_not_completed_can_be_cancelled(chain: Bench, state: str) -> None:
    worker = chain.worker()
    endings = {"failed": FAILED, "killed": KILLED}
    chain.register(*CHAIN, killed=0)
    name = "bake" if state in ("waiting", "blocked") else "mill"
    if state != "waiting":
        chain.close(chain.claim(worker), endings.get(state, FAILED))
    assert chain.state(name) == state

    chain.cancel(name)

    assert chain.state(name) == "cancelled"


def test_an_invalidated_task_can_be_cancelled(bench: Bench) -> None:
    bench.submit(task("bake", of="1"), compare=True)
    finish(bench, bench.worker(), "bake")
    bench.submit(task("bake", of="2"), compare=True)

    bench.cancel("bake")

    assert bench.state("bake") == "cancelled"
    assert bench.claims(bench.worker("bob")) == []


@pytest.mark.parametrize("ending", [COMPLETED, FAILED, RELEASED])
def test_who_is_in_a_cancelled_task_has_lost_its_claim(chain: Bench, ending: object) -> None:
    held = chain.claim(chain.worker())
    chain.cancel("mill")
    before = chain.dump()

    with pytest.raises(ClaimLost):
        chain.close(held, ending)  # type: ignore[arg-type]  # an Ending

    assert chain.dump() == before
    assert chain.rows("SELECT outcome, reason FROM attempts") == [
        ("released", "the task was cancelled")
    ]


def test_a_report_that_came_before_stands(chain: Bench) -> None:
    chain.close(chain.claim(chain.worker()))

    assert chain.cancel("mill") == []

    assert chain.state("mill") == "completed"


def test_a_worker_lost_after_the_cancel_changes_nothing_of_the_task(chain: Bench) -> None:
    worker = chain.worker()
    chain.claim(worker)
    chain.cancel("mill")

    chain.lose(worker)

    assert chain.state("mill") == "cancelled"


def test_a_cancel_after_the_worker_was_lost_finds_nobody_in_the_task(chain: Bench) -> None:
    worker = chain.worker()
    held = chain.claim(worker)
    chain.lose(worker)

    chain.cancel("mill")

    assert chain.state("mill") == "cancelled"
    with pytest.raises(ClaimLost):
        chain.close(held)


@pytest.mark.parametrize("first", ["cancel", "requeue"])
def test_a_cancel_and_a_requeue_leave_the_task_cancelled_in_either_order(
    chain: Bench, first: str
) -> None:
    held = chain.claim(chain.arrive(element(0)))

    for event in ["cancel", "requeue"] if first == "cancel" else ["requeue", "cancel"]:
        if event == "cancel":
            chain.cancel("mill")
        else:
            again = chain.arrive(element(1))

    assert chain.state("mill") == "cancelled"
    assert [claim.task for claim in chain.claims(again)] == ["wash"]
    with pytest.raises(ClaimLost):
        chain.close(held)


def test_a_task_cannot_be_cancelled_twice(chain: Bench) -> None:
    chain.cancel("mill")

    assert chain.cancel("mill", "nothing of that name") == []


def test_a_shared_task_is_cancelled_under_all_its_workers(bench: Bench) -> None:
    bench.register(task("bake", slots=2))
    bench.claim(bench.worker("alice"))
    bench.claim(bench.worker("bob"))

    bench.cancel("bake")

    assert bench.rows("SELECT outcome FROM attempts") == [("released",), ("released",)]
    assert bench.one("SELECT free_slots FROM tasks") == 0


# --- and back -----------------------------------------------------------------------------------


def test_a_retry_by_name_takes_a_cancel_back_and_unblocks(chain: Bench) -> None:
    chain.cancel("mill")

    assert chain.reset("mill") == ["mill"]

    assert chain.states() == dict.fromkeys(["bake", "serve"], "waiting") | dict.fromkeys(
        ["mill", "wash"], "ready"
    )


def test_a_retry_of_all_leaves_the_cancelled_ones(chain: Bench) -> None:
    chain.cancel("mill")

    assert chain.reset() == []


def test_a_cancelled_task_waits_for_what_it_waited_for(chain: Bench) -> None:
    chain.cancel("bake")
    chain.reset("bake")

    assert chain.states() == {
        "mill": "ready",
        "bake": "waiting",
        "serve": "waiting",
        "wash": "ready",
    }
    finish(chain, chain.worker(), "mill", "bake", "serve", "wash")


def test_a_dependency_that_completed_meanwhile_counts(chain: Bench) -> None:
    chain.cancel("bake")
    finish(chain, chain.worker(), "mill", "wash")

    chain.reset("bake")

    assert chain.state("bake") == "ready"


def test_a_cancelled_task_behind_a_failure_comes_back_blocked(chain: Bench) -> None:
    chain.cancel("bake")
    chain.close(chain.claim(chain.worker()), FAILED)

    chain.reset("bake")

    assert chain.states() == {
        "mill": "failed",
        "bake": "blocked",
        "serve": "blocked",
        "wash": "ready",
    }


def test_a_completion_before_the_cancel_does_not_complete_what_comes_after(bench: Bench) -> None:
    bench.register(task("bake", slots=2))
    alice, bob = bench.worker("alice"), bench.worker("bob")
    first, _second = bench.claim(alice), bench.claim(bob)
    bench.close(first)
    bench.cancel("bake")
    bench.reset("bake")

    bench.close(bench.claim(alice), RELEASED)

    assert bench.state("bake") == "ready"


# --- and revisions ------------------------------------------------------------------------------


def test_what_a_person_cancelled_stays_so_when_the_graph_is_submitted_again(chain: Bench) -> None:
    chain.cancel("mill")

    chain.submit(*CHAIN)
    chain.submit(*CHAIN, task("sweep"))

    assert chain.state("mill") == "cancelled"
    assert chain.state("bake") == "blocked"


def test_what_a_revision_dropped_comes_back_with_one_that_has_it(chain: Bench) -> None:
    chain.submit(task("wash"))
    assert chain.reset("mill") == []

    chain.submit(*CHAIN)

    assert chain.states() == {
        "mill": "ready",
        "bake": "waiting",
        "serve": "waiting",
        "wash": "ready",
    }


# --- and dependencies that are to run again -----------------------------------------------------


@pytest.mark.parametrize("upstream", ["invalidated", "cancelled"])
def test_what_ran_on_a_completion_that_counts_no_more_waits_when_it_comes_back(
    bench: Bench, upstream: str
) -> None:
    bench.submit(task("mill", of="1"), task("bake", "mill"), compare=True)
    alice = bench.worker()
    finish(bench, alice, "mill")
    bench.claim(alice)
    bench.submit(task("mill", of="2"), task("bake", "mill"), compare=True)
    if upstream == "cancelled":
        bench.cancel("mill")

    bench.cancel("bake")
    bench.reset("bake")

    assert bench.state("mill") == upstream
    assert bench.state("bake") == ("waiting" if upstream == "invalidated" else "blocked")
    bench.reset("mill")
    finish(bench, alice, "mill", "bake")
