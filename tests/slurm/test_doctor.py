"""slurmband doctor tries between two nodes of a real SLURM, inside a job and outside."""

import json
import shlex
import subprocess
import sys

import pytest

from slurmband.doctor.trials import TRIALS
from tests.integration.band import Band, wait_for

pytestmark = [pytest.mark.slurm]
NAMES = [name for name, _ in TRIALS]


def between_nodes(said: str) -> list[str]:
    findings = json.loads(said)["findings"]
    return [f["name"] for f in findings if "(n1 and n2)" in f["found"] and f["level"] == "ok"]


def test_srun_gives_two_nodes_when_asked(cluster: Band) -> None:
    assert between_nodes(cluster.cli("doctor", "--nodes", "--json").stdout) == NAMES


def test_a_job_with_two_nodes_tries_between_them(cluster: Band) -> None:
    doctor = shlex.join([sys.executable, "-m", "slurmband", "doctor", "--json"])
    cluster.write("job.sh", f"#!/bin/sh\n{doctor} >found.json && mv found.json report.json\n")
    subprocess.run(
        ["sbatch", "-N2", "--output=job.log", "job.sh"],
        cwd=cluster.folder,
        env=cluster.environ,
        check=True,
        capture_output=True,
    )

    report = cluster.folder / "report.json"
    wait_for(report.exists, what="the job ran", seconds=120)

    assert between_nodes(report.read_text()) == NAMES
