"""The walls hold: imports point down, few files write, and the public names are what is promised."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import slurmband
from tests.architecture.markdown import ROOT

pytestmark = pytest.mark.unit

WRITES = ROOT / "docs" / "decisions" / "0002-writes.md"
WRITING = {"insert", "update", "delete"}
HEAVY = ("typer", "rich", "submitit", "jinja2", "tabulate")


def imported_from_sqlalchemy(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    found = (node for node in nodes if isinstance(node, ast.ImportFrom))
    return {
        alias.name
        for node in found
        if (node.module or "").partition(".")[0] == "sqlalchemy"
        for alias in node.names
    }


def test_imports_point_down() -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_files_of_the_decision_write() -> None:
    decided = set(re.findall(r"^\| `(\w+\.py)` \|", WRITES.read_text(), re.MULTILINE))
    files = (ROOT / "slurmband").rglob("*.py")

    writing = {str(f.relative_to(ROOT)) for f in files if imported_from_sqlalchemy(f) & WRITING}

    assert writing == {f"slurmband/store/{name}" for name in decided}


def test_the_public_names_are_those_of_all() -> None:
    tree = ast.parse((ROOT / "slurmband" / "__init__.py").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imports for alias in node.names}

    assert names == set(slurmband.__all__)
    assert list(slurmband.__all__) == sorted(slurmband.__all__)
    assert all(getattr(slurmband, name).__doc__ for name in slurmband.__all__)


def test_a_worker_imports_nothing_of_the_command_line() -> None:
    code = "import sys, slurmband.graphband.band; print(*sorted(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not set(done.stdout.split()) & set(HEAVY)


#: All that a worker may load of slurmband's command line, and of other packages (and what they load).
OF_THE_COMMAND_LINE = {
    "slurmband.cli",
    *(f"slurmband.cli.{name}" for name in ("log", "main", "worker")),
}
OTHERS = "flufl.lock, psutil, sqlalchemy, tqdm"
NOT_FOR_WORKERS = ("cli", "doctor", "observe", "store.entries", "submission")
FLOW = """
import sys
from slurmband import Task

def tasks():
    yield Task("only")

def run(task):
    print(*sys.modules)
"""


def loaded_by(*words: str, folder: Path, **environ: str) -> set[str]:
    """Return the modules that a Python process prints."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_a_worker_has_loaded_nothing_needless_at_its_first_claim(mode: str, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    code = f"import sys, {OTHERS}; print(*sys.modules)"
    needed = {name.partition(".")[0] for name in loaded_by("-c", code, folder=tmp_path)}

    loaded = loaded_by(
        *("-m", "slurmband", "work", "flow.py"), folder=tmp_path, SLURMBAND_MODE=mode
    )

    packages = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - needed
    assert packages <= {"slurmband", "flow", "__mp_main__", "setproctitle"}
    assert "sqlalchemy.orm" not in loaded
    ours = {
        name for name in loaded if name.startswith(tuple(f"slurmband.{n}" for n in NOT_FOR_WORKERS))
    }
    assert ours == OF_THE_COMMAND_LINE
