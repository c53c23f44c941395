"""A task that is ready and not taken: the one cause that keeps workers from it, and what to do."""

from typing import Any

import pytest

from slurmband.domain.band_facts import Failure
from slurmband.domain.facts import Typical
from slurmband.domain.states import TaskState
from slurmband.observe.why.answers import Answer, Cause
from slurmband.observe.why.arrays import report
from slurmband.observe.why.scene import Scene
from slurmband.observe.why.task import why_task
from slurmband.slurm.pending import Queue, QueuedElement
from tests.unit.scenes import GONE, MUTE, NOW, array, band, scene, task, worker

pytestmark = pytest.mark.unit

READY = task(TaskState.READY)
GPU = task(TaskState.READY, labels="gpu")
LONG = task(TaskState.READY, typical=Typical(9, 3600.0, 60.0))
OFFERS_GPU = "export SLURMBAND_LABELS=gpu,big\nworker=(python -m slurmband work flow.py)\n"
STOPS = "export SLURMBAND_FAILURE_POLICY=stop\n"


def pending(reason: str, *, running: int = 0, **facts: Any) -> Scene:
    """Return a scene with one array that SLURM has not started, and no worker."""
    of = array(**facts)
    elements = {n: QueuedElement("RUNNING", "None") for n in range(running)}
    elements |= {n: QueuedElement("PENDING", reason) for n in range(running, 40)}
    return scene(band(arrays=(of,)), arrays=(report(of, Queue({36: elements}), {}),))


def shown(answer: Answer) -> str:
    return "\n".join([answer.headline, *answer.evidence, answer.advice, answer.command or ""])


def test_with_no_worker_alive_slurms_reason_is_told_with_what_to_do() -> None:
    answer = why_task(pending("JobHeldUser"), READY)

    assert answer.cause is Cause.NO_WORKER
    assert answer.headline == (
        "run-3 is ready, and no worker is alive to take it; 40 elements in SLURM's queue."
    )
    assert "array 36: of 40 elements 40 pending" in answer.evidence
    assert "you hold it (`scontrol hold`, or sbatch --hold) (SLURM: JobHeldUser)" in answer.evidence
    assert (answer.advice, answer.command) == ("release it", "scontrol release 36")
    assert answer.facts["arrays"][0]["reasons"] == {"JobHeldUser": 40}


def test_a_reason_that_is_not_known_is_shown_as_slurm_wrote_it() -> None:
    answer = why_task(pending("SomethingNew"), READY)

    assert "SLURM gives a reason that is not known here (SLURM: SomethingNew)" in answer.evidence
    assert answer.command == "scontrol show job 36"


def test_the_reason_that_does_not_go_away_by_itself_says_what_to_do() -> None:
    of = array()
    elements = {n: QueuedElement("PENDING", "Priority") for n in range(30)}
    elements |= {n: QueuedElement("PENDING", "JobHeldUser") for n in range(30, 40)}

    found = report(of, Queue({36: elements}), {})

    assert (found.waits, found.command) == (False, "scontrol release 36")
    assert found.more[0].startswith("30 of them: jobs of higher priority")


def test_with_no_worker_and_no_array_left_it_is_submitted_again_as_before() -> None:
    of = array(script="", unseen=1, first_unseen=3)
    over = scene(band(arrays=(of,), gone={"time limit": 39}), arrays=(report(of, Queue(), {}),))

    answer = why_task(over, READY)

    assert answer.evidence[:3] == [
        "array 36: SLURM has none of its 40 elements any more",
        "in 1 of its 40 elements no worker ever joined; see /logs/36_3.out",
        "39 workers ended: 39 time limit",
    ]
    assert answer.command == "slurmband submit --array 40 flow.py"


def test_where_squeue_cannot_tell_that_is_said_and_no_more_is_claimed() -> None:
    of = array()
    dark = scene(band(arrays=(of,)), arrays=(report(of, Queue(silence="no squeue"), {}),))

    answer = why_task(dark, READY)

    assert "array 36: what SLURM does with it cannot be told: no squeue" in answer.evidence
    assert "any more" not in shown(answer)


def test_a_local_array_is_told_by_its_processes() -> None:
    of = array(1, cluster="local", token="t")

    assert report(of, Queue(), {"t": [4711]}).line == "array 1: runs on this machine (pid 4711)"
    assert report(of, Queue(), {}).line == "array 1: no process of it is left on this machine"


