"""Whichever system call of a round fails, and however: the worker knows what the database has."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import sample
from tests.faults.errnos import TASKS, points, sweep, try_point
from tests.faults.warm import Warm

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

#: Of about 730 points; with SLURMBAND_FAULTS=all, all of them.
SAMPLE = 200


def test_a_call_that_fails_once_costs_no_more_than_a_pause(traced: Warm, folder: Path) -> None:
    traced.begin(folder / "clean.sqlite", TASKS)
    every = points(traced)

    outcomes = list(sweep(traced, folder, sample(every, SAMPLE)))

    reached = [outcome for outcome in outcomes if outcome is not None]
    told = Counter((outcome.told, outcome.kept) for outcome in reached)
    print(f"{len(every)} points, {len(reached)} of {len(outcomes)} reached: {told}")
    assert [f"{outcome.point}: {outcome.wrong}" for outcome in reached if outcome.wrong] == []
    # A few pages more or less are read and written as the tables grow.
    assert len(reached) >= 0.9 * len(outcomes)
    assert {name for name, _ in told} == {"done", "failed", "unknown"}  # or nothing was tried


def test_a_commit_that_said_no_may_be_there_all_the_same(traced: Warm, folder: Path) -> None:
    """The commit's sync fails, and so does the removal of the WAL: the next who opens it finds it."""
    traced.begin(folder / "clean.sqlite", TASKS)
    of_wal = [point for point in points(traced) if "-wal" in point.call.line]
    syncs = [p for p in of_wal if p.call.name in ("fsync", "fdatasync") and p.error == "EIO"]
    (removal,) = (p for p in of_wal if p.call.name == "unlink" and p.error == "EIO")

    outcomes = []
    for number, sync in enumerate(syncs):
        traced.begin(folder / f"{number}.sqlite", TASKS)
        outcome = try_point(traced, sync, removal.call)
        assert outcome is not None
        assert outcome.wrong == []
        outcomes.append(outcome)

    assert any(
        outcome.told == "unknown" and outcome.kept and "COMMIT said" in outcome.warnings[0]
        for outcome in outcomes
    )
