"""The shipped templates are scripts as they stand, and rendering them only adds lines."""

import difflib
import shlex
import subprocess
from pathlib import Path

import pytest

from slurmband.errors import UsageError
from slurmband.slurm.templates import Template, find, render, shipped, worker_lines

pytestmark = pytest.mark.unit

PLACEHOLDERS = ["# {{ directives }}", "# {{ worker }}"]
BARE = Template("bare", "#!/bin/bash\n# {{ directives }}\n# {{ worker }}\n")
every_template = pytest.mark.parametrize("template", shipped(), ids=lambda t: t.name)


def bash(script: str, *options: str) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["bash", *options], input=script, capture_output=True, text=True, check=False, env=environ
    )


def filled_in(template: Template) -> str:
    lines = worker_lines(["python3", "flow.py"], {"SLURMBAND_DB": "d"}, workers_per_element=1)
    return render(template, directives=["#SBATCH --output=logs/%A_%a.out"], worker=lines)


def test_there_are_templates_for_each_kind_of_node() -> None:
    assert [template.name for template in shipped()] == ["cpu", "gpu", "preemptible"]


@every_template
def test_a_template_is_valid_bash_as_it_stands(template: Template) -> None:
    checked = bash(template.text, "-n")

    assert (checked.returncode, checked.stderr) == (0, "")


@every_template
def test_a_rendered_template_is_valid_bash(template: Template) -> None:
    checked = bash(filled_in(template), "-n")

    assert (checked.returncode, checked.stderr) == (0, "")


@every_template
def test_rendering_only_adds_lines(template: Template) -> None:
    changes = list(difflib.ndiff(template.text.splitlines(), filled_in(template).splitlines()))

    assert [line[2:] for line in changes if line.startswith("- ")] == PLACEHOLDERS
    assert "#SBATCH --output=logs/%A_%a.out" in [line[2:] for line in changes if line[0] == "+"]


@every_template
def test_sbatch_sees_every_directive_because_no_command_comes_before_it(template: Template) -> None:
    lines = filled_in(template).splitlines()
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [n for n, line in enumerate(lines) if line.startswith("#SBATCH")]

    assert max(directives) < first_command
    assert lines[0] == "#!/bin/bash"


@every_template
def test_a_template_ends_in_exec_so_that_signals_reach_the_worker(template: Template) -> None:
    assert filled_in(template).endswith('\nexec "${worker[@]}"\n')


@every_template
def test_a_template_says_in_one_line_what_it_is_for(template: Template) -> None:
    assert template.summary.startswith("One worker per array element")


def test_a_template_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    mine = tmp_path / "my own.sh"
    mine.write_text(BARE.text)

    assert find("cpu") in shipped()
    assert find(str(mine)).text == BARE.text


def test_an_unknown_template_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'nosuch'.* cpu, gpu, preemptible"):
        find("nosuch")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# {{ directives }}\n", r"lacks \{\{ worker \}\}"),
        ("# {{ worker }}\n", r"lacks \{\{ directives \}\}"),
        ("echo\n", r"lacks \{\{ directives \}\}"),
        (f"{BARE.text}# {{{{ account }}}}\n", r"has an unknown \{\{ account \}\}"),
        ("# {{ directive }}\n# {{ worker }}\n", r"has an unknown \{\{ directive \}\}"),
        ("# {{ workers }}\n# {{ directives }}\n", r"has an unknown \{\{ workers \}\}"),
        (f"{BARE.text}{{{{ 1 +\n", r"cannot be read"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused_with_the_reason(
    text: str, message: str
) -> None:
    with pytest.raises(UsageError, match=f"template site {message}"):
        render(Template("site", text), directives=[], worker=[])


@pytest.mark.parametrize(
    "line",
    ["${#array[@]}", "${array[@]%%%}", "{%", "%}", "{# x #}", "# one { and }", "${x##*/}", "#}"],
)
def test_only_double_braces_mean_anything(line: str) -> None:
    assert line in filled_in(Template("site", BARE.text + f"{line}\n")).splitlines()


def test_what_is_filled_in_is_not_read_as_a_template_again() -> None:
    script = render(
        BARE, directives=[], worker=worker_lines(["{{ x }}"], {}, workers_per_element=1)
    )

    assert "worker=('{{ x }}')" in script


# --- what bash makes of the worker lines ----------------------------------------------------------

AWKWARD = [
    "/a b/c",
    "it's",
    'say "hi"',
    "$HOME",
    "`id`",
    "$(id)",
    "a\\b",
    "*",
    "~",
    "",
    "-x",
    "#",
    "a;b",
    "!x",
    "two\nlines",
    "\N{SNOWMAN}",
    "{{ x }}",
    "{1,2}",
]
PRINT = "printf '%s\\0' \"${worker[@]}\"\n"


@pytest.mark.parametrize("word", AWKWARD, ids=repr)
def test_an_argument_reaches_the_worker_as_it_was_written(word: str) -> None:
    lines = worker_lines(["python3", word, "end"], {}, workers_per_element=1)

    ran = bash(render(BARE, directives=[], worker=lines) + PRINT)

    assert ran.stdout.split("\0") == ["python3", word, "end", ""]


@pytest.mark.parametrize("value", AWKWARD, ids=repr)
def test_a_variable_reaches_the_worker_as_it_was_written(value: str) -> None:
    lines = worker_lines([], {"SLURMBAND_DB": value}, workers_per_element=1)

    ran = bash(render(BARE, directives=[], worker=lines) + "bash -c 'printf %s \"$SLURMBAND_DB\"'")

    assert ran.stdout == value


@every_template
def test_several_workers_of_an_element_are_started_by_the_templates_launch(
    template: Template,
) -> None:
    lines = worker_lines(["python3", "my flow.py"], {}, workers_per_element=4)
    script = render(template, directives=[], worker=lines)

    ran = bash(script.replace('exec "${worker[@]}"', PRINT))

    words = ran.stdout.split("\0")[:-1]
    assert words[:2] == ["srun", "--kill-on-bad-exit=0"]
    assert words[-3:] == ["--ntasks=4", "python3", "my flow.py"]


def test_a_template_without_a_launch_gets_plain_srun() -> None:
    lines = worker_lines(["python3"], {}, workers_per_element=2)

    ran = bash(render(BARE, directives=[], worker=lines) + PRINT)

    assert ran.stdout.split("\0")[:-1] == ["srun", "--ntasks=2", "python3"]


@every_template
def test_by_hand_a_template_passes_its_arguments_on_to_the_worker(template: Template) -> None:
    script = template.text.replace('exec "${worker[@]}"', PRINT)

    ran = bash(script, "-s", "my flow.py", "7")

    assert ran.stdout.split("\0")[:-1] == shlex.split("python3 -m slurmband work 'my flow.py' 7")
