"""What a laufband user may rely on: scripts of which both libraries show the very same."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.differential.library import LIBRARIES, Node
from tests.differential.stage import Script, Stage, play

pytestmark = [
    pytest.mark.integration,
    # laufband leaves its connections to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

A, B, C = Node("a"), Node("b"), Node("c")
B_AFTER_A = Node("b", needs=("a",))


SCRIPTS: dict[Script, str] = {}


def both_see(lines: str) -> Callable[[Script], Script]:
    """Say what a script shows on either library, line by line."""

    def note(script: Script) -> Script:
        SCRIPTS[script] = lines
        return script

    return note


class Mishap(Exception):
    """What a task of the user raises."""


@both_see(
    "one takes a; one takes b; one takes c; one is through; one: no more; "
    "one is through; a completed, b completed, c completed; 3 tasks"
)
def a_loop_runs_the_graph_to_its_end(stage: Stage) -> None:
    stage.graph = [A, B_AFTER_A, Node("c", needs=("a", "b"))]
    one = stage.worker()
    one.loop()
    one.ask()
    one.loop()
    stage.look()
    stage.say(f"{len(one.band)} tasks")


@both_see(
    "a untouched, b untouched; one takes a; a running, b untouched; one takes b; "
    "a completed, b running"
)
def a_task_ends_when_the_next_is_asked_for(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    stage.look()
    one.take()
    stage.look()
    one.take()
    stage.look()


@both_see(
    "one takes a; two takes b; two takes c; one takes d; two is through; "
    "a completed, b completed, c completed, d running; one is through"
)
def two_workers_share_the_tasks(stage: Stage) -> None:
    stage.graph = [A, B, C, Node("d")]
    one, two = stage.worker("one"), stage.worker("two")
    one.take()
    two.take()
    two.take()
    one.take()
    two.take()
    stage.look()
    one.take()


@both_see(
    "one takes a; two is through; two: more; one takes b; two is through; a completed, b running"
)
def nothing_starts_before_its_dependencies_completed(stage: Stage) -> None:
    stage.graph = [A, B_AFTER_A]
    one, two = stage.worker("one"), stage.worker("two")
    one.take()
    two.take()
    two.ask()
    one.take()
    two.take()
    stage.look()


@both_see(
    "one takes a; a failed, b untouched; one takes b; one is through; "
    "a failed, b completed; one: no more"
)
def a_failed_task_is_not_tried_again_without_a_budget(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    one.take()
    one.fail()
    stage.look()
    one.loop()
    stage.look()
    one.ask()


@both_see("one takes a; two takes b; two is through; two: no more; a failed, b completed")
def a_failed_task_is_failed_for_the_others_too(stage: Stage) -> None:
    stage.graph = [A, B]
    one, two = stage.worker("one"), stage.worker("two")
    one.take()
    one.fail()
    two.loop()
    two.ask()
    stage.look()


@both_see(
    "one takes a; one takes d; one is through; one is through; "
    "a failed, b untouched, c untouched, d completed"
)
def what_waits_for_a_failed_task_never_runs(stage: Stage) -> None:
    stage.graph = [A, B_AFTER_A, Node("c", needs=("b",)), Node("d")]
    one = stage.worker()
    one.take()
    one.fail()
    one.loop()
    one.loop()
    stage.look()


@both_see("one takes a; a failed, b untouched")
def a_break_inside_with_fails_the_task(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    with one.band:
        for task in one.band:
            stage.say(f"one takes {task.id}")
            break
    stage.look()


@both_see("one takes a; the exception came through; a failed, b untouched")
def an_exception_fails_the_task_and_comes_through(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    try:
        with one.band:
            for task in one.band:
                stage.say(f"one takes {task.id}")
                raise Mishap
    except Mishap:
        stage.say("the exception came through")
    stage.look()


@both_see("one takes a; one is through; a completed, b untouched")
def close_completes_the_task_and_ends_the_loop(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    one.take()
    one.close()
    one.take()
    stage.look()


@both_see("one takes a; one is through; one takes b; one is through; a completed, b completed")
def after_close_a_further_loop_goes_on(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    one.take()
    one.close()
    one.take()
    one.loop()
    stage.look()


@both_see("one takes a; one is through; a completed")
def close_before_the_loop_means_nothing(stage: Stage) -> None:
    stage.graph = [A]
    one = stage.worker()
    one.close()
    one.loop()
    stage.look()


@both_see("one takes a; two is through; two: more; a running")
def what_a_worker_has_in_hand_is_left_to_it(stage: Stage) -> None:
    stage.graph = [A]
    one, two = stage.worker("one"), stage.worker("two")
    one.take()
    two.take()
    two.ask()
    stage.look()


@both_see(
    "plain takes b; plain is through; plain: no more; gpu takes a; gpu is through; "
    "gpu: no more; all takes c; all is through; a completed, b completed, c completed"
)
def a_worker_takes_only_what_its_labels_allow(stage: Stage) -> None:
    stage.graph = [Node("a", requires=("gpu",)), B, Node("c", requires=("gpu", "big"))]
    plain = stage.worker("plain")
    gpu = stage.worker("gpu", labels={"gpu"})
    plain.loop()
    plain.ask()
    gpu.loop()
    gpu.ask()
    stage.worker("all", labels={"gpu", "big", "more"}).loop()
    stage.look()


@both_see("plain is through; plain: no more; a untouched")
def a_worker_of_no_use_is_through_at_once(stage: Stage) -> None:
    stage.graph = [Node("a", requires=("gpu",))]
    plain = stage.worker("plain", labels={"cpu"})
    plain.loop()
    plain.ask()
    stage.look()


@both_see("one takes a; two takes a; three is through; a running")
def a_second_worker_joins_a_task_for_two_and_a_third_does_not(stage: Stage) -> None:
    stage.graph = [Node("a", slots=2)]
    one, two, three = (stage.worker(name) for name in ("one", "two", "three"))
    one.take()
    two.take()
    three.take()
    stage.look()


@both_see(
    "one takes a; two takes a; one is through; three is through; two takes b; "
    "a completed, b running"
)
def nobody_joins_once_one_completed_and_all_must_end(stage: Stage) -> None:
    stage.graph = [Node("a", slots=2), B_AFTER_A]
    one, two, three = (stage.worker(name) for name in ("one", "two", "three"))
    one.take()
    two.take()
    one.take()
    three.take()
    two.take()
    stage.look()


@both_see("one takes a; two takes a; two takes b; a completed, b running")
def in_a_task_for_two_a_completion_makes_up_for_an_earlier_failure(stage: Stage) -> None:
    stage.graph = [Node("a", slots=2), B_AFTER_A]
    one, two = stage.worker("one"), stage.worker("two")
    one.take()
    two.take()
    one.fail()
    two.take()
    stage.look()


@both_see(
    "one takes a; two takes b; two is stopped; one is stopped; a failed, b completed, c untouched"
)
def under_stop_the_others_stop_at_a_failure(stage: Stage) -> None:
    stage.graph = [A, B, C]
    one = stage.worker("one", failure_policy="stop")
    two = stage.worker("two", failure_policy="stop")
    one.take()
    two.take()
    one.fail()
    two.take()
    one.take()
    stage.look()


@both_see(
    "one takes a; two takes b; two takes c; two is through; a failed, b completed, c completed"
)
def under_continue_the_others_go_on(stage: Stage) -> None:
    stage.graph = [A, B, C]
    one = stage.worker("one", failure_policy="continue")
    two = stage.worker("two")
    one.take()
    two.take()
    one.fail()
    two.loop()
    stage.look()


@both_see("one: more; one takes a; one is through; one: no more")
def there_is_more_until_all_is_done(stage: Stage) -> None:
    stage.graph = [A]
    one = stage.worker()
    one.ask()
    one.loop()
    one.ask()


@both_see(
    "one takes a; one takes b; one takes c; one is through; one takes a; one takes a; "
    "one takes b; one takes c; one is through; one: no more; "
    "a untouched, b untouched, c untouched; 3 tasks, files: []"
)
def a_disabled_band_iterates_plainly(stage: Stage) -> None:
    stage.graph = [Node("a", requires=("gpu",)), B, C]
    one = stage.worker(disabled=True)
    with one.band:
        one.loop()
        one.take()
        one.fail()
        one.loop()
    one.ask()
    stage.look()
    stage.say(f"{len(one.band)} tasks, files: {[file.name for file in stage.folder.iterdir()]}")


@both_see("one takes a; files: []")
def a_disabled_band_touches_nothing_whatever_it_is_asked(stage: Stage) -> None:
    stage.graph = [A]
    with contextlib.chdir(stage.folder):
        one = stage.worker(disabled=True)
        for task in one.band:
            with one.band.lock:
                stage.say(f"{one.band.identifier} takes {task.id}")
            one.close()
    stage.say(f"files: {[file.name for file in stage.folder.iterdir()]}")


@both_see("one takes a; one is refused; a running, b untouched")
def a_name_that_works_is_refused_to_another(stage: Stage) -> None:
    stage.graph = [A, B]
    stage.worker("one").take()
    stage.worker("one").take()
    stage.look()


@both_see("one takes a; one is through; one is through")
def a_name_is_free_again_when_its_loop_ended(stage: Stage) -> None:
    stage.graph = [A]
    stage.worker("one").loop()
    stage.worker("one").loop()


@both_see("one takes a; one ['gpu'] tqdm")
def a_band_knows_its_name_and_its_labels(stage: Stage) -> None:
    stage.graph = [A]
    one = stage.worker("one", labels={"gpu"})
    one.take()
    stage.say(f"{one.band.identifier} {sorted(one.band.labels)} {type(one.band.iterator).__name__}")


@both_see("one is refused; one is refused")
def options_that_make_no_sense_are_refused(stage: Stage) -> None:
    stage.graph = [A]
    stage.worker(heartbeat_interval=5, heartbeat_timeout=5).take()
    stage.worker(heartbeat_interval=0, heartbeat_timeout=5).take()


@both_see(
    "victim takes a; a running, b untouched, c untouched; witness takes c; "
    "witness is through; a killed, b untouched, c completed"
)
def a_killed_workers_task_is_killed_and_stays_so_without_a_budget(stage: Stage) -> None:
    stage.graph = [A, B_AFTER_A, C]
    options: dict[str, Any] = {"max_killed_retries": 0, "quick": True}
    victim = stage.child("victim", **options)
    victim.take()
    stage.look()
    victim.kill()
    witness = stage.worker("witness", **options)
    witness.loop_until(lambda: stage.stands("a") == "killed", what="the death was noticed")
    witness.loop()
    stage.look()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_a_script_shows_the_same_on_both(script: Script, library: str, tmp_path: Path) -> None:
    assert "; ".join(play(script, library, tmp_path)) == SCRIPTS[script]
