"""`slurmband why` at the command line: on a real band of this machine, and before a fake squeue."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.band import ROOT, Band, busy_workers, wait_for

pytestmark = pytest.mark.integration

FLOW = """
import time
from pathlib import Path
from slurmband import Task

def tasks():
    yield Task("mill")
    yield Task("burn")
    yield Task("train", requirements={"gpu"}, dependencies={"mill"})
    yield Task("bake", dependencies={"mill"})
    yield Task("slice", dependencies={"bake"})
    yield Task("eat", dependencies={"slice", "train"})
    yield Task("ash", dependencies={"burn"})
    yield Task("dust", dependencies={"ash"})

def run(task):
    if task.id == "burn":
        raise ValueError("too hot")
    while task.id == "bake" and not Path("go").exists():
        time.sleep(0.05)
"""


def why(band: Band, *name: str) -> Any:
    """Return the first answer."""
    return band.json("why", *name)["answers"][0]


@pytest.fixture
def baking(band: Band) -> Band:
    """A band in which one task failed, one runs, and one requires what nobody has."""
    band.write("flow.py", FLOW)
    band.cli("submit", "--cluster", "local", "--array", 2, "flow.py")
    wait_for(
        lambda: (
            [row["tasks"] for row in band.json("workers")] in ([["bake"], []], [[], ["bake"]])
            and band.tasks()["burn"]["state"] == "failed"
        ),
        what="one worker bakes, and the other has nothing to do",
    )
    return band


def test_each_state_is_answered(baking: Band) -> None:
    found = {name: baking.json("why", name) for name in baking.tasks()}

    assert {name: (each["state"], each["answers"][0]["cause"]) for name, each in found.items()} == {
        "mill": ("completed", "completed"),
        "burn": ("failed", "failed"),
        "train": ("ready", "requirements"),
        "bake": ("running", "running"),
        "slice": ("waiting", "waiting"),
        "eat": ("waiting", "waiting"),
        "ash": ("blocked", "blocked"),
        "dust": ("blocked", "blocked"),
    }
    answers = {name: each["answers"][0] for name, each in found.items()}
    assert answers["burn"]["headline"] == "burn failed: ValueError: too hot"
    assert "no try is left: failed 1 of 1" in answers["burn"]["evidence"]
    assert answers["dust"]["headline"] == "dust is blocked: burn failed: ValueError: too hot"
    assert answers["dust"]["facts"]["path"] == ["dust", "ash", "burn"]
    assert answers["slice"]["headline"].startswith("slice waits: bake is running: 1_")
    assert answers["eat"]["headline"] == "eat waits: train is ready, and no live worker has gpu."
    (claim,) = answers["bake"]["facts"]["claims"]
    (again,) = why(baking, claim["worker"])["facts"]["claims"]
    assert claim["element"] == claim["worker"] == again["worker"]
    assert 0 <= claim["silent_for"] < 60


def test_a_command_that_is_proposed_can_be_pasted(baking: Band) -> None:
    for command in (why(baking, "train")["command"], why(baking, "dust")["command"]):
        program, *words = command.split()
        assert program == "slurmband"
        baking.cli(*words)

    wait_for(lambda: baking.tasks()["train"]["state"] == "completed", what="a worker offers gpu")


def test_a_proposed_command_names_a_database_that_is_not_the_usual_one(baking: Band) -> None:
    (baking.folder / "elsewhere").mkdir()
    there = "../slurmband.sqlite"
    baking.folder /= "elsewhere"

    found = baking.json("why", "burn", "--db", there)
    baking.folder = baking.folder.parent

    assert found["answers"][0]["command"] == f"slurmband retry --db {there} burn"


def test_the_band_says_what_moves_and_what_does_not(baking: Band) -> None:
    found = baking.json("why")

    assert [answer["cause"] for answer in found["answers"]] == [
        "requirements",
        "long task",
        "failed",
    ]
    assert found["moving"] is True
    assert found["workers"] == {"alive": 2, "suspects": 0, "busy": 1}
    text = baking.cli("why").stdout
    assert "train is ready, and no live worker has gpu." in text
    assert "    slurmband submit --labels gpu --cluster local --array 2 flow.py\n" in text
    assert "\ntasks: " in text


def test_a_worker_whose_process_is_gone_is_the_reason(baking: Band) -> None:
    (row,) = busy_workers(baking, 1)
    # The other worker would reap it; stopped, it cannot.
    other = next(w for w in baking.json("workers") if w["pid"] != row["pid"])
    os.kill(other["pid"], signal.SIGSTOP)
    os.kill(row["pid"], signal.SIGKILL)

    def held_by_the_dead() -> bool:
        answer = why(baking, "bake")
        return bool(answer["cause"] == "silent" and "process is gone" in answer["evidence"][0])

    wait_for(held_by_the_dead, what="why sees that the process is gone")
    assert why(baking, "bake")["command"] == "slurmband reap-dead"
    assert why(baking)["cause"] == "silent"
    os.kill(other["pid"], signal.SIGCONT)


def test_elements_workers_and_arrays_are_asked_about_by_their_names(baking: Band) -> None:
    (busy,) = busy_workers(baking, 1)
    (idle,) = [w["worker"] for w in baking.json("workers") if w["worker"] != busy["worker"]]

    assert baking.json("why", busy["worker"])["task"] == "bake"
    assert (baking.json("why", idle)["about"], why(baking, idle)["cause"]) == ("worker", "idle")
    assert why(baking, "1")["headline"].startswith("array 1: runs on this machine (pid ")
    (baking.folder / "go").touch()
    wait_for(lambda: not busy_workers(baking, 1), what="it was baked")


def test_a_name_that_nothing_has_is_refused_as_elsewhere(baking: Band) -> None:
    for name in ("cook", "99_7", "99"):
        said = baking.cli("why", name, code=64).stderr
        assert f"no task '{name}' (`slurmband tasks` lists them), and no such element." in said


def test_in_shared_mode_it_is_answered_as_well(band: Band) -> None:
    band.write("flow.py", FLOW)
    (band.folder / "go").touch()

    band.cli(
        "submit",
        "--cluster",
        "local",
        "--mode",
        "shared",
        "--labels",
        "gpu",
        "--wait",
        "flow.py",
        code=69,
    )

    assert why(band)["headline"] == (
        "Nothing is left that can run: 1 task failed, which blocks 2 more."
    )
    assert why(band, "eat")["cause"] == "completed"


# --- before a fake SLURM ----------------------------------------------------------------------------


@pytest.fixture
def queue(band: Band) -> Path:
    """Submit three elements to a fake SLURM; return the file that says what squeue prints."""
    commands = band.folder / "bin"
    commands.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "srun"):
        shutil.copy(ROOT / "tests" / "fakes" / "fake_slurm.py", commands / name)
    file = band.folder / "slurm.json"
    file.write_text(
        json.dumps(
            {"sbatch": "accept", "next": 36, "jobs": {}, "calls": [], "max_array_size": 1001}
        )
    )
    band.environ["PATH"] = f"{commands}:{os.environ['PATH']}"
    band.environ["FAKE_SLURM"] = str(file)
    band.write("flow.py", FLOW)
    band.cli("submit", "--array", 3, "--labels", "gpu", "flow.py")
    return file


def listed(queue: Path, *lines: str, **how: object) -> None:
    queue.write_text(
        json.dumps(json.loads(queue.read_text()) | {"queued": lines, "calls": []} | how)
    )


def test_the_pending_reason_is_told_of_the_band_a_task_an_array_and_an_element(
    band: Band, queue: Path
) -> None:
    listed(queue, *(f"36|{n}|PENDING|2026-11-22T10:00:00|QOSMaxJobsPerUserLimit" for n in range(3)))
    says = "its QOS is at its limit of running jobs for each user (SLURM: QOSMaxJobsPerUserLimit)"

    whole, task = why(band), why(band, "mill")

    assert whole["headline"] == "Nothing moves: no worker is alive; 3 elements in SLURM's queue."
    assert says in whole["evidence"]
    assert says in task["evidence"]
    assert whole["command"] == task["command"] == "squeue --me"
    assert why(band, "36_1")["headline"] == f"36_1 is pending: {says}."
    assert says in why(band, "36")["evidence"]
    calls = [call for call in json.loads(queue.read_text())["calls"] if call[0] == "squeue"]
    assert len(calls) == 4  # once for each question


def test_what_slurm_started_and_has_no_worker_yet_is_told(band: Band, queue: Path) -> None:
    listed(queue, "36|1|RUNNING|2026-11-22T10:00:00|None")

    answer = why(band, "36_1")

    assert answer["cause"] == "starting"
    assert answer["command"].endswith("/logs/36_1.out")
    assert why(band, "36_2")["cause"] == "over"


def test_a_squeue_that_does_not_answer_does_not_keep_why_from_answering(
    band: Band, queue: Path
) -> None:
    listed(queue, squeue="down")

    answer = why(band)

    assert answer["cause"] == "no worker"
    assert any("cannot be told: slurm_load_jobs error" in line for line in answer["evidence"])


def test_an_array_that_is_over_and_never_had_a_worker_points_at_its_log(
    band: Band, queue: Path
) -> None:
    listed(queue)

    answer = why(band)

    assert answer["evidence"][0] == "array 36: SLURM has none of its 3 elements any more"
    assert answer["evidence"][1].startswith("in 3 of its 3 elements no worker ever joined; see ")
    assert answer["command"] == "slurmband submit --array 3 flow.py"
