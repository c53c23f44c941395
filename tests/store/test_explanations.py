"""What SLURM says late puts right what was charged: once, and only where it still counts."""

import pytest

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.workers import Worker
from slurmband.errors import RaceLost
from slurmband.store import invariants, queries
from slurmband.store.explanations import Amended
from tests.store.builders import COMPLETED, ELSEWHERE, FAILED, Bench, element, task

pytestmark = pytest.mark.unit

COUNTED = "SELECT state, deaths, ooms, overruns, walls FROM tasks ORDER BY key"
ATTEMPTS = "SELECT outcome, reason FROM attempts ORDER BY id"
WORKER = "SELECT reason, unexplained FROM workers ORDER BY key"
#: As tests build a graph: the first death ends a task.
NO_BUDGET = {"max_killed_retries": 0, "max_oom_retries": 0, "max_time_limit_retries": 0}


@pytest.fixture
def kitchen(bench: Bench) -> Bench:
    """Return a band in which one death of `bake` is one too many, and `serve` waits for it."""
    bench.register(task("bake"), task("serve", "bake"), failed=0, killed=0)
    return bench


def set_budgets(bench: Bench, **budgets: int) -> None:
    for name, value in budgets.items():
        bench.write(f"UPDATE workflows SET {name} = {value}")


def die(
    bench: Bench, reason: Reason = Reason.PROCESS_GONE, *, index: int = 1, begun: bool = True
) -> tuple[Worker, Claim]:
    """Let a worker of SLURM's claim a task, perhaps begin it, and be judged lost."""
    worker = bench.arrive(element(array_task_id=index, job_id=36 + index))
    held = bench.claim(worker)
    bench.lose(worker, reason, journal={held.attempt: None} if begun else {})
    return worker, held


def check_sound(bench: Bench) -> None:
    with bench.store.read() as tx:
        assert invariants.broken(tx.connection) == {}


# --- what each cause changes ----------------------------------------------------------------------


@pytest.mark.parametrize("told", [Reason.PREEMPTED, Reason.NODE_FAILURE, Reason.CANCELLED])
def test_a_death_that_was_nobodys_fault_is_not_charged(kitchen: Bench, told: Reason) -> None:
    worker, _ = die(kitchen)
    assert kitchen.rows(COUNTED) == [("killed", 1, 0, 0, 0), ("blocked", 0, 0, 0, 0)]

    amended = kitchen.explain(worker, told)

    assert amended == [Amended("bake", 1, Ending(Outcome.RELEASED, told), again=True)]
    assert kitchen.rows(COUNTED) == [("ready", 0, 0, 0, 0), ("waiting", 0, 0, 0, 0)]
    assert kitchen.rows(ATTEMPTS) == [("released", told)]
    assert kitchen.rows(WORKER) == [(told, 0)]
    check_sound(kitchen)


def test_a_death_out_of_memory_is_charged_as_such(kitchen: Bench) -> None:
    set_budgets(kitchen, max_oom_retries=1)
    worker, _ = die(kitchen)

    kitchen.explain(worker, Reason.OUT_OF_MEMORY)

    assert kitchen.rows(COUNTED) == [("ready", 0, 1, 0, 0), ("waiting", 0, 0, 0, 0)]
    assert kitchen.rows(ATTEMPTS) == [("killed", "out of memory")]
    check_sound(kitchen)


def test_a_task_whose_budget_is_spent_either_way_stays_given_up(kitchen: Bench) -> None:
    set_budgets(kitchen, max_oom_retries=0)
    worker, held = die(kitchen)

    amended = kitchen.explain(worker, Reason.OUT_OF_MEMORY)

    assert amended == [
        Amended(held.task, 1, Ending(Outcome.KILLED, Reason.OUT_OF_MEMORY), again=False)
    ]
    assert kitchen.rows(COUNTED) == [("killed", 0, 1, 0, 0), ("blocked", 0, 0, 0, 0)]
    check_sound(kitchen)


def test_the_time_limit_is_charged_from_the_second_time_on(kitchen: Bench) -> None:
    set_budgets(kitchen, max_time_limit_retries=0)

    kitchen.explain(die(kitchen)[0], Reason.TIME_LIMIT)
    first = kitchen.rows(COUNTED)[0]
    kitchen.explain(die(kitchen, index=2)[0], Reason.TIME_LIMIT)

    assert first == ("ready", 0, 0, 0, 1)
    assert kitchen.rows(COUNTED)[0] == ("killed", 0, 0, 1, 2)
    assert kitchen.rows(ATTEMPTS) == [("released", "time limit"), ("killed", "time limit")]
    check_sound(kitchen)


