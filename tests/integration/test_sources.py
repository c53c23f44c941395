"""Bands over what people have: plain items, and sources that can or cannot be read again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slurmband import Graphband, Laufband, Task, UsageError
from slurmband.errors import GraphChanged

pytestmark = pytest.mark.integration

QUIET: dict[str, Any] = {"tqdm_kwargs": {"disable": True}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Rows:
    """An array: iterable, without a truth value."""

    def __iter__(self) -> Iterator[list[int]]:
        return iter([[1, 2], [3, 4]])

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


@pytest.mark.parametrize("disabled", [False, True])
@pytest.mark.parametrize(
    ("items", "yielded"),
    [
        ("xyz", ["x", "y", "z"]),
        ({"x": 1, "y": 2}, ["x", "y"]),
        ((n * n for n in range(3)), [0, 1, 4]),
        (lambda: iter("xy"), ["x", "y"]),
        ([{"alpha": 1}, {"alpha": 1}], [{"alpha": 1}, {"alpha": 1}]),
        (Rows(), [[1, 2], [3, 4]]),
        ([None, None], [None, None]),
    ],
    ids=["string", "dict", "generator", "function", "equal items", "array", "None"],
)
def test_the_items_themselves_are_yielded(items: Any, yielded: list[Any], disabled: bool) -> None:
    if isinstance(items, Iterator):
        items = iter(yielded)  # a generator serves one test only

    assert list(Laufband(items, disabled=disabled, **QUIET)) == yielded


def test_over_is_the_same_and_run_gets_the_item() -> None:
    seen: list[Any] = []
    band = Graphband.over("xy", **QUIET)

    band.run(lambda item: seen.append((item, band.task.id, band.still_mine(band.task))))

    assert isinstance(band, Laufband)
    assert seen == [("x", "0", True), ("y", "1", True)]


def test_the_task_behind_the_item_is_at_hand_in_the_loop_only() -> None:
    band = Laufband("xy", **QUIET)

    seen = [(item, band.task.id, band.task.attempt) for item in band]

    assert seen == [("x", "0", 1), ("y", "1", 1)]
    with pytest.raises(UsageError, match="inside the loop"):
        _ = band.task


def test_a_generator_that_is_used_up_is_no_trap() -> None:
    band: Graphband[Any] = Graphband((Task(name) for name in "abc"), **QUIET)
    for task in band:
        assert task.id == "a"
        band.close()

    assert [task.id for task in band] == ["b", "c"]


@pytest.mark.parametrize("entered", [False, True])
def test_a_callable_is_called_again_for_each_further_loop(entered: bool) -> None:
    calls: list[int] = []

    def tasks() -> Iterator[Task[int]]:
        calls.append(1)
        yield from (Task(name, data=len(calls)) for name in "ab")

    band = Graphband(tasks, **QUIET)

    def loop() -> list[int | None]:
        found = []
        for task in band:
            found.append(task.data)
            band.close()
        return found

    if entered:
        with band:
            assert [loop(), loop(), loop()] == [[1], [2], []]
    else:
        assert [loop(), loop(), loop()] == [[1], [2], []]
    assert len(calls) == 3


@pytest.mark.parametrize(
    "again", [lambda band: list(band), lambda band: band.run(print)], ids=["loop", "run"]
)
@pytest.mark.parametrize("entered", [False, True])
def test_a_callable_that_gives_another_graph_is_told(
    again: Callable[[Graphband[Any]], object], entered: bool
) -> None:
    names = ["a"]
    band: Graphband[Any] = Graphband(lambda: [Task(name) for name in names], **QUIET)
    if entered:
        band.__enter__()
    list(band)
    names.append("b")

    with pytest.raises(GraphChanged):
        again(band)

    band.__exit__(None, None, None)
