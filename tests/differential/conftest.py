"""Nothing of this shell's SLURM or options reaches the bands."""

import os

import pytest


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM", "LAUFBAND", "SBATCH")):
            monkeypatch.delenv(name)
