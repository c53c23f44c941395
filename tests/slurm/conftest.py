"""A real SLURM for the tests of this folder: one slurmctld and three slurmd on this machine."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.band import ROOT, Band

SCRIPT = ROOT / "scripts" / "slurm"


#: What `scripts/slurm` exits with where the machine itself cannot do what was asked for.
CANNOT = 77


@pytest.fixture(scope="session")
def slurm_conf() -> Iterator[str]:
    """Start the cluster; skip, with the reason, where that cannot be; in CI it must be."""
    yield from started()


@pytest.fixture(scope="session")
def whole_slurm_conf() -> Iterator[str]:
    """Start one more, with accounting, cgroups and preemption."""
    yield from started("-acp")


def started(*options: str) -> Iterator[str]:
    """Start a cluster, yield its SLURM_CONF, and stop it."""
    folder = Path(tempfile.mkdtemp(prefix="slurmband-test-slurm-", dir="/tmp"))
    up = subprocess.run(
        [SCRIPT, "up", *options, folder], capture_output=True, text=True, check=False, timeout=300
    )
    if up.returncode != 0:
        reason = f"no real SLURM here: {up.stderr.strip()}"
        shutil.rmtree(folder)
        if os.environ.get("CI") and up.returncode != CANNOT:
            pytest.fail(reason)
        pytest.skip(reason)
    yield str(folder / "slurm.conf")
    subprocess.run([SCRIPT, "down", folder], check=False, timeout=120, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(band: Band, slurm_conf: str) -> Iterator[Band]:
    """A folder to submit from, on a cluster without any job left."""
    yield from submitting(band, slurm_conf)


@pytest.fixture
def whole_cluster(band: Band, whole_slurm_conf: str) -> Iterator[Band]:
    """A folder to submit from, on a cluster that can do all of this, without any job left."""
    yield from submitting(band, whole_slurm_conf)


def submitting(band: Band, slurm_conf: str) -> Iterator[Band]:
    """Let a folder submit to a cluster, and leave it without jobs."""
    band.environ["SLURM_CONF"] = slurm_conf
    yield band
    slurm(band, "scancel", "--quiet", *queued(band))


def slurm(band: Band, *words: str) -> str:
    """Run a command of SLURM's and return what it printed."""
    return subprocess.run(
        words, env=band.environ, capture_output=True, text=True, check=False, timeout=60
    ).stdout


def queued(band: Band) -> list[str]:
    """Return the ids of all jobs that are not over."""
    return slurm(band, "squeue", "-h", "-o", "%F").split()