def test_that_it_was_requeued_gets_its_cause_and_costs_nothing(kitchen: Bench) -> None:
    worker, _ = die(kitchen, Reason.REQUEUED)
    before = kitchen.rows(COUNTED)

    kitchen.explain(worker, Reason.PREEMPTED, Reason.REQUEUED)

    assert kitchen.rows(COUNTED) == before
    assert kitchen.rows(ATTEMPTS) == [("released", "preempted")]


def test_what_was_not_begun_is_not_touched(kitchen: Bench) -> None:
    worker, _ = die(kitchen, begun=False)
    before = kitchen.dump()

    assert kitchen.explain(worker, Reason.OUT_OF_MEMORY) == []

    after = kitchen.dump()
    assert after | {"workers": []} == before | {"workers": []}


@pytest.mark.parametrize("ended", [COMPLETED, FAILED])
def test_what_the_journal_knew_better_is_not_touched(kitchen: Bench, ended: Ending) -> None:
    worker = kitchen.arrive(element())
    held = kitchen.claim(worker)
    kitchen.lose(worker, Reason.PROCESS_GONE, journal={held.attempt: ended})
    before = kitchen.dump()

    assert kitchen.explain(worker, Reason.PREEMPTED) == []

    after = kitchen.dump()
    assert after | {"workers": []} == before | {"workers": []}


def test_an_error_that_reads_like_the_loss_is_not_taken_for_it(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), failed=0, killed=0)
    worker = bench.arrive(element())
    bench.close(bench.claim(worker), Ending(Outcome.FAILED, Reason.PROCESS_GONE))
    held = bench.claim(worker)
    bench.lose(worker, Reason.PROCESS_GONE, journal={held.attempt: None})

    bench.explain(worker, Reason.PREEMPTED)

    assert bench.rows(ATTEMPTS) == [("failed", "killed"), ("released", "preempted")]


def test_what_was_charged_to_nobody_is_not_charged_late(kitchen: Bench) -> None:
    worker, _ = die(kitchen, Reason.REQUEUED)
    before = kitchen.rows(COUNTED)

    kitchen.explain(worker, Reason.OUT_OF_MEMORY, Reason.REQUEUED)

    assert kitchen.rows(ATTEMPTS) == [("released", "out of memory")]
    assert kitchen.rows(COUNTED) == before


# --- only once, and only of that loss -------------------------------------------------------------


def test_a_loss_is_explained_once(kitchen: Bench) -> None:
    worker, _ = die(kitchen)
    kitchen.explain(worker, Reason.OUT_OF_MEMORY)
    before = kitchen.dump()

    with pytest.raises(RaceLost, match="36_1"):
        kitchen.explain(worker, Reason.PREEMPTED)
    with pytest.raises(RaceLost):
        kitchen.explain(worker, Reason.PREEMPTED, Reason.OUT_OF_MEMORY)

    assert kitchen.dump() == before


def test_an_explanation_rests_on_the_reason_that_was_seen(kitchen: Bench) -> None:
    worker, _ = die(kitchen)
    kitchen.explain(worker, Reason.REQUEUED, settled=False)
    before = kitchen.dump()

    with pytest.raises(RaceLost):
        kitchen.explain(worker, Reason.OUT_OF_MEMORY, Reason.PROCESS_GONE)
    assert kitchen.dump() == before

    kitchen.explain(worker, Reason.PREEMPTED, Reason.REQUEUED)
    assert kitchen.rows(WORKER) == [("preempted", 0)]
    assert kitchen.rows(ATTEMPTS) == [("released", "preempted")]
    assert kitchen.rows(COUNTED)[0] == ("ready", 0, 0, 0, 0)


def test_a_worker_that_is_alive_is_not_explained(kitchen: Bench) -> None:
    worker = kitchen.arrive(element())
    kitchen.write("UPDATE workers SET unexplained = 1, reason = 'killed'")

    with pytest.raises(RaceLost):
        kitchen.explain(worker, Reason.PREEMPTED)


