"""A writer that is killed at any change of a round leaves a band that others go on with."""

import os
from pathlib import Path

import pytest

from tests.faults.conftest import sample
from tests.faults.crashes import TASKS, Crash, crashes, kill_at, wrong_after
from tests.faults.heir import inherit
from tests.faults.warm import Warm

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

#: Of about 75 points; with SLURMBAND_FAULTS=all, all of them.
SAMPLE = 15


def test_a_writer_killed_anywhere_leaves_all_or_nothing(traced: Warm, folder: Path) -> None:
    traced.begin(folder / "clean.sqlite", TASKS, rounds=1)
    every = crashes(traced)

    wrong: dict[str, list[str]] = {}
    chosen = [*sample(every, SAMPLE), *acknowledged(every)]
    for number, crash in enumerate(chosen):
        database = folder / f"{number}.sqlite"
        traced.begin(database, TASKS, rounds=1)
        held = kill_at(traced, crash)
        found = wrong_after(crash, held, database, inherit)
        found += [f"left: {name}" for name in os.listdir(f"{database}.d/locks")]
        wrong |= {str(crash): found} if found else {}

    print(f"{len(chosen)} of {len(every)} points")
    assert wrong == {}


def acknowledged(every: list[Crash]) -> list[Crash]:
    """Return the first point after the commit is believed, so that each sample has one."""
    return [crash for crash in every if crash.believed][:1]
