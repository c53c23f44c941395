"""What makes a graph impossible to run is found before it runs, and equal graphs are known as such."""

import hashlib
import itertools
from collections.abc import Collection, Iterable
from typing import Any

import pytest

from slurmband.domain.graph import check
from slurmband.domain.task import Task
from slurmband.errors import (
    BadTask,
    CyclicGraph,
    DuplicateTask,
    EmptyGraph,
    GraphError,
    SelfDependency,
    UnknownDependency,
)

pytestmark = pytest.mark.unit


def task(name: str, *dependencies: str) -> Task[None]:
    return Task(name, dependencies=frozenset(dependencies))


def untyped(name: Any = "bake", **fields: Any) -> Task[None]:
    """Make a task as a program without a type checker may."""
    return Task(name, **fields)


def refused(tasks: Iterable[Any], kind: type[GraphError]) -> str:
    with pytest.raises(GraphError) as error:
        check(tasks)
    assert type(error.value) is kind
    return str(error.value)


def test_a_sound_graph_keeps_its_tasks_in_the_users_order() -> None:
    tasks = [task("serve", "bake"), task("bake", "knead"), task("knead")]

    graph = check(tasks)

    assert list(graph) == tasks
    assert list(graph.tasks) == ["serve", "bake", "knead"]
    assert len(graph) == 3


def test_tasks_are_consumed_once_so_a_generator_will_do() -> None:
    assert len(check(task(name) for name in "abc")) == 3


def test_a_graph_is_checked_once() -> None:
    graph = check([task("bake")])

    assert check(graph) is graph


def test_a_graph_without_tasks_names_where_it_came_from() -> None:
    with pytest.raises(EmptyGraph, match=r"tasks\(\) in sweep\.py gave no task"):
        check([], source="tasks() in sweep.py")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("bake", ["'bake'", "no Task", "Graphband.over"]),
        (untyped(7), ["id 7", "Task(id=str(...))"]),
        (untyped(""), ["id ''", "Task(id=str(...))"]),
        (untyped(None), ["id None"]),
        (untyped(dependencies="knead"), ["dependencies", "'bake'", "dependencies={'knead'}"]),
        (untyped(requirements="gpu"), ["requirements", "'bake'", "requirements={'gpu'}"]),
        (untyped(dependencies=[3]), ["dependencies", "'bake'", "hold 3"]),
        (untyped(requirements=[None]), ["requirements", "'bake'", "hold None"]),
        (untyped(dependencies=None), ["dependencies", "'bake'", "None"]),
        (untyped(max_parallel_workers=0), ["max_parallel_workers", "'bake'", "is 0", "at least 1"]),
        (untyped(max_failed_retries=-1), ["max_failed_retries", "'bake'", "is -1", "0 means"]),
        (untyped(max_killed_retries=-2), ["max_killed_retries", "'bake'", "is -2", "0 means"]),
        (untyped(time_limit=0), ["time_limit", "'bake'", "is 0", "Leave it out"]),
        (untyped(time_limit=float("inf")), ["time_limit", "'bake'", "is inf", "Leave it out"]),
        (untyped(fingerprint=7), ["fingerprint", "'bake'", "is 7", "str(...)"]),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_bad_task_is_named_with_what_to_change(bad: Any, words: Collection[str]) -> None:
    message = refused([bad], BadTask)

    assert [word for word in words if word not in message] == []


def test_dependencies_that_can_be_read_only_once_are_refused() -> None:
    letters = (
        letter for letter in "ab"
    )  # the check would use them up, and they would be forgotten

    message = refused([task("a"), task("b"), untyped("c", dependencies=letters)], BadTask)

    assert "'c'" in message


def test_a_task_that_depends_on_itself_is_told_by_a_sentence_of_its_own() -> None:
    message = refused([task("bake", "bake")], SelfDependency)

    assert "task 'bake' depends on itself" in message
    assert "Remove 'bake'" in message


class Odd:
    """Its == gives no bool, as that of a numpy array does not."""

    __hash__ = None  # type: ignore[assignment]  # as for arrays

    def __eq__(self, other: object) -> Any:
        return [True, True]


class Broken:
    """Its == raises, as that of a list of numpy arrays does."""

    __hash__ = None  # type: ignore[assignment]  # as for lists

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")


