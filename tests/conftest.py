"""Fixtures of all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.band import Band


@pytest.fixture
def band(tmp_path: Path) -> Iterator[Band]:
    """Make a folder to run a band in, with nothing of this shell's SLURM or slurmband variables."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
    made = Band(tmp_path, environ)
    yield made
    made.stop_all()
