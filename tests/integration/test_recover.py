"""What is left that no worker can do: which submissions it needs, printed and done."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.commands import installed
from tests.integration.band import Band

pytestmark = pytest.mark.integration

FLOW = """
from slurmband import Task

def tasks():
    yield Task("small")
    yield Task("large", requirements={"mem>=96G", "gpu"})
    yield Task("larger", requirements={"mem>=96G", "gpu"}, dependencies={"large"})

def run(task):
    pass
"""


def test_what_is_left_says_what_it_needs_and_gets_it(band: Band) -> None:
    band.write("flow.py", FLOW)
    band.cli("submit", "--cluster", "local", "--mem", "64G", "--wait", "flow.py", code=69)
    assert band.tasks()["large"]["state"] == "ready"

    hint = "ready tasks need a worker with gpu mem>=96G: `slurmband recover`."
    assert hint in band.cli("status").stdout

    (need,) = band.json("recover")
    assert (need["requirements"], need["tasks"]) == (["gpu", "mem>=96G"], 2)
    assert need["words"] == [
        *("--array", "1", "--labels", "gpu", "--cluster", "local", "--mem=98304M", "flow.py"),
    ]
    printed = band.cli("recover").stdout
    assert (
        "# 2 tasks for gpu, mem>=96G\nslurmband submit --db slurmband.sqlite --array 1" in printed
    )
    assert len(band.sql("SELECT id FROM submissions")) == 1

    band.cli("recover", "--submit")
    band.cli("wait")

    assert {row["state"] for row in band.json("tasks")} == {"completed"}
    assert "Nothing is left" in band.cli("recover").stdout


def test_what_is_submitted_again_is_like_the_last_submission(band: Band, tmp_path: Path) -> None:
    band.write("flow.py", FLOW)
    shipped = band.cli("templates", "show", "cpu").stdout
    band.write("mine.sh", shipped.replace("#!/bin/bash", "#!/bin/bash\necho mine"))
    band.cli(
        *("submit", "--cluster", "local", "--template", "mine.sh", "--workers-per-element", 2),
        *("--until-done", "--max-submissions", 3, "--mem-per-cpu", "2G", "--growing", "--wait"),
        *("flow.py",),
        code=69,
    )

    (need,) = band.json("recover")
    assert need["words"] == [
        *("--array", "1", "--labels", "gpu", "--cluster", "local", "--template", "mine.sh"),
        *("--workers-per-element", "2", "--growing", "--until-done", "--max-submissions", "3"),
        *("--ntasks=2", "--mem=98304M", "flow.py"),
    ]

    elsewhere = replace(band, folder=tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    there = ("recover", "--db", band.folder / "slurmband.sqlite")
    assert f"cd {band.folder} && slurmband submit --db /" in elsewhere.cli(*there).stdout
    elsewhere.cli(*there, "--submit")
    band.cli("wait")

    assert {row["state"] for row in band.json("tasks")} == {"completed"}
    logs = sorted((band.folder / "slurmband.sqlite.d" / "logs").iterdir())
    assert all("mine" in log.read_text() for log in logs)
    assert len(logs) == 2


def test_what_is_pending_is_not_submitted_again(band: Band) -> None:
    slurm = installed(band.folder, band.environ)
    band.write("flow.py", FLOW)
    band.cli("submit", "--mem", "64G", "flow.py")
    assert slurm.begin(band, "36_0").wait(120) == 0

    slurm.set(queued=["36|1|PENDING|N/A|Priority"])  # which does not offer it
    band.cli("recover", "--submit")
    slurm.set(queued=["37|0|PENDING|N/A|Priority"])
    (need,) = band.json("recover")
    assert need["queued"] == [37]
    said = band.cli("recover", "--submit").stdout
    assert said == "# 2 tasks for gpu, mem>=96G: queued for them, and pending: 37\n"
    assert len(band.sql("SELECT id FROM submissions")) == 2
    questions = {row["command"]: row["n"] for row in band.json("status", "--now")["questions"]}
    assert questions == {"squeue": 3}

    slurm.set(squeue="down")  # nobody knows: then a person decides
    assert band.json("recover")[0]["queued"] == []


def test_without_a_submission_there_is_nothing_to_repeat(band: Band) -> None:
    band.write("flow.py", FLOW)
    band.cli("work", "flow.py", "--no-wait")

    assert "slurmband submit" in band.cli("recover", code=64).stderr