ODD, BROKEN = Odd(), Broken()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (untyped(), untyped()),
        (untyped(data={"alpha": 1}), untyped(data={"alpha": 1})),
        (untyped(dependencies=["a", "b"]), untyped(dependencies=("b", "a", "b"))),
        (untyped(requirements={"gpu"}), untyped(requirements=["gpu"])),
        (untyped(data=ODD), untyped(data=ODD)),
        (untyped(data=BROKEN), untyped(data=BROKEN)),
        (untyped(attempt=1), untyped(attempt=2)),
    ],
    ids=["nothing", "data", "dependencies", "requirements", "an array", "arrays", "attempt"],
)
def test_a_task_may_be_given_twice(one: Task[Any], other: Task[Any]) -> None:
    graph = check([task("a"), task("b"), one, other])

    assert list(graph) == [task("a"), task("b"), one]
    assert graph.digest == check([task("a"), task("b"), one]).digest


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("data", 1, 2),
        ("data", Odd(), Odd()),
        ("data", Broken(), Broken()),
        ("dependencies", ["a"], ["a", "b"]),
        ("requirements", set(), {"gpu"}),
        ("info", {}, {"why": 1}),
        ("max_parallel_workers", 1, 2),
        ("priority", 0, 1),
        ("fingerprint", None, "x"),
        ("max_failed_retries", None, 0),
        ("max_killed_retries", 1, 2),
    ],
)
def test_two_tasks_of_one_id_are_told_with_the_field_that_differs(
    field: str, one: object, other: object
) -> None:
    with pytest.raises(DuplicateTask, match=f"'bake' and differ in their {field}") as error:
        check([task("a"), task("b"), untyped(**{field: one}), untyped(**{field: other})])

    assert (error.value.task, error.value.field) == ("bake", field)


def test_a_dependency_that_is_not_in_the_graph_is_named_with_its_task() -> None:
    with pytest.raises(UnknownDependency) as error:
        check([task("knead"), task("bake", "knead", "yeast", "flour")])

    assert (error.value.task, error.value.missing) == ("bake", ("flour", "yeast"))
    assert "task 'bake' depends on 'flour', 'yeast', not in the graph" in str(error.value)


def test_of_many_missing_dependencies_five_are_shown_and_the_rest_counted() -> None:
    message = refused([task("sum", *(f"part{n}" for n in range(8)))], UnknownDependency)

    assert "'part4' and 3 more" in message
    assert "'part5'" not in message


@pytest.mark.parametrize(
    "edges",
    [
        {"a": ["b"], "b": ["a"]},
        {"start": [], "a": ["c", "start"], "b": ["a"], "c": ["b"], "end": ["c"]},
    ],
    ids=["two", "three inside a larger graph"],
)
def test_a_cycle_is_shown_in_order_from_a_task_back_to_itself(edges: dict[str, list[str]]) -> None:
    with pytest.raises(CyclicGraph) as error:
        check([task(name, *needed) for name, needed in edges.items()])

    cycle = error.value.cycle
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    assert all(a in edges[b] for a, b in itertools.pairwise(cycle))
    assert " -> ".join(map(repr, cycle)) in str(error.value)


def test_tasks_outside_a_cycle_are_not_blamed_for_it() -> None:
    with pytest.raises(CyclicGraph) as error:
        check([task("start"), task("a", "b", "start"), task("b", "a"), task("end", "a")])

    assert set(error.value.cycle) == {"a", "b"}


def test_a_long_chain_is_no_problem() -> None:
    chain = [task("0"), *(task(str(n), str(n - 1)) for n in range(1, 5000))]

    assert len(check(chain)) == 5000


# --- the digest ----------------------------------------------------------------------------------


def digest(*tasks: Task[Any]) -> str:
    return check(tasks).digest


A, B, C = task("a"), task("b"), task("c", "a", "b")


def test_the_digest_does_not_depend_on_the_order_of_tasks() -> None:
    assert digest(A, B, C) == digest(C, B, A)


@pytest.mark.parametrize("needed", [["a", "b"], ["b", "a"], {"b", "a"}, ("a", "b", "a")])
def test_the_digest_does_not_depend_on_the_order_of_dependencies(needed: Collection[str]) -> None:
    assert digest(A, B, Task("c", dependencies=needed)) == digest(A, B, C)


def test_the_digest_of_a_known_graph_is_the_same_in_every_process() -> None:
    assert digest(A, B, C) == hashlib.sha256(b"a\0\nb\0\nc\0a\0b\0\n").hexdigest()


def test_what_a_task_carries_does_not_change_the_digest() -> None:
    assert digest(Task("a", data=1, priority=3, info={"seed": 7})) == digest(A)


@pytest.mark.parametrize(
    "other",
    [
        (A, B, task("c", "a")),
        (A, B, task("c")),
        (A, B),
        (A, task("b", "a"), task("c", "b")),
        (A, B, C, task("d")),
        (A, task("bb"), task("c", "a", "bb")),
    ],
    ids=["a dependency less", "none", "a task less", "rewired", "a task more", "another id"],
)
def test_another_graph_has_another_digest(other: tuple[Task[Any], ...]) -> None:
    assert digest(*other) != digest(A, B, C)


def test_ids_do_not_run_together_in_the_digest() -> None:
    one = digest(task("a"), task("b"), task("ab"), task("z", "a", "b"))
    other = digest(task("a"), task("b"), task("ab"), task("z", "ab"))

    assert one != other
