"""Every kind of thing that people have for a graph becomes the same tasks, or is told why not."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import networkx
import pytest

from slurmband.domain.graph import check
from slurmband.domain.task import Task
from slurmband.errors import BadTask, SelfDependency, UsageError
from slurmband.graphband.sources import tasks_of

pytestmark = pytest.mark.unit

BAKE, SERVE = Task[Any]("bake"), Task[Any]("serve", dependencies={"bake"})


def generator() -> Iterator[Task[Any]]:
    yield BAKE
    yield SERVE


class Indexed:
    """Iterable in the old way."""

    def __getitem__(self, place: int) -> Task[Any]:
        return [BAKE, SERVE][place]


def digraph(*edges: tuple[Any, Any], **nodes: Any) -> "networkx.DiGraph[Any]":
    graph: networkx.DiGraph[Any] = networkx.DiGraph()
    for name, attributes in nodes.items():
        graph.add_node(name, **attributes)
    graph.add_edges_from(edges)
    return graph


@pytest.mark.parametrize(
    "source",
    [
        [BAKE, SERVE],
        {BAKE: 1, SERVE: 2},
        generator(),
        generator,
        lambda: [BAKE, SERVE],
        Indexed(),
        digraph(("bake", "serve")),
        lambda: digraph(("bake", "serve")),
        digraph((BAKE, Task("serve"))),
    ],
    ids=[
        *("list", "dict", "generator", "generator function", "function", "by index"),
        *("digraph", "function of a digraph", "tasks as nodes"),
    ],
)
def test_each_kind_of_source_gives_the_same_graph(source: Any) -> None:
    assert list(check(tasks_of(source))) == [BAKE, SERVE]


def test_attributes_of_a_node_are_fields_of_its_task_or_info() -> None:
    graph = digraph(
        ("a", "c"),
        b={},
        c={"data": 1, "priority": 2, "dependencies": ["b"], "info": {"x": 1}, "colour": "red"},
    )

    task = check(tasks_of(graph)).tasks["c"]

    assert task == Task(
        "c", data=1, priority=2, dependencies={"a", "b"}, info={"x": 1, "colour": "red"}
    )


def test_nodes_that_are_no_strings_are_written() -> None:
    graph = check(tasks_of(digraph((1, (2, 3)))))

    assert {task.id: set(task.dependencies) for task in graph} == {"1": set(), "(2, 3)": {"1"}}


def test_a_task_as_a_node_keeps_what_it_depends_on_itself() -> None:
    graph = digraph((BAKE, Task("eat", dependencies={"serve"})), (BAKE, SERVE))

    tasks = check(tasks_of(graph)).tasks

    assert set(tasks["eat"].dependencies) == {"bake", "serve"}


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (lambda: digraph((1, "1")), "the nodes 1 and '1' are both written '1'"),
        (lambda: networkx.Graph([("a", "b")]), "undirected"),
        (lambda: networkx.MultiDiGraph([("a", "b")]), "multigraph"),
    ],
)
def test_a_graph_of_networkx_that_says_too_little_is_told(
    graph: Callable[[], Any], words: str
) -> None:
    with pytest.raises(BadTask, match=words):
        check(tasks_of(graph()))


def test_a_node_with_an_edge_to_itself_depends_on_itself() -> None:
    with pytest.raises(SelfDependency):
        check(tasks_of(digraph(("a", "a"))))


@pytest.mark.parametrize("source", [7, None, lambda: None], ids=["number", "None", "forgot return"])
def test_what_is_no_graph_is_told(source: Any) -> None:
    with pytest.raises(UsageError, match="no graph can be made of"):
        check(tasks_of(source))


def test_an_empty_graph_of_networkx_is_one_of_no_tasks() -> None:
    found: Iterable[Task[Any]] = tasks_of(networkx.DiGraph())

    assert list(found) == []
