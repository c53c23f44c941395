"""``slurmband doctor``: look whether a band is safe in a directory, and what to do."""

import os
import shutil
import signal
import sys
import textwrap
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, NoReturn

import typer

from slurmband.cli.common import DEFAULT_DB, DEFAULT_FORMAT, Db, Format, Json, print_json
from slurmband.cli.restore import bring_back
from slurmband.doctor.examination import Examination
from slurmband.doctor.findings import Finding, Level
from slurmband.errors import NotSafe, UsageError
from slurmband.slurm.environment import nodes_of_job
from slurmband.store.file import path_of
from slurmband.store.layout import Layout

_COLOURS: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
#: Columns of the level and of the name.
_LEVEL, _NAME = 9, 18


def doctor(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR|BACKUP]",
            help="The directory, by default where --db is; with --restore, the backup.",
            show_default=False,
        ),
    ] = None,
    nodes: Annotated[
        bool,
        typer.Option(
            "--nodes",
            help="Try between two nodes, by srun; in a job with several, this is done anyhow.",
        ),
    ] = False,
    mode: Annotated[
        str | None,
        typer.Option(
            envvar="SLURMBAND_MODE",
            metavar="MODE",
            help="local or shared, if you mean to force it; else found from the file system.",
            show_default=False,
        ),
    ] = None,
    restore: Annotated[
        bool,
        typer.Option(
            "--restore", help="Bring back a backup of the database; without a name, list them."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Restore although workers may be alive.")
    ] = False,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    table_format: Format = DEFAULT_FORMAT,
) -> None:
    """Look whether a band is safe in a directory: the file system, the machine, the database.

    Tries between two processes what slurmband rests on: links, locks, and that one sees what the other
    wrote. Takes some seconds, writes only into a folder of its own, and removes that. Run it where your
    jobs run. Ends with 73 if a band is not safe there.

    With --restore, a backup takes the place of the database, which is kept. What happened after the
    backup was taken is forgotten, and done again.
    """
    if restore:
        bring_back(path_of(db), directory, force=force, as_json=as_json, table_format=table_format)
        return
    _end_orderly()
    examination = Examination(_layout(directory, db), mode)
    found = examination.run(nodes=nodes or nodes_of_job(os.environ) > 1, say=_say)
    if as_json:
        print_json(_report(examination, list(found)))
    else:
        sys.stdout.write(f"{examination.directory}\n\n")
        for finding in found:
            _clear()
            typer.echo(_shown(finding))
        _clear()
        sys.stdout.write(f"\nverdict: {examination.verdict}\n")
    if not examination.safe:
        raise NotSafe(str(examination.directory))


def _layout(directory: Path | None, db: str) -> Layout:
    database = path_of(db)
    if directory is not None:
        database = directory.expanduser().absolute() / database.name
    if not database.parent.is_dir():
        raise UsageError(f"there is no directory {database.parent}: name one that there is.")
    return Layout(database)


def _report(examination: Examination, found: list[Finding]) -> dict[str, Any]:
    _clear()
    database = examination.layout.database
    return {
        "directory": str(examination.directory),
        "database": str(database) if database.exists() else None,
        "mode": examination.mode,
        "safe": examination.safe,
        "verdict": examination.verdict,
        "findings": [
            {
                "name": finding.name,
                "level": finding.level,
                "found": finding.found,
                "advice": finding.advice or None,
            }
            for finding in found
        ],
    }


def _shown(finding: Finding) -> str:
    """Write a finding as a line, and what to do on the next ones."""
    width = max(60, min(shutil.get_terminal_size().columns, 110))
    indent = " " * (_LEVEL + _NAME)
    level = typer.style(f"{finding.level:<{_LEVEL}}", fg=_COLOURS.get(finding.level))
    wrapped = textwrap.wrap(finding.found, width - len(indent))
    if finding.advice:
        wrapped += textwrap.wrap(
            f"-> {finding.advice}", width - len(indent), subsequent_indent="   "
        )
    return level + f"{finding.name:<{_NAME}}" + f"\n{indent}".join(wrapped)


def _say(doing: str) -> None:
    """Tell what is being done, on one line that is written over."""
    if sys.stderr.isatty():
        _clear()
        sys.stderr.write(f"{doing} ...")
        sys.stderr.flush()


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def _end_orderly() -> None:
    """Let what ends this command still remove its folder."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)
