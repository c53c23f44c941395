"""Why a band does not move: every cause that holds, and first the one to look at first."""

import pytest

from slurmband.domain.band_facts import BandFacts, Blocker, Failure, Head
from slurmband.domain.states import TaskState
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.arrays import report
from slurmband.observe.why.band import moves, why_band
from slurmband.slurm.pending import Queue, QueuedElement
from tests.unit.scenes import GONE, MUTE, NOW, array, band, scene, worker

pytestmark = pytest.mark.unit

FAILURES = (
    Failure(TaskState.FAILED, "ValueError: burnt", 12, "bake-1", "/logs/36_1.out"),
    Failure(TaskState.KILLED, "out of memory", 1, "boil"),
)
BLOCKERS = (Blocker("bake-1", TaskState.FAILED, 80), Blocker("boil", TaskState.KILLED, 9, False))
BUSY = worker("36_0", holds="long", since=NOW - 7200)


def causes(of: BandFacts, **facts: object) -> list[Cause]:
    return [answer.cause for answer in why_band(scene(of, **facts))]  # type: ignore[arg-type]


def first(of: BandFacts) -> Answer:
    return why_band(scene(of))[0]


def test_all_done_is_all_that_is_said() -> None:
    (answer,) = why_band(scene(band(completed=7, cancelled=1)))

    assert answer.cause is Cause.COMPLETED
    assert answer.headline == "All is done: 7 tasks completed."
    assert answer.evidence == ["cancelled: 1 task"]


def test_a_band_without_tasks_says_so() -> None:
    assert causes(band()) == [Cause.EMPTY]


def test_what_is_left_is_blocked_by_failures_the_most_frequent_first() -> None:
    of = band(completed=1, failed=12, killed=1, blocked=89, failures=FAILURES, blockers=BLOCKERS)

    (answer,) = why_band(scene(of))

    assert answer.cause is Cause.FAILED
    assert answer.headline == (
        "Nothing is left that can run: 12 tasks failed and 1 task was killed, which blocks 89 more."
    )
    assert answer.evidence == [
        "failed: bake-1 (and 11 more so): ValueError: burnt",
        "  log: /logs/36_1.out",
        "killed: boil: out of memory",
        "bake-1 (failed) blocks 80",
        "boil (killed) blocks at least 9",
    ]
    assert answer.command == "slurmband retry"


def test_what_a_cancelled_task_blocks_is_not_a_failure() -> None:
    of = band(cancelled=1, blocked=3, blockers=(Blocker("eat", TaskState.CANCELLED, 3),))

    (answer,) = why_band(scene(of))

    assert (answer.cause, answer.command) == (Cause.CANCELLED, "slurmband retry eat")
    assert "3 tasks blocked by cancelled ones" in answer.headline


def test_no_worker_comes_before_failures() -> None:
    of = array()
    pending = report(of, Queue({36: {0: QueuedElement("PENDING", "Priority")}}), {})

    found = why_band(
        scene(band(ready=1, failed=1, failures=FAILURES, arrays=(of,)), arrays=(pending,))
    )

    assert [answer.cause for answer in found] == [Cause.NO_WORKER, Cause.FAILED]
    assert found[0].headline == "Nothing moves: no worker is alive; 1 element in SLURM's queue."
    assert found[0].command == "squeue --start -j 36"


def test_workers_that_may_all_be_dead_are_the_reason() -> None:
    of = band(BUSY, running=1)
    for sign in (MUTE, GONE):
        assert causes(of, signs={"36_0": sign}) == [Cause.SILENT]
        assert not moves(scene(of, signs={"36_0": sign}))


def test_a_worker_that_may_be_dead_is_told_beside_what_moves() -> None:
    of = band(BUSY, worker("36_1", holds="b"), running=2)

    assert causes(of, signs={"36_1": MUTE}) == [Cause.MOVING, Cause.SILENT]


def test_a_worker_that_may_be_dead_comes_first_where_nothing_moves() -> None:
    of = band(BUSY, worker("36_1"), gpu_ready=1, running=1)

    assert causes(of, signs={"36_0": MUTE}) == [Cause.SILENT, Cause.REQUIREMENTS]


def test_a_stop_is_told_first() -> None:
    assert causes(band(worker(), ready=3, stop="drain")) == [Cause.STOPPED]
    assert causes(band(ready=3, stop="drain")) == [Cause.STOPPED, Cause.NO_WORKER]


def test_ready_tasks_that_nobody_can_take_are_told_with_the_first_of_them() -> None:
    of = band(worker(), gpu_ready=12, waiting=3, heads={"gpu": Head("train-1")})

    (answer,) = why_band(scene(of))

    assert answer.cause is Cause.REQUIREMENTS
    assert answer.headline == "12 tasks are ready, train-1 first, and no live worker has gpu."


def test_ready_tasks_for_which_no_time_is_left_are_told() -> None:
    of = band(worker(ends_at=NOW + 60), ready=1, heads={"": Head("long", 3600.0)})

    assert causes(of) == [Cause.NO_TIME]


def test_what_moves_is_told_with_its_rate_and_with_what_does_not() -> None:
    of = band(BUSY, gpu_ready=1, ready=4, running=1, recent={"complete": 10})

    found = why_band(scene(of))

    assert [answer.cause for answer in found] == [Cause.MOVING, Cause.REQUIREMENTS]
    assert found[0].headline == "Things move: 1 worker at work, 1 task in hand."
    assert found[0].evidence == ["completed in the last 5 minutes: 10 (2.0 a minute)"]
    assert moves(scene(of))


def test_workers_that_all_wait_for_a_long_task_name_it() -> None:
    of = band(BUSY, worker("36_1"), worker("36_2"), running=1, waiting=9)

    (answer,) = why_band(scene(of))

    assert answer.cause is Cause.LONG_TASK
    assert answer.headline == "2 workers wait for long, in 36_0 for 2 h 00 min."
    assert answer.command == "slurmband why long"


def test_a_last_task_that_nothing_waits_for_is_no_obstacle() -> None:
    assert causes(band(BUSY, worker("36_1"), running=1)) == [Cause.MOVING]


def test_a_growing_graph_waits_for_its_producer() -> None:
    made = first(band(worker(), growing=True, producer="36_0", completed=5))
    nobody = first(band(worker(), growing=True, completed=5))

    assert made.cause is nobody.cause is Cause.PRODUCER
    assert "36_0 makes them" in made.headline
    assert "no worker makes them now" in nobody.headline


def test_workers_that_are_free_will_take_what_is_ready() -> None:
    assert causes(band(worker(), ready=3)) == [Cause.SOON]
