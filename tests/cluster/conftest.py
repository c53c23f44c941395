"""A real cluster for the tests of this folder: three kernels, an NFS server, SLURM."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import Cluster


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[Cluster]:
    """Start the cluster; skip, with the reason, where that cannot be; in CI it must be."""
    if os.environ.get("SLURMBAND_TEST_CLUSTER") == "0":
        pytest.skip("SLURMBAND_TEST_CLUSTER=0")
    made = Cluster(Path(tempfile.mkdtemp(prefix="slurmband-test-cluster-", dir="/tmp")))
    up = made.up()
    if up.returncode != 0:
        reason = f"no cluster of several kernels here: {up.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)  # its folder is kept: the logs are in it
        shutil.rmtree(made.folder)
        pytest.skip(reason)
    yield made
    made.down()
    shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """Three nodes that answer, with no job and no fault left from the test before."""
    yield running_cluster
    running_cluster.recover()
