"""What several commands share: the options that name the database and choose the output."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from slurmband.graphband.options import DEFAULT_DATABASE, resolve
from slurmband.observe.words import named as named  # for the commands
from slurmband.observe.words import plural as plural
from slurmband.store.database import Store

#: Seconds that a command at the terminal waits for the database's lock before it says who holds it:
#: so much longer than a lock of which nothing is heard is waited for.
LONGER_THAN_PATIENCE = 30.0

#: What may be written wherever something is to be found by its name, beside a task's id.
WORDS: Final = "workers, nodes or SLURM's ids: 36, 36_1, 36_[1-3,7], raw ids"

Db = Annotated[
    str,
    typer.Option(
        "--db",
        envvar="SLURMBAND_DB",
        metavar="FILE",
        help="The band's database: a path or a SQLite URL.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Format = Annotated[
    str, typer.Option("--format", metavar="NAME", help="Any table format of tabulate.")
]
Only = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...",
        help=f"Only these: tasks, and {WORDS}.",
        show_default=False,
    ),
]
DEFAULT_DB = DEFAULT_DATABASE
DEFAULT_FORMAT = "simple"


def open_store(database: str) -> Store:
    """Open an existing database, for a command that a person waits for."""
    return make_store(database, create=False)


def make_store(database: str, *, mode: str | None = None, create: bool = True) -> Store:
    """Open a database, and make it where there is none."""
    patience = resolve({}).lock_patience
    return Store(
        database,
        mode=mode,
        create=create,
        lock_timeout=patience + LONGER_THAN_PATIENCE,
        lock_patience=patience,
    )


#: How much of a list is shown in a table: a worker may hold a hundred short tasks.
IN_A_CELL: Final = 4


def show(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool, table_format: str
) -> None:
    """Print a listing: all of it as JSON, or `columns` of it as a table.

    Parameters
    ----------
    rows : sequence of dict
    columns : sequence of str
        Keys to show in the table, in this order.
    as_json : bool
    table_format : str
        Of tabulate.
    """
    if as_json:
        print_json(rows)
        return
    from tabulate import tabulate, tabulate_formats

    if table_format not in tabulate_formats:
        from slurmband.errors import UsageError

        raise UsageError(f"no format {table_format!r}: one of {', '.join(tabulate_formats)}.")
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    sys.stdout.write(
        tabulate(cells, headers=list(columns), tablefmt=table_format, disable_numparse=True) + "\n"
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        more = f" and {len(value) - IN_A_CELL} more" if len(value) > IN_A_CELL else ""
        return ", ".join(map(str, value[:IN_A_CELL])) + more or "-"
    return str(value)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
