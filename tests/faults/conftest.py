"""Fixtures of the tests that make faults."""

import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.faults import strace
from tests.faults.warm import Warm

T = TypeVar("T")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder in memory, where there is such a thing: a sync of a busy disk takes long."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="slurmband-faults-", dir=memory) as made:
        yield Path(made)


@pytest.fixture
def traced() -> Iterator[Warm]:
    """Start the writer's program; needs strace, by which its calls fail."""
    reason = strace.why_not()
    if reason is not None:
        pytest.skip(reason)
    warm = Warm()
    yield warm
    warm.end()


def sample(points: Sequence[T], size: int) -> list[T]:
    """Choose by a seed, which is shown when the test fails; all, with SLURMBAND_FAULTS=all."""
    if os.environ.get("SLURMBAND_FAULTS") == "all":
        return list(points)
    seed = int(os.environ.get("SLURMBAND_SEED", time.time_ns() % 10_000))
    print(f"SLURMBAND_SEED={seed}")
    return random.Random(seed).sample(points, min(size, len(points)))
