"""Submitting through a SLURM that refuses, loses its reply, or allows only small arrays."""

import sqlite3

import pytest

from tests.fakes.commands import FakeSlurm, installed
from tests.integration.band import Band

pytestmark = pytest.mark.integration

FLOW = "from slurmband import Task\ndef tasks():\n    yield Task('a')\ndef run(task):\n    pass\n"


@pytest.fixture
def slurm(band: Band) -> FakeSlurm:
    band.write("flow.py", FLOW)
    return installed(band.folder, band.environ)


def test_one_sbatch_queues_the_array_and_everything_is_recorded(
    band: Band, slurm: FakeSlurm
) -> None:
    done = band.cli("submit", "--array", 100, "--mem", "4G", "-p", "short", "--parsable", "flow.py")

    assert done.stdout == "36\n"
    calls = [call for call in slurm.state["calls"] if call[0] == "sbatch"]
    assert len(calls) == 1
    assert {"--array=0-99", "--mem=4G", "-pshort", "--parsable"} <= set(calls[0])
    (submission,) = band.json("status")["submissions"]
    assert (submission["array_job_id"], submission["status"]) == (36, "queued")
    jobs = band.json("jobs")
    assert [row["array_task_id"] for row in jobs] == list(range(100))
    assert {row["state"] for row in jobs} == {"pending"}


def test_the_script_needs_nothing_of_the_environment(band: Band, slurm: FakeSlurm) -> None:
    band.cli("submit", "--labels", "gpu big", "--export=NONE", "flow.py", SLURMBAND_MODE="shared")

    script = slurm.jobs["36"]["script"]
    assert f"export SLURMBAND_DB={band.folder}/slurmband.sqlite" in script
    assert "export SLURMBAND_LABELS='gpu big'" in script
    assert "export SLURMBAND_MODE=shared" in script
    assert f'#SBATCH --output="{band.folder}/slurmband.sqlite.d/logs/%A_%a.out"' in script


def test_a_refusal_is_told_and_nothing_is_queued(band: Band, slurm: FakeSlurm) -> None:
    slurm.set(sbatch="refuse")

    done = band.cli("submit", "--array", 10, "-p", "nowhere", "flow.py", code=68)

    assert "invalid partition specified: nowhere" in done.stderr
    assert "Nothing was queued" in done.stderr
    (submission,) = band.json("status")["submissions"]
    assert (submission["status"], submission["array_job_id"]) == ("refused", None)
    assert band.json("jobs") == []


def test_a_lost_reply_is_looked_up_and_not_answered_by_a_second_sbatch(
    band: Band, slurm: FakeSlurm
) -> None:
    slurm.set(sbatch="lose")

    done = band.cli("submit", "--array", 10, "flow.py")

    assert "36_[0-9]" in done.stdout
    assert "found again" in done.stdout
    assert list(slurm.jobs) == ["36"]
    assert band.json("status")["submissions"][0]["status"] == "queued"


def test_a_reply_that_stays_lost_is_found_by_the_next_submit(band: Band, slurm: FakeSlurm) -> None:
    slurm.set(sbatch="drop")
    first = band.cli("submit", "--array", 10, "flow.py", code=71)
    token = band.sql("SELECT token FROM submissions")[0][0]
    late = {"36": {"comment": token, "array": "0-9", "state": "PENDING"}}
    slurm.set(sbatch="accept", jobs=late)  # slurmctld had taken it after all

    second = band.cli("submit", "--array", 10, "--parsable", "flow.py")

    assert token in first.stderr
    assert second.stdout == "36\n"
    assert list(slurm.jobs) == ["36"]


def test_nothing_is_submitted_while_an_earlier_reply_is_missing(
    band: Band, slurm: FakeSlurm
) -> None:
    slurm.set(sbatch="drop")
    band.cli("submit", "--array", 10, "flow.py", code=71)
    slurm.set(sbatch="accept")

    band.cli("submit", "--array", 10, "flow.py", code=71)

    assert slurm.jobs == {}


def test_an_intent_that_slurm_never_saw_is_given_up_after_a_while(
    band: Band, slurm: FakeSlurm
) -> None:
    slurm.set(sbatch="drop")
    band.cli("submit", "--array", 10, "flow.py", code=71)
    with sqlite3.connect(band.folder / "slurmband.sqlite") as connection:
        connection.execute("UPDATE submissions SET created_at = created_at - 600")
    connection.close()
    slurm.set(sbatch="accept")

    band.cli("submit", "--array", 10, "flow.py")

    assert [row["status"] for row in band.json("status")["submissions"]] == ["refused", "queued"]


def test_an_array_larger_than_the_site_allows_is_split(band: Band, slurm: FakeSlurm) -> None:
    slurm.set(max_array_size=1001)

    done = band.cli("submit", "--array", "2500%50", "--parsable", "flow.py")

    assert done.stdout.split() == ["36", "37", "38"]
    specs = [job["array"] for job in slurm.jobs.values()]
    assert specs == ["0-833%17", "0-832%17", "0-832%17"]
    assert len(band.json("jobs")) == 2500


def test_several_workers_in_an_element_share_one_srun(band: Band, slurm: FakeSlurm) -> None:
    band.cli("submit", "--array", 2, "--workers-per-element", 4, "--template", "gpu", "flow.py")

    job = slurm.jobs["36"]
    assert job["ntasks"] == "4"
    assert 'worker=("${launch[@]:-srun}" --ntasks=4 ' in job["script"]
    assert "--gpus-per-task=1" in job["script"]


def test_the_users_own_comment_is_kept(band: Band, slurm: FakeSlurm) -> None:
    band.cli("submit", "--comment", "for Ada", "flow.py")

    assert slurm.jobs["36"]["comment"].startswith("for Ada slurmband-")


def test_a_queue_that_does_not_answer_is_no_proof_that_nothing_is_queued(
    band: Band, slurm: FakeSlurm
) -> None:
    slurm.set(sbatch="lose", squeue="down")
    band.cli("submit", "flow.py", code=71)
    with sqlite3.connect(band.folder / "slurmband.sqlite") as connection:
        connection.execute("UPDATE submissions SET created_at = created_at - 3600")

    slurm.set(sbatch="accept")
    band.cli("submit", "flow.py", code=71)
    slurm.set(squeue="up")
    band.cli("submit", "flow.py")

    assert list(slurm.jobs) == ["36"]
    counted = {row["command"]: row["n"] for row in band.json("status", "--now")["questions"]}
    assert counted == {"squeue": slurm.called.count("squeue")}
