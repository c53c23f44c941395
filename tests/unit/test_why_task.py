"""Why a task is where it is: who is in it, what it waits for, which budget is spent."""

from dataclasses import replace
from typing import Any

import pytest

from slurmband.domain.attempts import Outcome, Reason
from slurmband.domain.band_facts import WorkerFacts
from slurmband.domain.facts import Root, TaskFacts, Typical, Upstream
from slurmband.domain.states import TaskState
from slurmband.domain.takers import Sign
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.scene import Scene
from slurmband.observe.why.task import choose, why_task
from tests.unit.scenes import GONE, MUTE, NOW, attempt, band, charged, scene, task, worker

pytestmark = pytest.mark.unit

RUNNING = task(TaskState.RUNNING, attempts=(attempt(),))
HOLDER = worker("36_0", holds="run-3")
BUDGETS = charged(killed=2, oom=1, time=1)


def ended(state: TaskState, **facts: Any) -> Answer:
    given: dict[str, Any] = {"budgets": BUDGETS} | facts
    return why_task(scene(band()), task(state, **given))


def test_a_job_that_was_too_short_is_hinted_at_before_it_is_charged() -> None:
    def hint(reason: Reason, outcome: Outcome = Outcome.RELEASED) -> str:
        before = attempt(outcome=outcome, reason=reason)
        answer = why_task(scene(band(worker("36_1"))), task(TaskState.READY, attempts=(before,)))
        return "".join(line for line in answer.evidence if "its job ended before" in line)

    assert "charged the next time" in hint(Reason.TIME_LIMIT)
    assert "charged, not the first" in hint(Reason.TIME_LIMIT, Outcome.KILLED)
    assert not hint(Reason.PREEMPTED)


# --- running ------------------------------------------------------------------------------------


def test_a_running_task_names_who_holds_it_since_when_and_the_log() -> None:
    answer = why_task(scene(band(HOLDER)), RUNNING)

    assert answer.cause is Cause.RUNNING
    assert answer.headline == "run-3 is running: 36_0 took it 1 min 40 s ago."
    assert answer.evidence == [
        "attempt 1: worker 36_0 (job 37) on n1",
        "last heard 2.0 s ago; it is a suspect after 1 min 00 s",
        "log: /logs/36_0.out",
    ]
    assert answer.command == "tail -n 20 /logs/36_0.out"


@pytest.mark.parametrize(
    ("deviation", "late"), [(5.0, ": this one takes longer than usual"), (40.0, "")]
)
def test_how_long_such_tasks_take_is_told(deviation: float, late: str) -> None:
    usual = task(
        TaskState.RUNNING, kind="fit", typical=Typical(7, 20.0, deviation), attempts=(attempt(),)
    )

    answer = why_task(scene(band(HOLDER)), usual)

    assert (
        f"tasks of kind 'fit' take 20 s, give or take {deviation:.{int(deviation < 10)}f} s "
        f"(7 completed){late}" in answer.evidence
    )


@pytest.mark.parametrize(
    ("sign", "sure", "words"),
    [
        (MUTE, "may be dead", "36_0: last heard 5 min 00 s ago"),
        (GONE, "is dead", "36_0: its process is gone"),
    ],
)
def test_a_holder_that_may_be_dead_is_the_reason(sign: Sign, sure: str, words: str) -> None:
    answer = why_task(scene(band(HOLDER), signs={"36_0": sign}), RUNNING)

    assert answer.cause is Cause.SILENT
    assert answer.headline == f"run-3 is held by 36_0, which {sure}."
    assert words in answer.evidence[0]
    assert answer.command == "slurmband reap-dead"


def test_where_nobody_can_tell_when_a_worker_was_heard_that_is_said() -> None:
    answer = why_task(scene(band(HOLDER), signs={"36_0": Sign()}), RUNNING)

    assert answer.cause is Cause.RUNNING
    assert "when it was last heard cannot be told from here" in answer.evidence


def test_a_task_in_hand_has_not_begun() -> None:
    holder = worker("36_0", holds="run-2")

    answer = why_task(scene(band(holder), waiting_in_hand=frozenset({1})), RUNNING)

    assert answer.cause is Cause.NOT_BEGUN
    assert answer.headline == "run-3 has not begun: 36_0 took it in advance; it is in run-2 now."


