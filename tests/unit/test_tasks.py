"""What is held compactly comes back as it was given, and takes little memory."""

import tracemalloc
from collections.abc import Collection, Iterator
from dataclasses import fields
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmband.domain.graph import check
from slurmband.domain.task import Task
from slurmband.domain.tasks import Tasks

pytestmark = pytest.mark.unit


class Stage(StrEnum):
    RAW = "raw"


class Named(Task[Any]):
    """A task of a class of the user's own."""


def kept(*tasks: Task[Any]) -> Tasks:
    found = Tasks()
    for task in tasks:
        found.add(task)
    return found


@pytest.mark.parametrize("kind", [frozenset, set, tuple, list])
@pytest.mark.parametrize("more", [{}, {"data": 7}], ids=["bare", "with data"])
def test_dependencies_come_back_in_the_collection_they_were_given_in(
    kind: Any, more: dict[str, Any]
) -> None:
    task = Task[Any]("c", dependencies=kind(["b", "a"]), **more)

    back = kept(Task("a"), Task("b"), task)["c"]

    assert back == task
    assert sorted(repr(back)) == sorted(repr(task))  # sets are in no order
    assert type(back.dependencies) is kind


def test_the_order_of_a_list_and_what_stands_in_it_twice_are_kept() -> None:
    tasks = kept(Task("a"), Task("b"), Task("c", dependencies=["b", "a", "b"]))

    assert tasks["c"].dependencies == ["b", "a", "b"]


VALUES: dict[str, Any] = {
    "data": 0,
    "requirements": {"gpu"},
    "info": {"why": 1},
    "max_parallel_workers": 2,
    "priority": -1,
    "fingerprint": "x",
    "max_failed_retries": 0,
    "max_killed_retries": 1,
    "max_oom_retries": 0,
    "max_time_limit_retries": 2,
    "kind": "fit",
    "time_limit": 2.5,
    "on_oom": "mem:+50%",
    "on_time_limit": "time:x2",
    "attempt": 3,
}


def test_there_is_a_value_for_each_field() -> None:
    assert set(VALUES) == {field.name for field in fields(Task)} - {"id", "dependencies"}


@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("needs", [frozenset("a"), frozenset()], ids=["dependent", "free"])
def test_no_field_is_forgotten(field: str, needs: Collection[str]) -> None:
    task = Task[Any]("b", dependencies=needs, **{field: VALUES[field]})

    back = kept(Task("a"), task)["b"]

    assert (back, back.attempt) == (task, task.attempt)
    assert repr(back) == repr(task)


def test_data_comes_back_as_the_same_object() -> None:
    data = [1]

    assert kept(Task("a"), Task("b", data, dependencies={"a"}))["b"].data is data


@pytest.mark.parametrize(
    "task",
    [
        Named("b", dependencies={"a"}),
        Task("b", dependencies={"a": 1}.keys()),
        Task("b", dependencies=[Stage.RAW]),
        Task(Stage.RAW, dependencies=["a"]),
        Task("b", requirements=[]),
        Task("b", data=1),
    ],
    ids=["a class", "a view", "a dependency", "an id", "a list of requirements", "no dependency"],
)
def test_what_is_of_the_users_own_kind_is_kept_as_it_is(task: Task[Any]) -> None:
    assert kept(Task("a"), task)[task.id] is task


def test_a_dependent_of_an_id_of_the_users_own_class_gets_back_a_plain_one() -> None:
    tasks = kept(Task(Stage.RAW), Task("b", dependencies=["raw"]))

    assert [type(name) for name in tasks["b"].dependencies] == [str]
    assert [type(name) for name in tasks] == [str, str]


def test_who_comes_before_what_it_depends_on_gets_it_back_before_and_after_settling() -> None:
    task = Task[Any]("c", dependencies=["x", "a", "y"])
    tasks = kept(Task("a"), task, Task("y"), Task("x"))

    assert tasks["c"] == task
    assert tasks.settle()
    assert tasks["c"] == task
    assert list(tasks.upstream(1)) == [3, 0, 2]


def test_where_nobody_was_named_before_it_came_there_is_nothing_to_settle() -> None:
    assert not kept(Task("a"), Task("b", dependencies={"a"})).settle()


def test_what_never_came_cannot_be_settled() -> None:
    with pytest.raises(KeyError):
        kept(Task("b", dependencies={"a"})).settle()


def test_a_name_is_not_a_task() -> None:
    tasks = kept(Task("b", dependencies={"a"}))

    assert "a" not in tasks
    assert list(tasks) == ["b"]


NAMES = st.sampled_from("abcdefgh")


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Task,
            NAMES,
            dependencies=st.one_of(st.lists(NAMES), st.frozensets(NAMES)),
            priority=st.integers(0, 1),
        ),
        unique_by=lambda task: task.id,
    )
)
def test_any_tasks_come_back(given: list[Task[Any]]) -> None:
    assert list(kept(*given).values()) == given


def test_a_task_with_five_dependencies_takes_less_than_a_fifth_of_what_it_was() -> None:
    def graph() -> Iterator[Task[None]]:
        for n in range(2000):
            before = range(max(0, n - 5), n)
            yield Task(f"task_{n}", dependencies=frozenset(f"task_{m}" for m in before))

    tracemalloc.start()
    try:
        plain = list(graph())
        given = tracemalloc.get_traced_memory()[0]
        del plain
        empty = tracemalloc.get_traced_memory()[0]
        held = check(graph())
        took = tracemalloc.get_traced_memory()[0] - empty
    finally:
        tracemalloc.stop()

    assert len(held) == 2000
    assert took < given / 5


def test_tasks_that_have_nothing_of_their_own_share_nothing_that_can_change() -> None:
    tasks = kept(Task("a"), Task("b"))

    assert tasks["a"].info == {}
    assert tasks["a"].info is not tasks["b"].info


def test_a_task_of_the_users_own_class_is_handed_out_by_its_constructor() -> None:
    class Tried(Task[None]):
        def __init__(self, *values: Any, **named: Any) -> None:
            super().__init__(*values, **named)
            object.__setattr__(self, "dir", f"{self.id}-{self.attempt}")

    tasks = Tasks()
    tasks.add(Tried("bake"))

    assert vars(tasks.handed_out("bake", 2))["dir"] == "bake-2"
