"""The ``slurmband`` command: runs what was asked for, and turns errors into exit codes."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from slurmband.cli import worker
from slurmband.cli.log import log_to_stderr
from slurmband.errors import InvariantBroken, SlurmbandError, UsageError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; from the command line by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    log_to_stderr()
    try:
        result = _run(words)
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
        from slurmband.cli.app import COMMANDS

        command = f" {words[0]}" if words and words[0] in COMMANDS else ""
        _fail(f"{show()} See `slurmband{command} --help`.", UsageError.exit_code)
    sys.exit(result if isinstance(result, int) else 0)


def _run(words: Sequence[str]) -> object:
    """Run a command: a worker at once if that can be, since many start together, else by typer."""
    asked = worker.read(words[1:], os.environ) if words[:1] == ["work"] else None
    if asked is not None:
        worker.work_on(**asked)
        return None
    from slurmband.cli.app import COMMANDS, build

    called = [words[0]] if words and words[0] in COMMANDS else list(COMMANDS)
    return build(called)(list(words) or ["--help"], standalone_mode=False)


def _fail(message: str, code: int) -> NoReturn:
    advice = " Please report this." if code == InvariantBroken.exit_code else ""
    sys.stderr.write(f"slurmband: {message}{advice}\n")
    sys.exit(code)
