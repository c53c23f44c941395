"""The graphs that are measured, written as ``layered:1000:5`` so that any process can make them."""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

#: A task of a layered graph depends on some of so many tasks before it.
LATEST: Final = 1000


class Node(NamedTuple):
    """One task of a graph.

    Parameters
    ----------
    id : str
    dependencies : tuple of str
        Ids of tasks that come before it in the graph.
    seconds : float
        How long it sleeps.
    kind : str
        What sort of task it is.
    """

    id: str
    dependencies: tuple[str, ...] = ()
    seconds: float = 0.0
    kind: str = "task"


def layered(tasks: int, each: int, seed: int = 1, seconds: float = 0.0) -> Iterator[Node]:
    """Let each task depend on a few of the last tasks before it: the layered random graph.

    Parameters
    ----------
    tasks : int
    each : int
        Dependencies of each task; fewer where there are not so many tasks before it.
    seed : int, default 1
    seconds : float, default 0
        How long each task sleeps.
    """
    chance = random.Random(seed)
    for n in range(tasks):
        before = range(max(0, n - LATEST), n)
        chosen = chance.sample(before, min(each, len(before)))
        yield Node(f"task_{n}", tuple(f"task_{m}" for m in chosen), seconds)


def independent(tasks: int, seconds: float = 0.0) -> Iterator[Node]:
    """Let no task depend on any."""
    return layered(tasks, 0, seconds=seconds)


def chain(tasks: int, seconds: float = 0.0) -> Iterator[Node]:
    """Let each task depend on the one before it."""
    yield from (Node(f"task_{n}", (f"task_{n - 1}",) if n else (), seconds) for n in range(tasks))


def fan(width: int, seconds: float = 0.0) -> Iterator[Node]:
    """Let one task free `width` tasks, and another wait for all of them."""
    yield Node("first", (), seconds, "end")
    middle = tuple(f"task_{n}" for n in range(width))
    yield from (Node(name, ("first",), seconds) for name in middle)
    yield Node("last", middle, seconds, "end")


def onto(width: int) -> Iterator[Node]:
    """Let each of `width` tasks depend on each of `width` others."""
    above = tuple(f"above_{n}" for n in range(width))
    yield from (Node(name, kind="above") for name in above)
    yield from (Node(f"below_{n}", above, kind="below") for n in range(width))


def wfformat(path: str | Path, scale: float = 0.0) -> Iterator[Node]:
    """Read a recorded workflow in WfFormat 1.5, https://wfcommons.org/format.

    Parameters
    ----------
    path : str or Path
    scale : float, default 0
        Seconds to sleep per recorded second.
    """
    workflow: dict[str, Any] = json.loads(Path(path).read_text())["workflow"]
    took = {task["id"]: task["runtimeInSeconds"] for task in workflow["execution"]["tasks"]}
    said = {task["id"]: task for task in workflow["specification"]["tasks"]}
    for name in TopologicalSorter({n: task["parents"] for n, task in said.items()}).static_order():
        kind = re.sub(r"[_-]?(ID)?\d*$", "", said[name]["name"])
        yield Node(name, tuple(said[name]["parents"]), took[name] * scale, kind)


GRAPHS: Final[Mapping[str, Callable[..., Iterator[Node]]]] = MappingProxyType(
    {f.__name__: f for f in (layered, independent, chain, fan, onto, wfformat)}
)


def make(text: str) -> Iterator[Node]:
    """Make the graph that a text like ``layered:1000:5`` or ``wfformat:FILE:0.01`` names.

    Parameters
    ----------
    text : str
        Name of a function of this module and its arguments, with colons between.
    """
    name, *words = text.split(":")
    return GRAPHS[name](*map(_value, words))


def _value(word: str) -> int | float | str:
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            continue
    return word
