"""A task that was too large for a worker requires a larger one, and only such workers get it."""

from dataclasses import replace

import pytest

from slurmband.domain.attempts import Ending, Outcome, Reason
from slurmband.store import explanations, queries
from slurmband.store.counts import Counts
from tests.store.builders import Bench, names, task

pytestmark = pytest.mark.unit

REQUIRES = "SELECT requirements FROM tasks WHERE id = 'bake'"
OVERRUN = Ending(Outcome.KILLED, Reason.OVERRUN)
BAKE = replace(task("bake", labels="oven"), on_oom="mem:+50%", on_time_limit="slow-ok")


def run_out_of_memory(bench: Bench, labels: str) -> None:
    worker = bench.worker(labels, labels)
    bench.lose(worker, Reason.OUT_OF_MEMORY, journal={bench.claim(worker).attempt: None})


def test_after_running_out_of_memory_a_task_requires_more_of_it(bench: Bench) -> None:
    bench.register(BAKE)

    run_out_of_memory(bench, "oven mem=64G")

    assert bench.one(REQUIRES) == '["mem>=96G", "oven"]'
    assert bench.state("bake") == "ready"
    assert bench.claims(bench.worker("same", "oven mem=64G")) == []
    assert names(bench.claims(bench.worker("larger", "oven mem=128G"))) == ["bake"]


def test_after_taking_too_long_it_may_require_another_label(bench: Bench) -> None:
    bench.register(BAKE)

    bench.close(bench.claim(bench.worker("alice", "oven")), OVERRUN)

    assert bench.one(REQUIRES) == '["oven", "slow-ok"]'


def test_any_other_death_and_a_worker_of_unknown_size_change_nothing(bench: Bench) -> None:
    bench.register(BAKE)
    bob = bench.worker("bob", "oven mem=1G")
    bench.lose(bob, Reason.SILENT, journal={bench.claim(bob).attempt: None})
    assert bench.one(REQUIRES) == '["oven"]'

    run_out_of_memory(bench, "oven")
    assert bench.one(REQUIRES) == '["oven"]'


def test_what_it_came_to_require_outlives_the_next_submission(bench: Bench) -> None:
    bench.register(BAKE, task("boil"))
    run_out_of_memory(bench, "oven mem=64G")

    bench.submit(BAKE, task("boil"), task("fry"))
    assert bench.one(REQUIRES) == '["mem>=96G", "oven"]'

    bench.submit(replace(BAKE, on_oom=None), task("boil"), task("fry"))
    assert bench.one(REQUIRES) == '["oven"]'


def test_what_it_came_to_require_outlives_a_retry_and_the_submission_after_it(bench: Bench) -> None:
    bake = replace(BAKE, max_oom_retries=0)
    bench.register(bake, task("boil"))
    run_out_of_memory(bench, "oven mem=64G")
    assert bench.reset("bake") == ["bake"]

    bench.submit(bake, task("boil"), task("fry"))

    assert bench.one(REQUIRES) == '["mem>=96G", "oven"]'


def test_what_its_user_makes_of_it_counts_beside_what_it_came_to_require(bench: Bench) -> None:
    bench.register(BAKE)
    run_out_of_memory(bench, "oven mem=64G")

    bench.submit(replace(BAKE, requirements={"grill"}))
    assert bench.one(REQUIRES) == '["grill", "mem>=96G"]'
    bench.submit(replace(BAKE, requirements={"grill", "mem>=128G"}))
    assert bench.one(REQUIRES) == '["grill", "mem>=128G"]'


def test_counts_follow_what_is_required(bench: Bench) -> None:
    bench.register(BAKE)
    small = bench.worker("small", "oven mem=1G")
    run_out_of_memory(bench, "oven mem=64G")

    with bench.store.read() as tx:
        assert queries.left_for_nobody(tx) == {("mem>=96G", "oven"): 1}
        assert Counts(tx).claimable_for(small.labels) == 0
        assert Counts(tx).claimable_for({"oven", "mem=96G"}) == 1
        assert queries.unservable(tx) == ['["mem>=96G", "oven"]']


def test_what_slurm_says_late_counts_as_if_it_had_been_known(bench: Bench) -> None:
    bench.register(BAKE)
    alice = bench.worker("alice", "oven mem=64G")
    bench.lose(alice, Reason.PROCESS_GONE, journal={bench.claim(alice).attempt: None})
    bench.write("UPDATE workers SET unexplained = 1")
    assert bench.one(REQUIRES) == '["oven"]'

    with bench.store.transaction() as tx:
        explanations.explain(
            *(tx, alice, Reason.PROCESS_GONE, Reason.OUT_OF_MEMORY), settled=True, now=9.0
        )

    assert bench.one(REQUIRES) == '["mem>=96G", "oven"]'
