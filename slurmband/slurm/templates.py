"""The sbatch templates: complete job scripts, valid as they stand; rendering only adds lines.

A template is a Jinja2 text with two placeholders, each after ``# `` on a line of its own:
``{{ directives }}`` among the #SBATCH lines, and ``{{ worker }}`` before the line that starts the
worker. Only ``{{ … }}`` means anything: bash's own braces and hashes are left alone.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
import jinja2.meta

from slurmband.errors import UsageError

_PACKAGE: Final = Path(__file__).resolve().parent.parent
#: In an installed package; in a checkout.
_FOLDERS: Final = (_PACKAGE / "sbatch_templates", _PACKAGE.parent / "sbatch_templates")
_PLACEHOLDERS: Final = frozenset({"directives", "worker"})


@dataclass(frozen=True, slots=True)
class Template:
    """A job script to be filled in.

    Parameters
    ----------
    name : str
    text : str
    """

    name: str
    text: str

    @property
    def summary(self) -> str:
        """Its first comment."""
        comments = [line for line in self.text.splitlines() if line.startswith("# ")]
        return comments[0].removeprefix("# ") if comments else ""


def shipped() -> list[Template]:
    """Return the templates that come with slurmband, by name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    files = sorted(folder.glob("*.sh")) if folder else []
    return [Template(file.stem, file.read_text()) for file in files]


def find(name: str) -> Template:
    """Return a template by its name, or by its path.

    Raises
    ------
    UsageError
        If there is none.
    """
    for template in shipped():
        if template.name == name:
            return template
    path = Path(name)
    if path.is_file():
        return Template(name, path.read_text())
    names = ", ".join(template.name for template in shipped())
    raise UsageError(f"no template {name!r}: give a path, or one of {names}.")


def render(template: Template, *, directives: Sequence[str], worker: Sequence[str]) -> str:
    """Fill in a template.

    Parameters
    ----------
    template : Template
    directives : sequence of str
        Lines to stand among the template's own #SBATCH lines.
    worker : sequence of str
        Lines of shell to stand before the worker starts.

    Raises
    ------
    UsageError
        If the template lacks a placeholder, has an unknown one, or cannot be read.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # a shell script, not HTML
        # ${#array[@]} and the like must not look like a comment or a block.
        block_start_string="{%%%",
        block_end_string="%%%}",
        comment_start_string="{###",
        comment_end_string="###}",
    )
    try:
        found = jinja2.meta.find_undeclared_variables(environment.parse(template.text))
        unknown, missing = found - _PLACEHOLDERS, _PLACEHOLDERS - found
        odd = unknown or missing
        if odd:
            what = "has an unknown" if unknown else "lacks"
            raise UsageError(
                f"template {template.name} {what} {{{{ {sorted(odd)[0]} }}}}: a template has the lines "
                "`# {{ directives }}` and `# {{ worker }}`. See `slurmband templates show cpu`."
            )
        return environment.from_string(template.text).render(
            directives="\n".join(["added by slurmband submit", *directives]),
            worker="\n".join(["added by slurmband submit", *worker]),
        )
    except jinja2.TemplateError as error:
        raise UsageError(f"template {template.name} cannot be read: {error}.") from error


def worker_lines(
    command: Sequence[str], variables: Mapping[str, str], *, workers_per_element: int
) -> list[str]:
    """Write the shell lines that say what an element runs.

    Parameters
    ----------
    command : sequence of str
        The worker's command line.
    variables : mapping of str to str
        Exported here and not through sbatch, since ``--export=NONE`` drops the environment.
    workers_per_element : int
        Above 1, the template's ``launch`` (an srun) starts so many.
    """
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    launch = f'"${{launch[@]:-srun}}" --ntasks={workers_per_element} '
    start = launch if workers_per_element > 1 else ""
    return [*lines, f"worker=({start}{shlex.join(command)})"]
