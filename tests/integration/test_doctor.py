"""slurmband doctor looks at a real directory with real processes, and leaves nothing behind."""

import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmband.doctor.trials import TRIALS
from tests.integration.band import ROOT, Band, wait_for

pytestmark = pytest.mark.integration

FLOW = "from slurmband import Task\ndef tasks():\n    yield Task('a')\ndef run(task):\n    pass\n"


def examine(band: Band, *words: object, **environ: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(band.cli("doctor", "--json", *words, **environ).stdout)
    return found


def not_safe(band: Band) -> dict[str, Any]:
    """Examine a band's directory that is not safe; take the database away, for nothing can read it."""
    done = band.cli("doctor", "--json", code=73)
    (band.folder / "slurmband.sqlite").unlink()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in report["findings"]}


def levels(report: dict[str, Any]) -> dict[str, str]:
    return {name: finding["level"] for name, finding in by_name(report).items()}


def of_mind(report: dict[str, Any]) -> set[str]:
    """Return what is amiss, but for what is this machine's fault and not the directory's."""
    amiss = {name for name, level in levels(report).items() if level in ("warning", "error")}
    return amiss - {"SQLite", "host lock", "room"}


@pytest.fixture
def worked(band: Band) -> Band:
    """A band in mode shared that has done its one task."""
    band.environ["SLURMBAND_MODE"] = "shared"
    band.write("flow.py", FLOW)
    band.cli("submit", "--cluster", "local", "--array", 1, "--wait", "flow.py")
    band.wait_until_over()
    return band


def test_an_ordinary_directory_is_safe_and_is_left_as_it_was(band: Band) -> None:
    report = examine(band)

    assert of_mind(report) == set()
    assert {name for name, _ in TRIALS} | {"file system", "clock", "locks", "database"} <= set(
        levels(report)
    )
    assert report["safe"] is True
    assert report["verdict"].startswith("safe")
    assert list(band.folder.iterdir()) == []


def test_the_text_says_what_was_found_and_ends_with_the_verdict(band: Band) -> None:
    lines = band.cli("doctor").stdout.splitlines()

    assert lines[0] == str(band.folder)
    assert [line.split()[0] for line in lines if "fcntl locks" in line] == ["ok"]
    assert lines[-1].startswith("verdict: safe")


def test_another_directory_can_be_named(band: Band) -> None:
    (band.folder / "there").mkdir()

    report = examine(band, "there")

    assert report["directory"] == str(band.folder / "there")


def test_a_directory_that_is_not_there_is_refused(band: Band) -> None:
    done = band.cli("doctor", "nosuch", code=64)

    assert f"there is no directory {band.folder}/nosuch" in done.stderr


def test_a_sound_database_is_told_so(worked: Band) -> None:
    report = examine(worked)

    assert of_mind(report) == set()
    assert report["mode"] == "shared"
    assert report["database"] == str(worked.folder / "slurmband.sqlite")
    assert by_name(report)["database"]["found"] == "1 task, and everything in it agrees"


def write(band: Band, sql: str) -> None:
    with closing(sqlite3.connect(band.folder / "slurmband.sqlite")) as connection:
        connection.execute(sql)
        connection.commit()


def test_a_broken_promise_is_not_safe(worked: Band) -> None:
    write(worked, "UPDATE tasks SET unmet = 3 WHERE id = 'a'")

    report = not_safe(worked)

    found = by_name(report)["database"]
    assert "the number of unmet dependencies is that of the edges (a)" in found["found"]
    assert "--restore" in found["advice"]
    assert (report["safe"], report["verdict"]) == (False, "not safe here: database")


def test_a_damaged_file_is_not_safe(worked: Band) -> None:
    file = (worked.folder / "slurmband.sqlite").resolve()
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    file.write_bytes(content)

    report = not_safe(worked)

    assert by_name(report)["database"]["found"].startswith("SQLite finds it damaged")


def test_what_is_no_database_is_not_safe(band: Band) -> None:
    (band.folder / "slurmband.sqlite").write_text("dear diary, " * 50)

    report = not_safe(band)

    assert levels(report)["file system"] == "error"
    assert report["mode"] is None


def test_a_database_that_another_program_has_open_is_told(worked: Band) -> None:
    with closing(sqlite3.connect(worked.folder / "slurmband.sqlite")) as connection:
        connection.execute("SELECT count(*) FROM tasks").fetchall()
        report = examine(worked)

    assert levels(report)["shared memory"] == "warning"
    assert levels(examine(worked))["shared memory"] == "ok"


# --- the folder of the trials ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_the_folder_is_removed_when_the_command_is_ended(
    band: Band, number: signal.Signals, code: int
) -> None:
    environ = with_srun(band) | {"FAKE_SRUN": "wait"}
    process = band.start("-m", "slurmband", "doctor", "--nodes", **environ)
    wait_for(lambda: waits_for_srun(process.pid), what="srun was started")
    assert folders(band)

    process.send_signal(number)

    assert process.wait(120) == code
    assert folders(band) == []


def folders(band: Band) -> list[Path]:
    return list(band.folder.glob(".slurmband-doctor-*"))


def waits_for_srun(pid: int) -> bool:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return any(b"fake_srun" in read(Path(f"/proc/{child}/cmdline")) for child in children)


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # a child that has ended since
        return b""


# --- two nodes -------------------------------------------------------------------------------------


def with_srun(band: Band) -> dict[str, str]:
    """Put a fake srun on PATH."""
    commands = band.folder / "bin"
    commands.mkdir(exist_ok=True)
    srun = commands / "srun"
    fake = ROOT / "tests" / "fakes" / "fake_srun.py"
    srun.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
    srun.chmod(0o755)
    return {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["--nodes"], {}),
        ([], {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"}),
    ],
    ids=["as asked", "in a job with two nodes"],
)
def test_two_nodes_are_tried_by_srun(
    band: Band, words: list[str], variables: dict[str, str]
) -> None:
    report = examine(band, *words, **with_srun(band), **variables)

    between = [f["name"] for f in report["findings"] if "(n1 and n2)" in f["found"]]
    assert between == [name for name, _ in TRIALS]
    assert of_mind(report) == set()


def test_a_job_with_one_node_tries_none_other(band: Band) -> None:
    report = examine(band, SLURM_JOB_ID="7", SLURM_JOB_NUM_NODES="1", PATH="/nowhere")

    assert "two nodes" not in levels(report)


def test_what_srun_refuses_is_told(band: Band) -> None:
    report = examine(band, "--nodes", **with_srun(band), FAKE_SRUN="refuse")

    found = by_name(report)["two nodes"]
    assert found["level"] == "warning"
    assert "Requested node configuration is not available" in found["found"]
    assert "salloc -N2" in found["advice"]


def test_without_srun_two_nodes_cannot_be_asked_for(band: Band) -> None:
    done = band.cli("doctor", "--nodes", code=68, PATH="/nowhere")

    assert "srun was not found" in done.stderr
    assert folders(band) == []
