"""The documentation names what exists, and nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from slurmband.cli.app import COMMANDS, build
from slurmband.observe.why.answers import Cause
from slurmband.slurm.options import split
from tests.architecture import markdown
from tests.architecture.markdown import PAGES, README, ROOT, Block

pytestmark = pytest.mark.unit

TUTORIAL = ROOT / "docs" / "tutorial" / "first-study.md"
WHY = ROOT / "docs" / "howto" / "why-a-task-died.md"
OUTPUT = ROOT / "docs" / "howto" / "find-a-tasks-output.md"
FOR_JOBS = [
    ROOT / "docs" / "howto" / f"{page}.md"
    for page in ("survive-the-time-limit", "keep-an-array-going", "give-more-memory")
]
SHELL_LINES = [
    *markdown.shell_lines(README),
    *markdown.shell_lines(TUTORIAL, until="On SLURM"),
    *markdown.shell_lines(WHY),
    *markdown.shell_lines(OUTPUT),
    *(line for page in FOR_JOBS for line in markdown.shell_lines(page)),
]


def commands() -> dict[str, Any]:
    main: Any = typer.main.get_command(build())
    return dict(main.commands)


def options_of(command: Any) -> dict[str, bool]:
    """Return option as written -> whether it takes a value."""
    found = {"--help": False, "-h": False}
    for param in command.params:
        if param.param_type_name == "option":
            found |= dict.fromkeys([*param.opts, *param.secondary_opts], not param.is_flag)
    return found


def test_the_reference_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate-reference", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_shown_to_users(name: str) -> None:
    pages = [README, *(ROOT / "docs" / "howto").glob("*.md")]
    written = "\n".join(page.read_text() for page in pages)

    assert commands()[name].help
    assert f"slurmband {name}" in written


@pytest.mark.parametrize("page", PAGES, ids=markdown.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in markdown.links(page):
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.is_file(), f"{link} in {page}"
        if anchor:
            assert anchor in markdown.anchors(found), f"{link} in {page}"


@pytest.mark.parametrize("block", markdown.python_blocks(), ids=str)
def test_every_python_block_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("line", SHELL_LINES)
def test_every_shell_line_names_what_exists(line: str) -> None:
    _, name, *words = line.partition(" #")[0].split()
    known = commands()
    assert name in known
    if words[:1] and words[0] in getattr(known[name], "commands", {}):
        name, known = words[0], known[name].commands
    options = options_of(known[name])

    if name == "submit":
        valued = [option for option, takes_value in options.items() if takes_value]
        flags = [option for option, takes_value in options.items() if not takes_value]
        taken_apart = split(words, valued=valued, flags=flags)
        assert (
            taken_apart.is_command
            or "--commands" in taken_apart.ours
            or taken_apart.program[0].endswith(".py")
        )
        words = taken_apart.ours

    given = [word.partition("=")[0] for word in words if word.startswith("-")]
    assert set(given) <= set(options)


def test_every_cause_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text().partition("## why")[2]

    assert [cause for cause in Cause if f"`{cause}`" not in page] == []


def test_the_shell_lines_are_found() -> None:
    assert len(SHELL_LINES) > 10
