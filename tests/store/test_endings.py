"""How an attempt ends, and what that does to its task."""

import pytest

from slurmband.domain.attempts import Ending, Outcome
from slurmband.errors import ClaimLost
from slurmband.store import listings, transitions
from tests.store.builders import COMPLETED, FAILED, KILLED, RELEASED, Bench, task

pytestmark = pytest.mark.unit


def errors_of(bench: Bench, name: str) -> list[object]:
    with bench.store.read() as tx:
        return [row["error"] for row in listings.attempt_rows(tx, name)]


ENDINGS = [COMPLETED, FAILED, KILLED, RELEASED]


@pytest.mark.parametrize(
    ("ending", "state", "ready"),
    [
        (COMPLETED, "completed", set()),
        (FAILED, "failed", set()),
        (KILLED, "killed", set()),
        (RELEASED, "ready", {"bake"}),
    ],
    ids=lambda value: str(getattr(value, "outcome", "")),
)
def test_an_attempt_ends_and_its_task_with_it(
    bench: Bench, ending: Ending, state: str, ready: set[str]
) -> None:
    bench.register(task("bake"), failed=0, killed=0)

    assert bench.close(bench.claim(bench.worker()), ending) == ready

    assert bench.state("bake") == state


def test_why_an_attempt_ended_is_kept(bench: Bench) -> None:
    bench.register(task("bake"))
    ending = Ending(Outcome.FAILED, "ValueError: burnt", "Traceback ...")

    bench.close(bench.claim(bench.worker(), now=2.0), ending, now=3.5)

    kept = bench.rows("SELECT outcome, reason, claimed_at, ended_at FROM attempts")
    assert kept == [("failed", "ValueError: burnt", 2.0, 3.5)]
    assert errors_of(bench, "bake") == ["Traceback ..."]


def test_of_those_that_fail_alike_the_text_is_kept_once(bench: Bench) -> None:
    bench.register(task("bake"), task("serve"), failed=5)
    worker = bench.worker()
    for told in ("Traceback ...", "Traceback ...", "another"):
        bench.close(bench.claim(worker), Ending(Outcome.FAILED, "ValueError: burnt", told))
    bench.close(bench.claim(worker))

    assert errors_of(bench, "bake") == ["Traceback ...", "Traceback ...", "another", None]
    assert bench.one("SELECT count(*) FROM error_texts") == 2


def test_a_refused_report_leaves_no_text(bench: Bench) -> None:
    bench.register(task("bake"))
    held = bench.claim(bench.worker())
    bench.close(held)

    with pytest.raises(ClaimLost):
        bench.close(held, Ending(Outcome.FAILED, "ValueError: burnt", "Traceback ..."))

    assert bench.one("SELECT count(*) FROM error_texts") == 0


def test_what_an_older_slurmband_wrote_into_the_attempt_is_told(bench: Bench) -> None:
    bench.register(task("bake"), failed=5)
    bench.close(bench.claim(bench.worker()), FAILED)

    bench.write("UPDATE attempts SET error = 'Traceback ...'")

    assert errors_of(bench, "bake") == ["Traceback ..."]


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_a_task_fails_when_it_failed_once_more_than_its_budget(bench: Bench, budget: int) -> None:
    bench.register(task("bake"), failed=budget, killed=0)
    alice = bench.worker()

    for _ in range(budget):
        assert bench.close(bench.claim(alice), FAILED) == {"bake"}
    bench.close(bench.claim(alice), FAILED)

    assert bench.state("bake") == "failed"
    assert bench.claims(alice) == []


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_deaths_have_a_budget_of_their_own(bench: Bench, budget: int) -> None:
    bench.register(task("bake"), failed=0, killed=budget)
    alice = bench.worker()

    for _ in range(budget):
        assert bench.close(bench.claim(alice), KILLED) == {"bake"}
    bench.close(bench.claim(alice), KILLED)

    assert bench.state("bake") == "killed"


