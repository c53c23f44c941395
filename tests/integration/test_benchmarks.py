"""The benchmarks run, in their quick form; what they find is not judged here."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import simulated, slow_files
from benchmarks.figures import Figure
from benchmarks.measures import MEASURES
from benchmarks.report import Results
from tests.integration.band import ROOT, SMALL_TRACE

pytestmark = pytest.mark.integration

#: What needs more than there is here, and so has no figure in the quick form.
ELSEWHERE = {"nfs"} if shutil.which("cc") else {"nfs", "slow_files"}

#: Opens, writes, renames, reads, and removes a file, and says how long that took.
USE_FILE = """
import os, sys, time
file = sys.argv[1]
begun = time.monotonic()
descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
os.write(descriptor, b"words")
os.fsync(descriptor)
os.pread(descriptor, 5, 0)
os.fstat(descriptor)
os.close(descriptor)
os.rename(file, file + "2")
os.stat(file + "2")
os.unlink(file + "2")
print(time.monotonic() - begun)
"""
OPERATIONS = 9


def benchmarks(*words: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_runs(name: str, tmp_path: Path) -> None:
    options = ["--quick", "--no-peers", "--folder", tmp_path, "--recorded", SMALL_TRACE]

    benchmarks(name, *options, "--out", tmp_path / "out")

    found = results(tmp_path / "out")
    assert found["quick"]
    assert {"cpu", "cores", "python", "sqlite", "file_system"} <= set(found["machine"])
    assert found["commit"]
    assert list(found["measures"]) == [name]
    measured = [figure for figure in found["measures"][name] if figure["value"] is not None]
    assert bool(measured) is (name not in ELSEWHERE)
    assert all(figure["what"] and figure["value"] >= 0 for figure in measured)
    assert f"## {name}" in (tmp_path / "out" / "results.md").read_text()
    for run in found["runs"]:
        assert run["by"]
        assert run["how"]
        assert run["wall"] == pytest.approx(run["last_report"] - run["first_claim"])
        assert run["with_start_up"] > run["wall"] > 0


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_each_operation_on_a_slow_file_takes_its_time_and_on_others_none(tmp_path: Path) -> None:
    library = slow_files.build(tmp_path)

    def took(name: str, delay: float) -> float:
        done = subprocess.run(
            [sys.executable, "-c", USE_FILE, tmp_path / name],
            env={**os.environ, **slow_files.settings(library, tmp_path / "slow", delay)},
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout)

    assert took("slow.txt", delay=0.05) >= OPERATIONS * 0.05
    assert took("fast.txt", delay=30.0) < 30.0


def test_simulated_nodes_share_files_but_no_memory(tmp_path: Path) -> None:
    shown = 'uname -n; echo "$NAME" >/dev/shm/"$NAME"; ls /dev/shm; pwd'
    try:
        with simulated.nodes(tmp_path, 2) as place:
            for n in range(3):
                log = tmp_path / f"{n}.log"
                command = ["sh", "-c", shown]
                assert place.start(n, command, tmp_path, {"NAME": f"w{n}"}, log).wait(120) == 0
    except simulated.NoNodes as error:
        pytest.skip(f"no nodes can be simulated: {error}")

    said = [(tmp_path / f"{n}.log").read_text().split() for n in range(3)]
    assert said == [
        ["node0", "w0", str(tmp_path)],
        ["node1", "w1", str(tmp_path)],
        ["node0", "w0", "w2", str(tmp_path)],
    ]


def test_plots_need_matplotlib_and_say_so(tmp_path: Path) -> None:
    costs = [Figure(what="cost per task", value=1.0, unit="ms", at=size) for size in (10, 100)]
    Results("2026-01-31", "abc", True, {"cpu": "fast"}, {"tasks": costs}).write(tmp_path)

    if importlib.util.find_spec("matplotlib") is None:
        done = benchmarks("plots", tmp_path / "results.json", "--out", tmp_path, code=69)
        assert "pip install 'slurmband[benchmarks]'" in done.stderr
    else:
        benchmarks("plots", tmp_path / "results.json", "--out", tmp_path)
        assert (tmp_path / "cost-over-tasks.png").exists()


def test_a_measure_that_is_not_there_is_refused() -> None:
    assert "no measure lightness" in benchmarks("lightness", code=2).stderr
