"""What the documentation tells people to run, runs."""

import subprocess
import sys

import pytest

from tests.architecture import markdown
from tests.architecture.markdown import README, Block
from tests.integration.band import Band

pytestmark = pytest.mark.integration


def test_the_workflow_of_the_readme_runs(band: Band) -> None:
    workflow = next(b for b in markdown.python_blocks() if b.page == README and "tasks()" in b.text)
    band.write("workflow.py", workflow.text)

    band.cli("submit", "--cluster", "local", "--array", 2, "--wait", "workflow.py")

    assert {row["state"] for row in band.json("tasks")} == {"completed"}
    assert (band.folder / "report.txt").read_text().startswith("mean ")


@pytest.mark.parametrize("block", markdown.python_blocks(marked="run"), ids=str)
def test_a_program_of_the_guides_runs(band: Band, block: Block) -> None:
    band.write("program.py", block.text)

    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=band.folder,
        env=band.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert {row["state"] for row in band.json("tasks")} == {"completed"}


@pytest.mark.parametrize("block", markdown.python_blocks(marked="submit"), ids=str)
def test_a_workflow_file_of_the_guides_runs(band: Band, block: Block) -> None:
    band.write("workflow.py", block.text)

    band.cli(
        "submit", "--cluster", "local", "--array", 2, "--time=2:00:00", "--wait", "workflow.py"
    )

    assert {row["state"] for row in band.json("tasks")} == {"completed"}


@pytest.mark.parametrize("block", markdown.command_blocks(), ids=str)
def test_a_list_of_commands_of_the_guides_runs(band: Band, block: Block) -> None:
    band.write("commands.txt", block.text)

    band.cli("submit", "--cluster", "local", "--wait", "--commands", "commands.txt")

    assert {row["state"] for row in band.json("tasks")} == {"completed"}
    made = [file for file in band.folder.glob("*.txt") if file.name != "commands.txt"]
    assert made
    assert all(file.read_text().strip() for file in made)


def test_there_are_programs_to_run() -> None:
    assert len(markdown.python_blocks(marked="run")) >= 3
    assert len(markdown.python_blocks(marked="submit")) >= 1
    assert len(markdown.command_blocks()) >= 3
