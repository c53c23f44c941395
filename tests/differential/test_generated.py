"""Graphs and scripts that nobody thought of, played with both libraries, which must agree.

Their common ground, on which these are drawn: graphs in which dependencies come first, since a loop of
laufband passes over the graph once; budgets that give as many retries on both, which laufband counts
otherwise; one worker per task, since there a failure beside a completion is judged otherwise; and no
question after ``has_more_jobs`` behind a failure. There, one worker is given the same tasks in the same
order, whatever fails; so are several, where the tasks do not depend on each other; where they do, the
same tasks run and end alike once everybody looped until nothing was left, though it depends on the
library who is given which.
"""

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.differential.library import Node
from tests.differential.stage import Player, Script, Stage, play

pytestmark = [
    pytest.mark.integration,
    # laufband leaves its connections to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

generated = settings(
    max_examples=int(os.environ.get("SLURMBAND_EXAMPLES", "10")),
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # many small files: spare the disk


@st.composite
def graphs(draw: st.DrawFn, *, labels: bool = False, edges: bool = True) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 5))):
        above = [node.id for node in nodes] if edges else []
        needs = draw(st.sets(st.sampled_from(above), max_size=2)) if above else set()
        wants = draw(st.sets(st.sampled_from(["x", "y"]), max_size=1)) if labels else set()
        nodes.append(Node(f"t{number}", tuple(sorted(needs)), tuple(sorted(wants))))
    return nodes


def both(script: Script) -> tuple[list[str], list[str]]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        home = Path(folder)
        return play(script, "laufband", home), play(script, "slurmband", home)


@generated
@given(
    graph=graphs(),
    failures=st.lists(st.integers(0, 3), min_size=5, max_size=5),
    retries=st.integers(0, 2),
)
def test_one_worker_is_given_the_same_tasks_in_the_same_order(
    graph: list[Node], failures: list[int], retries: int
) -> None:
    def script(stage: Stage) -> None:
        stage.graph = graph
        left = dict(zip((node.id for node in graph), failures, strict=False))
        counted = retries + 1 if retries and stage.library.name == "laufband" else retries
        one = stage.worker("one", max_failed_retries=counted)
        while task := one.take():
            if left[task]:
                left[task] -= 1
                one.fail()
        stage.look()

    laufband, slurmband = both(script)

    event(f"{len(slurmband)} lines")
    assert laufband == slurmband


STEPS = st.tuples(st.integers(0, 1), st.sampled_from(["take", "take", "take", "fail", "close"]))


@generated
@given(
    graph=graphs(labels=True, edges=False),
    offers=st.tuples(st.sets(st.sampled_from(["x", "y"])), st.sets(st.sampled_from(["x", "y"]))),
    policy=st.sampled_from(["continue", "stop"]),
    steps=st.lists(STEPS, max_size=15),
)
def test_two_workers_are_given_the_same_independent_tasks_in_the_same_order(
    graph: list[Node],
    offers: tuple[set[str], set[str]],
    policy: str,
    steps: list[tuple[int, str]],
) -> None:
    def script(stage: Stage) -> None:
        stage.graph = graph
        workers = [
            stage.worker(f"w{number}", labels=labels, failure_policy=policy)
            for number, labels in enumerate(offers)
        ]
        for number, action in steps:
            obey(workers[number], action)
            stage.look()

    laufband, slurmband = both(script)

    event(f"{len(slurmband)} lines")
    assert laufband == slurmband


def obey(worker: Player, action: str) -> None:
    if action == "take":
        worker.take()
    elif worker.in_hand and action == "fail":
        worker.fail()
    elif worker.in_hand:
        worker.close()


@generated
@given(
    graph=graphs(),
    doomed=st.sets(st.sampled_from(["t0", "t1", "t2", "t3", "t4"]), max_size=2),
    turns=st.lists(st.integers(0, 1), max_size=10),
)
def test_two_workers_run_the_same_tasks_to_the_same_ends(
    graph: list[Node], doomed: set[str], turns: list[int]
) -> None:
    def script(stage: Stage) -> None:
        stage.graph = graph
        workers = [stage.worker("w0"), stage.worker("w1")]
        for number in turns:
            go_on(workers[number], doomed)
        while sum(until_the_loop_ends(worker, doomed) for worker in workers):
            pass
        stage.look()

    laufband, slurmband = both(script)

    assert taken(laufband) == taken(slurmband)
    assert laufband[-1] == slurmband[-1]


def go_on(worker: Player, doomed: set[str]) -> str | None:
    if worker.in_hand in doomed:
        worker.fail()
    return worker.take()


def until_the_loop_ends(worker: Player, doomed: set[str]) -> int:
    """Work until this worker is given nothing; return how many tasks that were."""
    number = 0
    while go_on(worker, doomed) is not None:
        number += 1
    return number


def taken(seen: list[str]) -> Counter[str]:
    """Return how often each task was given to anybody."""
    return Counter(line.split()[-1] for line in seen if " takes " in line)