def test_that_there_is_no_better_reason_is_noted_and_nothing_else(kitchen: Bench) -> None:
    worker, _ = die(kitchen)
    before = kitchen.dump()

    assert kitchen.explain(worker, None) == []

    assert kitchen.rows(WORKER) == [("killed", 0)]
    after = kitchen.dump()
    assert after | {"workers": []} == before | {"workers": []}
    with kitchen.store.read() as tx:
        assert queries.unexplained_workers(tx) == []


def test_the_loss_of_another_worker_is_left_alone(bench: Bench) -> None:
    bench.register(task("bake"), task("boil"), failed=0, killed=0)
    first, _ = die(bench, index=1)
    die(bench, index=2)

    bench.explain(first, Reason.PREEMPTED)

    assert bench.rows(COUNTED) == [("ready", 0, 0, 0, 0), ("killed", 1, 0, 0, 0)]
    assert bench.rows(WORKER) == [("preempted", 0), ("killed", 1)]


# --- what has gone on meanwhile -------------------------------------------------------------------


def test_a_task_that_was_tried_again_meanwhile_and_completed_is_not_touched(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"), failed=0, killed=1)
    worker, _ = die(bench)
    bench.close(bench.claim(bench.worker()))
    tasks = bench.rows("SELECT * FROM tasks")

    bench.explain(worker, Reason.OUT_OF_MEMORY)

    assert bench.rows("SELECT * FROM tasks") == tasks
    assert bench.rows(ATTEMPTS) == [("killed", "out of memory"), ("completed", None)]


def test_a_task_that_runs_again_goes_on_and_is_charged_right(bench: Bench) -> None:
    bench.register(task("bake"), failed=0, killed=1)
    worker, _ = die(bench)
    held = bench.claim(bench.worker())

    bench.explain(worker, Reason.PREEMPTED)

    assert bench.rows(COUNTED) == [("running", 0, 0, 0, 0)]
    check_sound(bench)
    bench.close(held)
    assert bench.state("bake") == "completed"


@pytest.mark.parametrize("told", [Reason.PREEMPTED, Reason.OUT_OF_MEMORY])
def test_a_person_who_reset_it_gave_whole_budgets_and_they_stay_whole(
    kitchen: Bench, told: Reason
) -> None:
    worker, _ = die(kitchen)
    kitchen.reset("bake")

    kitchen.explain(worker, told)

    assert kitchen.rows(COUNTED)[0] == ("ready", 0, 0, 0, 0)
    assert kitchen.rows(ATTEMPTS)[0][1] == told


def test_a_death_after_the_reset_is_not_paid_for_by_one_before_it(kitchen: Bench) -> None:
    worker, _ = die(kitchen)
    kitchen.reset("bake")
    die(kitchen, index=2)

    kitchen.explain(worker, Reason.PREEMPTED)

    assert kitchen.rows(COUNTED) == [("killed", 1, 0, 0, 0), ("blocked", 0, 0, 0, 0)]


def test_a_death_after_the_reset_is_cleared_all_the_same(kitchen: Bench) -> None:
    die(kitchen)
    kitchen.reset("bake")
    worker, _ = die(kitchen, index=2)

    kitchen.explain(worker, Reason.PREEMPTED)

    assert kitchen.rows(COUNTED) == [("ready", 0, 0, 0, 0), ("waiting", 0, 0, 0, 0)]


def test_where_the_history_of_an_attempt_was_pruned_its_task_is_left_alone(kitchen: Bench) -> None:
    worker, _ = die(kitchen)
    kitchen.write("DELETE FROM events")
    kitchen.write("DELETE FROM task_statuses WHERE attempt IS NOT NULL AND status <> 'killed'")
    kitchen.write("UPDATE task_statuses SET attempt = NULL")

    kitchen.explain(worker, Reason.PREEMPTED)

    assert kitchen.rows(COUNTED)[0] == ("killed", 1, 0, 0, 0)


def test_several_deaths_of_one_task_are_explained_one_by_one(bench: Bench) -> None:
    bench.register(task("bake"), failed=0, killed=1)
    first, second = die(bench, index=1)[0], die(bench, index=2)[0]
    assert bench.rows(COUNTED) == [("killed", 2, 0, 0, 0)]

    bench.explain(first, Reason.PREEMPTED)
    assert bench.rows(COUNTED) == [("ready", 1, 0, 0, 0)]
    bench.explain(second, Reason.PREEMPTED)

    assert bench.rows(COUNTED) == [("ready", 0, 0, 0, 0)]
    check_sound(bench)


def test_a_cancelled_task_stays_cancelled(kitchen: Bench) -> None:
    worker, _ = die(kitchen)
    kitchen.cancel("bake")

    kitchen.explain(worker, Reason.PREEMPTED)

    assert kitchen.state("bake") == "cancelled"
    assert kitchen.state("serve") == "blocked"


def test_a_task_that_is_no_longer_in_the_graph_is_not_tried_again(kitchen: Bench) -> None:
    worker, _ = die(kitchen)
    kitchen.write("UPDATE tasks SET in_graph = 0 WHERE id = 'bake'")

    kitchen.explain(worker, Reason.PREEMPTED)

    assert kitchen.state("bake") == "killed"


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_its_upstream_must_do_first_is_waited_for(bench: Bench, *, cancelled: bool) -> None:
    bench.register(task("knead", of="a"), task("bake", "knead"), failed=0, killed=0, compare=True)
    bench.close(bench.claim(bench.worker("cook")))
    worker, _ = die(bench)
    bench.submit(task("knead", of="b"), task("bake", "knead"), compare=True)
    assert bench.states() == {"knead": "invalidated", "bake": "killed"}
    if cancelled:
        bench.cancel("knead")

    bench.explain(worker, Reason.PREEMPTED)

    assert bench.state("bake") == ("blocked" if cancelled else "waiting")
    check_sound(bench)


def test_something_else_that_blocks_goes_on_blocking(bench: Bench) -> None:
    bench.register(*(task("bake"), task("boil"), task("serve", "bake", "boil")), failed=0, killed=0)
    worker, _ = die(bench, index=1)
    die(bench, index=2)

    bench.explain(worker, Reason.PREEMPTED)

    assert bench.states() == {"bake": "ready", "boil": "killed", "serve": "blocked"}
    check_sound(bench)


# --- tasks of several workers ---------------------------------------------------------------------


def together(bench: Bench, slots: int, **budgets: int) -> tuple[Worker, Claim]:
    """Let one of two workers of a task die; return it, and the claim of the other."""
    bench.register(task("bake", slots=slots), failed=0, killed=0)
    set_budgets(bench, **budgets)
    worker = bench.arrive(element())
    held = bench.claim(worker)
    other = bench.claim(bench.worker("other", process=ELSEWHERE))
    bench.lose(worker, Reason.PROCESS_GONE, journal={held.attempt: None})
    return worker, other


def test_others_may_join_again_what_was_closed_for_a_death(bench: Bench) -> None:
    worker, _ = together(bench, slots=3)
    assert bench.rows("SELECT state, free_slots FROM tasks") == [("running", 0)]

    bench.explain(worker, Reason.PREEMPTED)

    assert bench.rows("SELECT state, free_slots, deaths FROM tasks") == [("running", 2, 0)]
    check_sound(bench)


def test_nobody_joins_what_one_of_them_completed(bench: Bench) -> None:
    worker, other = together(bench, slots=3, max_killed_retries=1)
    bench.claim(bench.worker("third"))
    bench.close(other)

    bench.explain(worker, Reason.PREEMPTED)

    assert bench.rows("SELECT state, free_slots, deaths FROM tasks") == [("running", 0, 0)]


def test_nobody_joins_where_another_budget_is_spent_now(bench: Bench) -> None:
    worker, other = together(bench, slots=3, max_oom_retries=0)
    set_budgets(bench, max_killed_retries=1)

    bench.explain(worker, Reason.OUT_OF_MEMORY)

    assert bench.rows("SELECT state, free_slots, ooms FROM tasks") == [("running", 0, 1)]
    bench.close(other, Ending(Outcome.RELEASED, "left"))
    assert bench.state("bake") == "killed"


def test_nobody_joins_a_task_that_is_no_longer_in_the_graph(bench: Bench) -> None:
    worker, _ = together(bench, slots=3)
    bench.write("UPDATE tasks SET in_graph = 0")

    bench.explain(worker, Reason.PREEMPTED)

    assert bench.rows("SELECT free_slots FROM tasks") == [(0,)]