# --- waiting and blocked ------------------------------------------------------------------------


def waiting(of: Scene, *roots: Root, whole: bool = True) -> Answer:
    up = Upstream({TaskState.WAITING: 2, TaskState.READY: 1}, roots, whole)
    root = choose(of, up)
    facts = (
        None
        if root is None
        else TaskFacts(key=1, id=root.id, state=root.state, requirements=root.requirements)
    )
    return why_task(of, task(TaskState.WAITING, "plot"), up, facts)


def ready(name: str, labels: str = "") -> Root:
    return Root(name, TaskState.READY, frozenset(labels.split()), ("plot", "sum", name))


def test_what_waits_says_the_root_cause_and_the_path_to_it() -> None:
    of = scene(band(worker("36_0", "big")))

    answer = waiting(of, ready("run-1"), ready("train", "gpu"), ready("run-2"))

    assert answer.cause is Cause.WAITING
    assert answer.headline == "plot waits: train is ready, and no live worker has gpu."
    assert answer.evidence[:3] == [
        "dependencies that have not completed: 3 (1 ready, 2 waiting)",
        "path: plot <- sum <- train",
        "upstream it comes down to 3 tasks; also run-1 (ready), run-2 (ready)",
    ]
    assert answer.facts["root"]["cause"] == "requirements"
    assert answer.facts["path"] == ["plot", "sum", "train"]
    assert answer.command == "slurmband submit --labels gpu ..."


def test_a_walk_that_did_not_see_all_says_so() -> None:
    answer = waiting(scene(band(worker())), ready("a"), ready("b"), whole=False)

    assert any("2 or more tasks" in line for line in answer.evidence)


def test_of_what_runs_the_longest_is_the_root_and_what_nobody_can_take_comes_before_it() -> None:
    of = scene(band(worker("36_0", holds="x")))
    old, young = (
        Root(name, TaskState.RUNNING, frozenset(), ("plot", name), claimed_at)
        for name, claimed_at in (("old", NOW - 500), ("young", NOW - 5))
    )
    failed = Root("bad", TaskState.FAILED, frozenset(), ("plot", "bad"))

    def chosen(*roots: Root) -> str | None:
        root = choose(of, Upstream({}, roots))
        return None if root is None else root.id

    assert chosen(ready("fits"), young, old) == "old"
    assert chosen(young, old, ready("train", "gpu")) == "train"
    assert chosen(ready("train", "gpu"), failed) == "bad"
    assert chosen() is None


def test_a_long_path_is_shown_by_its_ends() -> None:
    path = tuple(f"t{n}" for n in range(20))
    root = Root("t19", TaskState.READY, frozenset(), path)

    answer = waiting(scene(band(worker())), root)

    assert "path: t0 <- t1 <- t2 <- ... 14 more ... <- t17 <- t18 <- t19" in answer.evidence


def test_what_is_blocked_says_by_whose_failure() -> None:
    up = Upstream(
        {TaskState.BLOCKED: 1},
        (Root("bad", TaskState.FAILED, frozenset(), ("plot", "sum", "bad")),),
    )
    failed = attempt(1, Outcome.FAILED, "ValueError: no such luck")
    root = TaskFacts(
        key=1,
        id="bad",
        state=TaskState.FAILED,
        charged=charged(failed=1),
        budgets=BUDGETS,
        attempts=(failed,),
    )

    answer = why_task(scene(band()), task(TaskState.BLOCKED, "plot"), up, root)

    assert answer.cause is Cause.BLOCKED
    assert answer.headline == "plot is blocked: bad failed: ValueError: no such luck"
    assert "path: plot <- sum <- bad" in answer.evidence
    assert answer.command == "slurmband retry bad"


# --- ended --------------------------------------------------------------------------------------


def test_a_failure_tells_the_budget_each_attempt_and_the_log() -> None:
    tries = (
        attempt(1, Outcome.RELEASED, Reason.PREEMPTED),
        attempt(2, Outcome.FAILED, "ValueError: burnt", worker="36_4"),
    )

    answer = ended(TaskState.FAILED, charged=charged(failed=1), attempts=tries, blocks=3)

    assert answer.cause is Cause.FAILED
    assert answer.headline == "run-3 failed: ValueError: burnt"
    assert answer.evidence[0] == "no try is left: failed 1 of 1"
    assert answer.evidence[1].startswith("attempt 1: released, preempted; worker 36_0")
    assert answer.evidence[2].startswith("attempt 2: failed, ValueError: burnt; worker 36_4")
    assert answer.evidence[3:] == [
        "log: /logs/36_4.out",
        "tasks right below it that are blocked: 3",
    ]
    assert answer.command == "slurmband retry run-3"
    assert answer.facts["spent"] == [{"of": "failed", "used": 1, "allowed": 1}]


