"""The ``slurmband`` command: finds the command's file, and turns errors into exit codes."""

import importlib
import logging
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Final, NoReturn

import typer

from slurmband.errors import InvariantBroken, SlurmbandError, UsageError

#: Command -> module; only the one that is called is imported, so that a worker starts fast.
COMMANDS: Final = {
    "submit": "slurmband.cli.submit",
    "work": "slurmband.cli.work",
    "status": "slurmband.cli.status",
    "tasks": "slurmband.cli.tasks",
    "workers": "slurmband.cli.workers",
    "jobs": "slurmband.cli.jobs",
    "where": "slurmband.cli.where",
    "events": "slurmband.cli.events",
    "wait": "slurmband.cli.wait",
    "reap-dead": "slurmband.cli.reap_dead",
    "retry": "slurmband.cli.retry",
    "cancel": "slurmband.cli.cancel",
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


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; from the command line by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _log_to_stderr()
    called = [words[0]] if words and words[0] in COMMANDS else list(COMMANDS)
    try:
        result = build(called)(words or ["--help"], standalone_mode=False)
    except SlurmbandError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has gone; nothing is wrong
        sys.exit(0)
    except Exception as error:
        show = getattr(error, "format_message", None)
        if show is None:
            raise
        command = f" {words[0]}" if words and words[0] in COMMANDS else ""
        _fail(f"{show()} See `slurmband{command} --help`.", UsageError.exit_code)
    sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    advice = " Please report this." if code == InvariantBroken.exit_code else ""
    sys.stderr.write(f"slurmband: {message}{advice}\n")
    sys.exit(code)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger("slurmband")
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
