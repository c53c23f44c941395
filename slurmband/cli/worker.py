"""What an array element runs, and a reader of its command line that starts fast.

A hundred workers start at once, and typer takes each of them a tenth of a second. So the options of
``slurmband work`` stand here as plain values: `slurmband.cli.work` hands them to typer, and `read`
understands command lines that are right. What it does not understand (``--help``, a mistake) it leaves
to typer, which says what is to be said.
"""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slurmband.cli.log import log_more
from slurmband.errors import TasksFailed


@dataclass(frozen=True, slots=True)
class Option:
    """An option of ``slurmband work``.

    Parameters
    ----------
    flags : tuple of str
        As typer has them: ``--wait/--no-wait`` is a flag that can be said either way.
    default : Any
        A bool makes it a flag; any other option takes a value.
    help : str
    envvar, metavar : str or None
    """

    flags: tuple[str, ...]
    default: Any
    help: str
    envvar: str | None = None
    metavar: str | None = None

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return isinstance(self.default, bool)


#: Parameter of `work_on` -> the option that sets it.
OPTIONS: Final = {
    "db": Option(
        ("--db",),
        None,
        "The band's database; made where there is none.  [default: slurmband.sqlite]",
        envvar="SLURMBAND_DB",
        metavar="FILE",
    ),
    "labels": Option(
        ("--labels",), None, "What this worker offers: gpu,bigmem.", envvar="SLURMBAND_LABELS"
    ),
    "commands": Option(
        ("--commands",),
        None,
        "Run the commands in FILE, one a line, instead of a workflow.",
        metavar="FILE",
    ),
    "wait": Option(
        ("--wait/--no-wait",), True, "Stay until nothing is left that this worker could ever run."
    ),
    "growing": Option(
        ("--growing",),
        False,
        "Read tasks() as the work goes on, not whole before it.",
        envvar="SLURMBAND_GROWING",
    ),
    "strict": Option(("--strict",), False, "Exit with 69 if a task of the band ended badly."),
    "quiet": Option(("--quiet", "-q"), False, "Log warnings only, not each task."),
}


def read(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Read what comes after ``slurmband work``.

    Parameters
    ----------
    words : sequence of str
    environ : mapping of str to str

    Returns
    -------
    dict or None
        Arguments of `work_on`; None where typer is to look at it.
    """
    asked = _from_environment(environ)
    rest = iter(words)
    for word in rest:
        if asked is None or not word:
            return None
        if not word.startswith("-"):
            return asked | {"file": word, "arguments": list(rest)}
        flag, equals, value = word.partition("=")
        name, says = _FLAGS.get(flag, (None, None))
        if says is None:
            value = value if equals else next(rest, "")
        if name is None or (equals if says is not None else value[:1] in ("", "-")):
            return None
        asked[name] = value if says is None else says
    if asked is None or asked["commands"] is None:
        return None
    return asked | {"file": None, "arguments": []}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what holds where the command line says nothing; None where typer is to look at it."""
    found: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        given: Any = environ.get(option.envvar or "") or None
        if given is not None and option.is_flag:
            given = _SAYS.get(given)
            if given is None:
                return None
        found[name] = option.default if given is None else given
    return found


def _flags() -> dict[str, tuple[str, bool | None]]:
    found: dict[str, tuple[str, bool | None]] = {}
    for name, option in OPTIONS.items():
        for flag in option.flags:
            yes, _, no = flag.partition("/")
            found[yes] = (name, True if option.is_flag else None)
            if no:
                found[no] = (name, False)
    return found


#: Flag -> the parameter that it sets, and to what; None: to the value that comes with it.
_FLAGS: Final = _flags()
#: What an environment variable may say of a flag, beside what only typer understands.
_SAYS: Final = {"1": True, "0": False}


def work_on(
    file: str | None,
    arguments: Sequence[str],
    *,
    db: str | None,
    labels: str | None,
    commands: str | None,
    wait: bool,
    growing: bool,
    strict: bool,
    quiet: bool,
) -> None:
    """Work on a band until nothing is left.

    Parameters
    ----------
    file : str or None
        The workflow file; None where there is a list of commands.
    arguments : sequence of str
        Of the workflow file's own.
    db, labels, commands, wait, growing, strict, quiet
        See `OPTIONS`.

    Raises
    ------
    UsageError
        If there is not one thing to run.
    TasksFailed
        If `strict` and a task has not completed.
    """
    from slurmband.graphband.band import Graphband
    from slurmband.graphband.work import find

    log_more(verbose=not quiet)
    work = find(file, arguments, commands=commands, growing=growing)
    band: Graphband[Any] = Graphband(
        work.source if growing else work.graph(),
        db=db,
        labels=labels and labels.replace(",", " ").split(),
        growing=growing,
    )
    band.take_interrupts()
    band.show_title()
    gc.freeze()  # what is imported stays, and need not be looked through again and again
    with work.running(band) as run:
        found = band.run(run, wait=wait)
    if strict and found.completed < found.total:
        raise TasksFailed(
            f"{found.total - found.completed} of {found.total} tasks have not completed. "
            "`slurmband tasks` says why."
        )
