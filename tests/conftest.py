"""Fixtures of all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.integration.band import Band

#: Folders whose tests share what there can be only one of, or keep the machine busy: one process runs
#: them all, one after the other.
TOGETHER = ("tests/cluster/", "tests/slurm/")


# However long a busy machine takes over an example, that is no fault of what is tested.
settings.register_profile(
    "busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")


class Together(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Each test by itself, to whichever process is free, but for the folders in `TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        return "together" if nodeid.startswith(TOGETHER) else nodeid


@pytest.hookimpl(optionalhook=True)  # without processes of its own xdist does not know it
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together:
    return Together(config, log)


@pytest.fixture
def band(tmp_path: Path) -> Iterator[Band]:
    """Make a folder to run a band in, with nothing of this shell's SLURM or slurmband variables."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
    made = Band(tmp_path, environ)
    yield made
    made.stop_all()