@pytest.mark.parametrize(
    ("counted", "spent", "advice"),
    [
        (charged(oom=2), "out of memory 2 of 2", "--mem"),
        (charged(time=2), "time limit 2 of 2", "--time"),
    ],
)
def test_each_cause_has_advice_of_its_own(counted: object, spent: str, advice: str) -> None:
    last = attempt(2, Outcome.KILLED, Reason.OUT_OF_MEMORY)

    answer = ended(TaskState.KILLED, charged=counted, attempts=(last,))

    assert answer.evidence[0] == f"no try is left: {spent}"
    assert advice in answer.advice


def test_a_poisoned_task_tells_which_deaths_it_brought() -> None:
    why = (Reason.PROCESS_GONE, Reason.OUT_OF_MEMORY, Reason.OVERRUN, Reason.SILENT)
    deaths = [attempt(n, Outcome.KILLED, reason) for n, reason in enumerate(why, 1)]

    answer = ended(
        TaskState.KILLED, charged=charged(killed=2, oom=1, time=1), attempts=tuple(deaths)
    )

    assert answer.evidence[0] == (
        "no try is left: poisoned: it took 3 workers with it: killed, out of memory, silent"
    )
    assert answer.facts["poisoned"]


def test_programs_that_were_killed_are_not_told_as_workers() -> None:
    program = replace(attempt(1, Outcome.KILLED, Reason.OUT_OF_MEMORY), error="Killed: ./bake")
    deaths = (program, replace(program, number=2), attempt(3, Outcome.KILLED, Reason.PROCESS_GONE))

    answer = ended(TaskState.KILLED, charged=charged(killed=1, oom=2, time=0), attempts=deaths)

    assert "poisoned: it took 1 worker and 2 programs with it: out of" in answer.evidence[0]


def test_deaths_before_a_retry_by_hand_are_not_told_as_this_rounds() -> None:
    why = (Reason.OUT_OF_MEMORY, Reason.PROCESS_GONE, Reason.PROCESS_GONE, Reason.SILENT)
    deaths = [attempt(n, Outcome.KILLED, reason) for n, reason in enumerate(why, 1)]

    answer = ended(TaskState.KILLED, charged=charged(killed=3), attempts=tuple(deaths))

    assert answer.evidence[0].endswith("with it: killed, killed, silent")


def test_what_completed_says_where_and_when() -> None:
    done = attempt(2, Outcome.COMPLETED, since=NOW - 100, ended=NOW - 40)

    answer = ended(TaskState.COMPLETED, attempts=(done,))

    assert answer.cause is Cause.COMPLETED
    assert answer.headline == "run-3 has completed, 40 s ago."
    assert "1 min 00 s" in answer.evidence[1]


def test_what_was_cancelled_says_by_what() -> None:
    by_hand = ended(TaskState.CANCELLED, since=NOW - 10)
    dropped = ended(TaskState.CANCELLED, in_graph=False)

    assert (by_hand.cause, by_hand.command) == (Cause.CANCELLED, "slurmband retry run-3")
    assert dropped.cause is Cause.NOT_IN_GRAPH
    assert "does not have it" in dropped.headline


def test_a_name_with_blanks_can_be_pasted() -> None:
    answer = why_task(scene(band()), task(TaskState.CANCELLED, "run 3; rm *"))

    assert answer.command == "slurmband retry 'run 3; rm *'"


def test_workers_are_told_of_as_programs_need_it() -> None:
    holder: WorkerFacts = HOLDER

    claims = why_task(scene(band(holder)), RUNNING).facts["claims"]

    assert claims[0] | {"since": None} == {
        "attempt": 1,
        "worker": "36_0",
        "element": "36_0",
        "job": 37,
        "node": "n1",
        "since": None,
        "silent_for": 2.0,
        "log": "/logs/36_0.out",
    }
