"""Where slurmband does otherwise than laufband on purpose: the very observation of both, by name.

The names are those of the rows of the table in ``docs/coming-from-laufband.md``; a row that cannot be
played ends in a star there. The file is long because it is that table, with its proofs.
"""

import contextlib
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flufl.lock import Lock

from tests.architecture.markdown import ROOT
from tests.differential.library import LIBRARIES, SLURMBAND, Node
from tests.differential.stage import Script, Stage, play

pytestmark = [
    pytest.mark.integration,
    # laufband leaves its connections to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

A, B, C = Node("a"), Node("b"), Node("c")
B_AFTER_A = Node("b", needs=("a",))


CASES: list[tuple[str, Script, dict[str, str]]] = []


def differs(name: str, *, laufband: str, slurmband: str) -> Callable[[Script], Script]:
    """Say what a script shows on each library, and which row of the page tells of it."""

    def note(script: Script) -> Script:
        CASES.append((name, script, {"laufband": laufband, "slurmband": slurmband}))
        return script

    return note


def fail_until_it_is_given_up(stage: Stage, budget: int) -> None:
    one = stage.worker(f"budget {budget}", max_failed_retries=budget)
    for _ in range(5):
        if one.take() is None:
            break
        one.fail()


@differs(
    "retries",
    laufband="budget 1 takes a; budget 1 is through",
    slurmband="budget 1 takes a; budget 1 takes a; budget 1 is through",
)
def a_budget_of_one(stage: Stage) -> None:
    stage.graph = [A]
    fail_until_it_is_given_up(stage, 1)


@differs(
    "retries",
    laufband="budget 2 takes a; budget 2 takes a; budget 2 is through",
    slurmband="budget 2 takes a; budget 2 takes a; budget 2 takes a; budget 2 is through",
)
def a_budget_of_two(stage: Stage) -> None:
    stage.graph = [A]
    fail_until_it_is_given_up(stage, 2)


@differs(
    "retries after a death",
    laufband="victim takes a; a killed",
    slurmband="victim takes a; witness takes a; a completed",
)
def one_death_with_the_default_budget(stage: Stage) -> None:
    stage.graph = [A]
    victim = stage.child("victim", quick=True)
    victim.take()
    victim.kill()
    witness = stage.worker("witness", entered=True, quick=True)
    witness.loop_until(lambda: stage.stands("a") != "running", what="the death was noticed")
    witness.loop_until(lambda: not witness.band.has_more_jobs, what="all was done")
    stage.look()


@differs(
    "a known identifier",
    laufband="victim takes a; victim is refused; a running",
    slurmband="victim takes a; victim takes a; victim is through; a completed",
)
def a_known_name_after_a_kill(stage: Stage) -> None:
    stage.graph = [A]
    victim = stage.child("victim")
    victim.take()
    victim.kill()
    stage.worker("victim").loop()
    stage.look()


@differs(
    "a late report",
    laufband="sleeper takes a; a killed; sleeper is through; a completed",
    slurmband="sleeper takes a; a killed; sleeper is through; a killed",
)
def a_report_after_the_worker_was_given_up(stage: Stage) -> None:
    stage.graph = [A]
    options: dict[str, Any] = {"max_killed_retries": 0, "quick": True}
    sleeper = stage.child("sleeper", **options)
    sleeper.take()
    sleeper.signal(signal.SIGSTOP)
    witness = stage.worker("witness", entered=True, **options)
    witness.loop_until(lambda: stage.stands("a") == "killed", what="the sleeper was given up")
    stage.look()
    sleeper.signal(signal.SIGCONT)
    sleeper.take()
    stage.look()


@differs(
    "behind a failure",
    laufband="one takes a; one is through; one: more",
    slurmband="one takes a; one is through; one: no more; b is blocked",
)
def what_is_left_behind_a_failure(stage: Stage) -> None:
    stage.graph = [A, B_AFTER_A]
    one = stage.worker()
    one.take()
    one.fail()
    one.loop()
    one.ask()
    if stage.library is SLURMBAND:
        stage.say(f"b is {SLURMBAND.states(stage.folder)['b']}")


@differs(
    "checking the graph",
    laufband="one takes a; one is through; a completed, b untouched",
    slurmband="one is told that its graph cannot be run; a untouched, b untouched",
)
def an_unknown_dependency(stage: Stage) -> None:
    stage.graph = [A, Node("b", needs=("nowhere",))]
    one = stage.worker()
    one.loop()
    stage.look()


@differs(
    "checking the graph",
    laufband="one takes a; one is through",
    slurmband="one is told that its graph cannot be run",
)
def a_cycle(stage: Stage) -> None:
    stage.graph = [A, Node("b", needs=("c",)), Node("c", needs=("b",))]
    stage.worker().loop()


@differs(
    "checking the graph",
    laufband="one takes a; one is through",
    slurmband="one is told that its graph cannot be run",
)
def an_id_twice(stage: Stage) -> None:
    stage.graph = [A, replace(A, slots=2)]
    stage.worker().loop()


@differs(
    "an empty graph",
    laufband="one is through",
    slurmband="one is told that its graph cannot be run",
)
def a_graph_without_a_task(stage: Stage) -> None:
    stage.worker().loop()


@differs(
    "another graph",
    laufband="one takes a; two takes c; two is through",
    slurmband="one takes a; two is told that its graph cannot be run",
)
def a_worker_with_another_graph(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker("one")
    one.take()
    stage.graph = [A, C]
    stage.worker("two").loop()


@differs(
    "one loop",
    laufband="one takes a; one is through; one takes b; one is through",
    slurmband="one takes a; one takes b; one is through; one is through",
)
def dependencies_that_stand_behind_their_dependents(stage: Stage) -> None:
    stage.graph = [B_AFTER_A, A]
    one = stage.worker()
    one.loop()
    one.loop()


@differs(
    "one loop",
    laufband="one takes a; two takes c; one is through; two is through",
    slurmband="one takes a; two takes c; one is through; two takes b",
)
def work_that_comes_free_behind_the_loop(stage: Stage) -> None:
    stage.graph = [A, B_AFTER_A, C]
    one, two = stage.worker("one"), stage.worker("two")
    one.take()
    two.take()
    one.close()
    one.take()
    two.take()


@differs(
    "`stop` with budget left",
    laufband="one takes a; one is stopped; a failed, b untouched",
    slurmband="one takes a; one takes a; one takes b; one is through; a completed, b completed",
)
def a_failure_with_budget_left_under_stop(stage: Stage) -> None:
    stage.graph = [A, B]
    options: dict[str, Any] = {"failure_policy": "stop", "max_failed_retries": 2}
    one = stage.worker("one", **options)
    one.take()
    one.fail()
    one.loop()
    stage.look()


@differs(
    "`stop` with nothing left",
    laufband="one takes a; two takes b; two is through",
    slurmband="one takes a; two takes b; two is stopped",
)
def a_failure_elsewhere_when_nothing_is_left_under_stop(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker("one", failure_policy="stop")
    two = stage.worker("two", failure_policy="stop")
    one.take()
    two.take()
    one.fail()
    two.take()


@differs(
    "`has_more_jobs`",
    laufband="one takes a; one is through; one: no more",
    slurmband="one takes a; one is through; one: more",
)
def more_after_close(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    one.take()
    one.close()
    one.take()
    one.ask()


@differs(
    "`has_more_jobs`",
    laufband="one takes a; one: more",
    slurmband="one takes a; one: no more",
)
def more_after_the_last_task_failed(stage: Stage) -> None:
    stage.graph = [A]
    one = stage.worker()
    one.take()
    one.fail()
    one.ask()


@differs("`has_more_jobs`", laufband="one: more", slurmband="one: no more")
def more_before_the_first_loop_for_a_worker_of_no_use(stage: Stage) -> None:
    stage.graph = [Node("a", requires=("gpu",))]
    stage.worker(labels={"cpu"}).ask()


@differs(
    "`has_more_jobs` asked again",
    laufband="one: more; two takes a; two is through; one: no more",
    slurmband="one: more; two takes a; two is through; one: more",
)
def more_just_after_another_did_the_last(stage: Stage) -> None:
    stage.graph = [A]
    one, two = stage.worker("one"), stage.worker("two")
    one.ask()
    two.take()
    two.take()
    one.ask()


@differs(
    "a bare `break`",
    laufband="one takes a; a failed, b untouched; one takes b; a failed, b running",
    slurmband="one takes a; a running, b untouched; one takes b; a failed, b running",
)
def a_bare_break(stage: Stage) -> None:
    stage.graph = [A, B]
    one = stage.worker()
    for task in one.band:
        stage.say(f"one takes {task.id}")
        break
    stage.look()
    one.take()
    stage.look()


@differs(
    "a loop within a loop",
    laufband="outer takes a; inner takes b; a running, b running; outer has another: False; "
    "a completed, b running",
    slurmband="outer takes a; inner takes b; a failed, b running; outer has another: False; "
    "a failed, b running",
)
def a_second_loop_within_the_first(stage: Stage) -> None:
    stage.graph = [A, B]
    band = stage.worker().band
    outer = iter(band)
    stage.say(f"outer takes {next(outer).id}")
    inner = iter(band)
    stage.say(f"inner takes {next(inner).id}")
    stage.look()
    stage.say(f"outer has another: {next(outer, None) is not None}")
    stage.look()


@differs(
    "a failure beside a completion",
    laufband="one takes a; two takes a; one is through; a failed, b untouched; one is through",
    slurmband="one takes a; two takes a; one is through; a completed, b untouched; one takes b",
)
def one_completes_and_another_fails_in_a_task_for_two(stage: Stage) -> None:
    stage.graph = [Node("a", slots=2), B_AFTER_A]
    one, two = stage.worker("one"), stage.worker("two")
    one.take()
    two.take()
    one.take()
    two.fail()
    stage.look()
    one.take()


@differs(
    "Ctrl-C",
    laufband="one takes a; the interrupt came through; a failed; two is through",
    slurmband="one takes a; the interrupt came through; a released; two takes a; two is through",
)
def ctrl_c_inside_with(stage: Stage) -> None:
    stage.graph = [A]
    one = stage.worker()
    try:
        with one.band:
            for task in one.band:
                stage.say(f"one takes {task.id}")
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        stage.say("the interrupt came through")
    stage.look()
    stage.worker("two").loop()


@differs(
    "SIGTERM",
    laufband="child takes a; child ended by SIGTERM; a running, b untouched",
    slurmband="child takes a; child is through; a completed, b untouched",
)
def a_sigterm_in_a_task(stage: Stage) -> None:
    stage.graph = [A, B]
    child = stage.child("child", quick=True)
    child.take()
    child.signal(signal.SIGTERM)
    child.take()
    stage.look()


@differs(
    "exceptions",
    laufband="ValueError; one takes a; RuntimeError",
    slurmband="UsageError (a ValueError); one takes a; BandStopped (a RuntimeError)",
)
def the_names_of_problems(stage: Stage) -> None:
    stage.graph = [A]
    module = stage.library.module
    try:
        module.Graphband([module.Task("a")], heartbeat_interval=5, heartbeat_timeout=5)
    except Exception as error:
        stage.say(_name(error))
    one = stage.worker("one", failure_policy="stop")
    one.take()
    one.fail()
    try:
        list(one.band)
    except Exception as error:
        stage.say(_name(error))


def _name(error: Exception) -> str:
    """Name an exception, and after it the built-in one that it also is."""
    own = type(error)
    built_in = next(kind for kind in own.__mro__ if kind.__module__ == "builtins")
    return own.__name__ if built_in is own else f"{own.__name__} (a {built_in.__name__})"


@differs(
    "`db`",
    laufband="graphband.sqlite",
    slurmband="slurmband.sqlite, slurmband.sqlite.d",
)
def the_default_files(stage: Stage) -> None:
    module = stage.library.module
    with contextlib.chdir(stage.folder):
        band = module.Graphband([module.Task("a")], tqdm_kwargs={"disable": True})
        for _ in band:
            files = sorted(file.name for file in stage.folder.iterdir())
            stage.say(", ".join(file for file in files if file.endswith((".sqlite", ".d"))))
        stage.library.end(band)


@differs("`lock`", laufband="flufl.lock: True", slurmband="flufl.lock: False")
def the_lock_of_a_band(stage: Stage) -> None:
    stage.graph = [A]
    band = stage.library.band(stage.graph, stage.folder)
    stage.say(f"flufl.lock: {isinstance(band.lock, Lock)}")
    stage.library.end(band)


@differs("`identifier`", laufband="host:pid", slurmband="36_1")
def the_name_of_an_array_element(stage: Stage) -> None:
    stage.graph = [A]
    with in_an_element():
        band = stage.library.band(stage.graph, stage.folder)
        for _ in band:
            here = f"{socket.gethostname()}:{os.getpid()}"
            stage.say("host:pid" if band.identifier == here else band.identifier)
    stage.library.end(band)


@contextlib.contextmanager
def in_an_element(restarts: int = 0) -> Iterator[None]:
    """Stand in element 1 of array 36, as SLURM's variables say it."""
    variables = {
        "SLURM_JOB_ID": "37",
        "SLURM_ARRAY_JOB_ID": "36",
        "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_RESTART_COUNT": str(restarts),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@differs(
    "a known identifier",
    laufband="36_1 takes a; 36_1 is refused",
    slurmband="36_1 takes a; 36_1 takes a",
)
def an_element_that_was_requeued(stage: Stage) -> None:
    stage.graph = [A]
    with in_an_element():
        stage.worker("36_1", max_killed_retries=0).take()
    with in_an_element(restarts=1):
        stage.worker("36_1", max_killed_retries=0).take()


@differs("defaults of a `Task`", laufband="set set", slurmband="frozenset frozenset")
def the_defaults_of_a_task(stage: Stage) -> None:
    task = stage.library.module.Task("a")
    stage.say(f"{type(task.dependencies).__name__} {type(task.requirements).__name__}")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("script", "shows"),
    [pytest.param(script, shows, id=script.__name__) for _, script, shows in CASES],
)
def test_each_library_shows_what_is_said_of_it(
    script: Script, shows: dict[str, str], library: str, tmp_path: Path
) -> None:
    assert "; ".join(play(script, library, tmp_path)) == shows[library]


@pytest.mark.parametrize(
    "shows", [pytest.param(shows, id=script.__name__) for _, script, shows in CASES]
)
def test_a_difference_is_one(shows: dict[str, str]) -> None:
    assert shows["laufband"] != shows["slurmband"]


def test_the_page_for_laufband_users_lists_these_differences_and_no_others() -> None:
    page = (ROOT / "docs" / "coming-from-laufband.md").read_text()
    table = page.partition("## Different\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)

    played = [name for name in rows if not name.endswith("*")]

    assert sorted(played) == sorted({name for name, _, _ in CASES})
