"""The benchmarks run, in their quick form; what they find is not judged here."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Figure
from benchmarks.measures import MEASURES
from benchmarks.report import Results
from tests.integration.band import ROOT, SMALL_TRACE

pytestmark = pytest.mark.integration

#: What needs more than this machine, and so has no figure in the quick form.
ELSEWHERE = {"nfs"}


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