def test_a_failure_is_not_charged_as_a_death(bench: Bench) -> None:
    bench.register(task("bake"), failed=1, killed=1)
    alice = bench.worker()
    bench.close(bench.claim(alice), FAILED)

    bench.close(bench.claim(alice), KILLED)

    assert bench.state("bake") == "ready"


def test_a_release_is_charged_to_nobody(bench: Bench) -> None:
    bench.register(task("bake"), failed=0, killed=0)
    alice = bench.worker()

    for _ in range(5):
        bench.close(bench.claim(alice), RELEASED)

    assert bench.state("bake") == "ready"
    assert bench.rows("SELECT failures, deaths, attempts FROM tasks") == [(0, 0, 5)]


def test_one_task_is_not_charged_for_another(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), failed=1)
    bake, boil = bench.claims(bench.worker())

    bench.close(bake, FAILED)
    bench.close(boil, FAILED)

    assert bench.states() == {"bake": "ready", "boil": "ready"}


def test_a_completion_frees_what_waited_for_it(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"), task("tell", "bake"))

    assert bench.close(bench.claim(bench.worker())) == {"serve", "tell"}

    assert bench.states() == {"bake": "completed", "serve": "ready", "tell": "ready"}


def test_the_last_dependency_frees_and_no_earlier_one(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake", "boil"))
    bake, boil = bench.claims(bench.worker())

    assert bench.close(bake) == set()
    assert bench.state("serve") == "waiting"
    assert bench.close(boil) == {"serve"}


def test_an_unrelated_task_that_waits_is_not_freed(bench: Bench) -> None:
    bench.register(
        task("bake"), task("boil"), task("serve", "bake"), task("eat", "boil"), task("nap", "eat")
    )
    bake, _ = bench.claims(bench.worker())

    assert bench.close(bake) == {"serve"}

    assert (bench.state("eat"), bench.state("nap")) == ("waiting", "waiting")


def test_a_completion_does_not_bring_back_a_dependent_that_was_dropped(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    held = bench.claim(bench.worker())
    bench.submit(task("bake"))

    assert bench.close(held) == set()

    assert bench.state("serve") == "cancelled"


def test_a_task_that_completes_again_counts_nothing_down_twice(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake", "boil"))
    alice = bench.worker()
    bench.close(bench.claim(alice))
    bench.write("UPDATE tasks SET state = 'invalidated', free_slots = 1 WHERE id = 'bake'")

    assert bench.close(bench.claim(alice)) == set()

    assert bench.rows("SELECT state, unmet FROM tasks WHERE id = 'serve'") == [("waiting", 1)]


@pytest.mark.parametrize("late", ENDINGS, ids=lambda ending: str(ending.outcome))
@pytest.mark.parametrize("first", ENDINGS, ids=lambda ending: str(ending.outcome))
def test_an_attempt_ends_once(bench: Bench, first: Ending, late: Ending) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    held = bench.claim(bench.worker())
    bench.close(held, first)
    before = bench.dump()

    with pytest.raises(ClaimLost) as lost:
        bench.close(held, late)

    assert (lost.value.task, lost.value.attempt) == ("bake", 1)
    assert bench.dump() == before


def test_a_report_on_an_old_attempt_does_not_end_the_new_one(bench: Bench) -> None:
    bench.register(task("bake"))
    alice = bench.worker()
    old = bench.claim(alice)
    bench.close(old, RELEASED)
    new = bench.claim(alice)

    with pytest.raises(ClaimLost):
        bench.close(old)

    assert bench.close(new) == set()
    assert bench.state("bake") == "completed"


def test_of_several_reports_those_count_whose_claim_is_still_held(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), task("fry"), task("eat", "bake"))
    alice = bench.worker()
    bake, boil, fry = bench.claims(alice)
    bench.close(boil, RELEASED)

    with bench.store.transaction() as tx:
        reports = [(bake, COMPLETED), (boil, COMPLETED), (fry, FAILED)]
        closed = transitions.close_all(tx, reports, now=5.0)

    assert (set(closed.freed), closed.lost) == ({"eat"}, [boil])
    states = {"bake": "completed", "boil": "ready", "fry": "failed", "eat": "ready"}
    assert bench.states() == states
