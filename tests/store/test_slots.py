"""Tasks that several workers may be in at a time."""

import pytest

from slurmband.domain.attempts import Ending
from tests.store.builders import COMPLETED, FAILED, KILLED, RELEASED, Bench, names, task

pytestmark = pytest.mark.unit

UNHARMED_OR_NOT = pytest.mark.parametrize(
    "ending", [FAILED, KILLED, RELEASED], ids=["failed", "killed", "released"]
)


def test_each_worker_is_in_a_slot_of_its_own(bench: Bench) -> None:
    bench.register(task("bake", slots=3))

    held = [bench.claim(bench.worker(name)) for name in ("alice", "bob", "carol")]

    assert [(claim.slot, claim.number) for claim in held] == [(0, 1), (1, 2), (2, 3)]
    assert bench.claims(bench.worker("dave")) == []


def test_slots_are_counted_for_each_task_by_itself(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("boil"))
    alice, bob = bench.worker("alice"), bench.worker("bob")

    held = [*bench.claims(alice), *bench.claims(bob)]

    assert [(claim.task, claim.slot) for claim in held] == [("bake", 0), ("boil", 0), ("bake", 1)]


def test_a_slot_that_became_empty_is_the_next_to_be_taken(bench: Bench) -> None:
    bench.register(task("bake", slots=3), failed=9)
    held = [bench.claim(bench.worker(name)) for name in ("alice", "bob", "carol")]
    bench.close(held[1], FAILED)

    again = bench.claim(bench.worker("dave"))

    assert (again.slot, again.number) == (1, 4)
    assert bench.claims(bench.worker("eve")) == []


def test_nobody_joins_after_the_first_completion(bench: Bench) -> None:
    bench.register(task("bake", slots=3))
    alice, bob = bench.claim(bench.worker("alice")), bench.claim(bench.worker("bob"))

    assert bench.close(alice) == set()

    assert bench.claims(bench.worker("carol")) == []
    assert bench.state("bake") == "running"
    assert bench.close(bob) == set()
    assert bench.state("bake") == "completed"


def test_a_task_frees_its_dependents_when_its_last_slot_closes(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("serve", "bake"))
    alice, bob = bench.claim(bench.worker("alice")), bench.claim(bench.worker("bob"))

    assert bench.close(alice) == set()
    assert bench.state("serve") == "waiting"
    assert bench.close(bob) == {"serve"}


@UNHARMED_OR_NOT
def test_one_completion_is_enough_however_the_others_end(bench: Bench, ending: Ending) -> None:
    bench.register(task("bake", slots=3), failed=0, killed=0)
    alice, bob, carol = (bench.claim(bench.worker(name)) for name in ("alice", "bob", "carol"))

    bench.close(bob, ending)
    bench.close(alice, COMPLETED)
    assert bench.claims(bench.worker("dave")) == []
    bench.close(carol, ending)

    assert bench.state("bake") == "completed"


@UNHARMED_OR_NOT
def test_a_completion_counts_whoever_closes_last(bench: Bench, ending: Ending) -> None:
    bench.register(task("bake", slots=2), failed=0, killed=0)
    alice, bob = bench.claim(bench.worker("alice")), bench.claim(bench.worker("bob"))

    bench.close(alice, ending)
    bench.close(bob, COMPLETED)

    assert bench.state("bake") == "completed"


def test_a_revoked_slot_counts_as_closed(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("serve", "bake"))
    alice, bob = bench.worker("alice"), bench.worker("bob")
    held = bench.claim(alice)
    bench.claim(bob)
    bench.close(held)

    bench.lose(bob)

    assert bench.states() == {"bake": "completed", "serve": "ready"}


def test_a_failure_in_one_slot_leaves_the_others_running(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("serve", "bake"), failed=0)
    alice, bob = bench.claim(bench.worker("alice")), bench.claim(bench.worker("bob"))

    assert bench.close(alice, FAILED) == set()
    assert bench.states() == {"bake": "running", "serve": "waiting"}
    bench.close(bob, RELEASED)

    assert bench.states() == {"bake": "failed", "serve": "blocked"}


@pytest.mark.parametrize(("ending", "state"), [(FAILED, "failed"), (KILLED, "killed")])
def test_nobody_joins_a_task_whose_budget_is_spent(
    bench: Bench, ending: Ending, state: str
) -> None:
    bench.register(task("bake", slots=2), failed=0, killed=0)
    alice, bob = bench.claim(bench.worker("alice")), bench.claim(bench.worker("bob"))
    bench.close(alice, ending)

    assert bench.claims(bench.worker("carol")) == []
    bench.close(bob, RELEASED)
    assert bench.state("bake") == state


def test_a_slot_that_fails_within_the_budget_is_open_to_others(bench: Bench) -> None:
    bench.register(task("bake", slots=2), failed=1)
    alice = bench.claim(bench.worker("alice"))
    bench.claim(bench.worker("bob"))
    bench.close(alice, FAILED)

    assert bench.claim(bench.worker("carol")).slot == 0


def test_after_a_round_without_completion_all_slots_are_open_again(bench: Bench) -> None:
    bench.register(task("bake", slots=2), failed=2)
    alice, bob = bench.claim(bench.worker("alice")), bench.claim(bench.worker("bob"))
    bench.close(alice, FAILED)

    assert bench.close(bob, FAILED) == {"bake"}

    held = [bench.claim(bench.worker(name)) for name in ("carol", "dave")]
    assert [claim.slot for claim in held] == [0, 1]


def test_a_completion_of_an_earlier_round_does_not_count_in_this_one(bench: Bench) -> None:
    bench.register(task("bake", slots=2), failed=0)
    bench.close(bench.claim(bench.worker("alice")))
    bench.write("UPDATE tasks SET state = 'invalidated', free_slots = 2, completions = 0")

    bench.close(bench.claim(bench.worker("bob")), FAILED)

    assert bench.state("bake") == "failed"


def test_a_revision_that_drops_a_shared_task_leaves_who_is_in_it(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("boil"))
    held = bench.claim(bench.worker("alice"))

    bench.submit(task("boil"))

    assert bench.state("bake") == "running"
    bench.close(held)
    assert bench.state("bake") == "completed"


def test_a_worker_is_in_a_task_once(bench: Bench) -> None:
    bench.register(task("bake", slots=2), task("boil"))
    alice = bench.worker("alice")
    bench.claim(alice)

    assert names(bench.claims(alice)) == ["boil"]
    assert names(bench.claims(bench.worker("bob"))) == ["bake"]
