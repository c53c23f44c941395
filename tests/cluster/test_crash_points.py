"""A writer on one node is killed at any change of a round; another node reads it, and goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import Cluster
from tests.faults import strace
from tests.faults.conftest import sample
from tests.faults.crashes import TASKS, crashes, kill_at, wrong_after
from tests.faults.warm import Start, Talk, Warm
from tests.integration.band import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]

WRITERS, HEIRS = 1, 2
#: Of about 75 points; with SLURMBAND_FAULTS=all, all of them.
SAMPLE = 8


def on(cluster: Cluster, node: int) -> Start:
    """Return what starts a program on a node, with pipes to it."""
    pipe = subprocess.PIPE
    environ = cluster.environ | {"PYTHONDONTWRITEBYTECODE": "1"}

    def start(*words: str) -> "subprocess.Popen[bytes]":
        line = cluster.command("exec", node, *words)
        return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, env=environ)

    return start


@pytest.fixture
def traced(cluster: Cluster) -> Iterator[Warm]:
    """Start the writer's program on its node."""
    if strace.why_not() is not None:
        pytest.skip(str(strace.why_not()))
    warm = Warm(on(cluster, WRITERS))
    yield warm
    warm.end()


@pytest.fixture
def heir(cluster: Cluster) -> Iterator[Talk]:
    """Start the program that goes on, on another node."""
    talk = Talk(on(cluster, HEIRS)(sys.executable, "-m", "tests.faults.heir"))
    talk.hear()
    yield talk
    talk.end()


def test_another_node_finds_all_or_nothing(cluster: Cluster, traced: Warm, heir: Talk) -> None:
    folder, start = cluster.make_folder("crashes"), on(cluster, WRITERS)
    traced.begin(folder / "clean.sqlite", TASKS, rounds=1)
    every = crashes(traced, start)
    chosen = sample(every, SAMPLE)

    wrong: dict[str, list[str]] = {}
    generations = 0
    for number, crash in enumerate(chosen):
        database = folder / f"{number}.sqlite"
        traced.begin(database, TASKS, rounds=1)
        heir.say(f"look {database}")
        held = kill_at(traced, crash, start)
        found: list[dict[str, Any]] = []

        def inherit(
            database: Path, tasks: int, into: list[dict[str, Any]] = found
        ) -> dict[str, Any]:
            into.append(heir.say(f"{database} {tasks}"))
            return into[0]

        if broken := wrong_after(crash, held, database, inherit):
            wrong[str(crash)] = broken
        generations += found[0]["generation"] != "1.sqlite"

    print(f"{len(chosen)} of {len(every)} points; {generations} needed a new generation")
    assert wrong == {}
    assert [name for name in os.listdir(folder) if name.endswith("-shm")] == []
