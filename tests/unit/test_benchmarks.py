"""What the benchmarks make of graphs and of figures, without measuring anything."""

from pathlib import Path

import pytest

from benchmarks.figures import Figure, skipped
from benchmarks.graphs import LATEST, Node, make
from benchmarks.lock_times import covered
from benchmarks.measures.recorded import shortest
from benchmarks.measures.throughput import compared
from benchmarks.report import Results
from tests.integration.band import SMALL_TRACE

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    ["layered:300:5", "independent:10", "chain:10", "fan:10", "onto:5", f"wfformat:{SMALL_TRACE}"],
)
def test_each_task_comes_after_those_it_depends_on(text: str) -> None:
    before: set[str] = set()
    for node in make(text):
        assert before.issuperset(node.dependencies)
        assert node.id not in before
        before.add(node.id)


def test_a_layered_graph_is_the_same_each_time_and_looks_back_only_so_far() -> None:
    graph = list(make("layered:2000:5"))

    assert graph == list(make("layered:2000:5"))
    assert graph != list(make("layered:2000:5:2"))
    numbers = {node.id: n for n, node in enumerate(graph)}
    assert all(numbers[node.id] - numbers[m] <= LATEST for node in graph for m in node.dependencies)
    assert [len(node.dependencies) for node in graph] == [0, 1, 2, 3, 4] + [5] * 1995


def test_a_fan_goes_from_one_to_many_and_back() -> None:
    first, *middle, last = make("fan:3")

    assert {node.dependencies for node in middle} == {(first.id,)}
    assert last.dependencies == tuple(node.id for node in middle)


def test_a_recorded_task_sleeps_for_its_time_scaled() -> None:
    nodes = {node.id: node for node in make(f"wfformat:{SMALL_TRACE}:0.5")}

    assert nodes["mosaic"].seconds == 1.0
    assert nodes["background-07"].kind == "background"
    assert set(nodes["background-07"].dependencies) == {"project-07", "model"}


def test_no_schedule_beats_the_longest_path_or_the_work_by_the_workers() -> None:
    two = [Node("a", (), 2.0), Node("b", ("a",), 1.0), Node("c", (), 4.0)]

    assert shortest(two, workers=2) == 4.0
    assert shortest(two, workers=1) == 7.0


def test_only_what_lies_in_the_time_is_covered_and_nothing_twice() -> None:
    spans = [(8.0, 20.0), (-5.0, 1.0), (3.0, 6.0), (4.0, 5.0), (5.5, 7.0), (30.0, 31.0)]

    assert covered(spans, 0.0, 10.0) == 1.0 + 4.0 + 2.0
    assert covered([], 0.0, 10.0) == 0.0


def test_slurmband_is_compared_with_the_best_peer_in_python() -> None:
    rates = {"slurmband": [90.0, 100.0, 110.0], "jug": [50.0], "parsl": [80.0], "laufband": [1.0]}

    ours, *_, ratio = compared("tasks per second", rates)

    assert (ours.value, ours.target, ours.met) == (100.0, 80.0, True)
    assert (ratio.what, ratio.value) == ("tasks per second: ratio to parsl", 1.25)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    cost = Figure(what="cost", value=3.14159, unit="ms", target=2.0, better="less", repeats=(3.0,))
    measures = {"tasks": [cost], "nfs": [skipped("cost", "no cluster")]}
    results = Results("2026-01-31", "abc", False, {"cpu": "fast"}, measures)

    results.write(tmp_path)

    assert Results.read(tmp_path / "results.json") == results
    lines = (tmp_path / "results.md").read_text().splitlines()
    assert any("3.14 ms" in line and "≤ 2 ms, missed" in line for line in lines)
    assert "- slurmband: skipped: no cluster" in lines
