"""The command line as typer knows it: one application, and a module per command."""

import importlib
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Final

import typer

#: Command -> module; only the one that is called is imported.
COMMANDS: Final = {
    "submit": "slurmband.cli.submit",
    "work": "slurmband.cli.work",
    "status": "slurmband.cli.status",
    "tasks": "slurmband.cli.tasks",
    "workers": "slurmband.cli.workers",
    "jobs": "slurmband.cli.jobs",
    "where": "slurmband.cli.where",
    "why": "slurmband.cli.why",
    "logs": "slurmband.cli.logs",
    "events": "slurmband.cli.events",
    "wait": "slurmband.cli.wait",
    "reap-dead": "slurmband.cli.reap_dead",
    "retry": "slurmband.cli.retry",
    "cancel": "slurmband.cli.cancel",
    "recover": "slurmband.cli.recover",
    "stop": "slurmband.cli.stop",
    "scale": "slurmband.cli.scale",
    "prune": "slurmband.cli.prune",
    "doctor": "slurmband.cli.doctor",
    "templates": "slurmband.cli.templates",
}


def build(names: Sequence[str] = tuple(COMMANDS)) -> typer.Typer:
    """Make the application with the named commands.

    Parameters
    ----------
    names : sequence of str
        Keys of `COMMANDS`; by default all.
    """
    app = typer.Typer(
        name="slurmband",
        help="Run large task graphs in SLURM job arrays, coordinated by one SQLite file.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in names:
        importlib.import_module(COMMANDS[name]).add_to(app)
    return app


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Run large task graphs in SLURM job arrays, coordinated by one SQLite file."""
    if version:
        sys.stdout.write(f"{metadata.version('slurmband')}\n")
        raise typer.Exit