def test_a_requirement_that_no_live_worker_has_is_named_with_who_would_have_it() -> None:
    alone = scene(band(worker("36_0", "big"), worker("36_1"), arrays=(array(),)))

    answer = why_task(alone, GPU)

    assert answer.cause is Cause.REQUIREMENTS
    assert answer.headline == "run-3 is ready, and no live worker has gpu."
    assert answer.evidence[:2] == ["required: gpu", "offered by 2 live workers: big"]
    assert answer.command == "slurmband submit --labels gpu --array 40 flow.py"

    of = array(40, script=OFFERS_GPU)
    queue = Queue({40: {0: QueuedElement("PENDING", "Resources")}})
    coming = scene(band(worker(), arrays=(of,)), arrays=(report(of, queue, {}),))

    answer = why_task(coming, GPU)

    assert "workers that offer it were submitted:" in answer.evidence
    assert answer.command == "squeue --start -j 40"


def test_an_amount_that_no_live_worker_has_is_not_to_be_offered_as_a_label() -> None:
    large = task(TaskState.READY, labels="mem>=96G")

    of = scene(band(worker("36_0", "mem=64G"), arrays=(array(),)))
    assert why_task(of, large).command == "slurmband recover"
    by_hand = scene(band(worker("host:1", "mem=64G")))
    assert "--labels 'mem>=96G'" in (why_task(by_hand, large).command or "")


def test_labels_that_workers_have_but_none_has_together_are_named() -> None:
    both = task(TaskState.READY, labels="gpu big")
    apart = scene(band(worker("36_0", "gpu"), worker("36_1", "big")))

    assert why_task(apart, both).headline == (
        "run-3 is ready, and no live worker has big, gpu together."
    )


def test_a_task_too_long_for_every_worker_that_could_take_it() -> None:
    short = scene(band(worker("36_0", ends_at=NOW + 60), worker("36_1", ends_at=NOW + 600)))

    answer = why_task(short, LONG)

    assert answer.cause is Cause.NO_TIME
    assert answer.evidence[0] == (
        "it may take 1 h 02 min, and the most that a worker has left is 10 min 00 s (36_1)"
    )
    assert "--time=HH:MM:SS" in (answer.command or "")


def test_its_time_limit_stands_for_a_duration_that_is_not_known() -> None:
    short = scene(band(worker(ends_at=NOW + 60)))

    assert why_task(short, task(TaskState.READY, time_limit=90.0)).cause is Cause.NO_TIME
    assert why_task(short, task(TaskState.READY, time_limit=30.0)).cause is Cause.SOON
    assert why_task(short, READY).cause is Cause.SOON


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (scene(band(worker(), stop="drain")), "all workers were asked to leave"),
        (scene(band(worker(stop="now"))), "the only worker that could take it was asked to leave"),
    ],
)
def test_workers_that_were_asked_to_leave_take_nothing(found: Scene, words: str) -> None:
    answer = why_task(found, READY)

    assert answer.cause is Cause.STOPPED
    assert words in answer.headline


def test_busy_workers_are_told_with_what_and_since_when() -> None:
    busy = scene(
        band(
            worker("36_0", "gpu", holds="a", since=NOW - 60),
            worker("36_1", "gpu", holds="b", since=NOW - 7200),
            worker("36_2"),
        )
    )
    behind = task(TaskState.READY, labels="gpu", ahead=5)

    answer = why_task(busy, behind)

    assert answer.cause is Cause.BUSY
    assert answer.headline == "run-3 is ready; all 2 workers that could are busy."
    assert answer.evidence == [
        "36_1 has had b for 2 h 00 min",
        "36_0 has had a for 1 min 00 s",
        "without what it requires (gpu): 1 other worker",
        "ready tasks that go first: 5",
    ]


def test_a_free_worker_is_named() -> None:
    answer = why_task(scene(band(worker("36_0", holds="a"), worker("36_1"))), READY)

    assert answer.cause is Cause.SOON
    assert answer.headline == "run-3 is ready, and a worker is free for it: 36_1."


@pytest.mark.parametrize("sign", [MUTE, GONE])
def test_workers_that_may_be_dead_are_no_takers(sign: object) -> None:
    signs = {"36_0": sign}
    answer = why_task(scene(band(worker("36_0")), signs=signs), READY)  # type: ignore[arg-type]

    assert answer.cause is Cause.SILENT
    assert answer.command == "slurmband reap-dead"


def test_under_the_policy_stop_a_failure_is_what_keeps_workers_from_it() -> None:
    failed = (Failure(TaskState.FAILED, "ValueError: burnt", 1, "bake"),)

    def of(script: str) -> Answer:
        return why_task(
            scene(band(worker(), arrays=(array(script=script),), failures=failed)), READY
        )

    assert of(STOPS).cause is Cause.POLICY
    assert of(STOPS).headline.endswith('and failure_policy="stop": bake is failed.')
    assert of("").cause is Cause.SOON


def test_an_outdated_task_says_that_it_runs_again() -> None:
    answer = why_task(scene(band(worker())), task(TaskState.INVALIDATED))

    assert "run-3 is invalidated" in answer.headline
    assert "it completed before, with another fingerprint, and is to run again" in answer.evidence
