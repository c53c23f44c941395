"""``slurmband why``: why a task does not run, or why nothing moves."""

import os
import shlex
import shutil
import sys
import textwrap
from typing import Annotated, Any

import typer

from slurmband.cli.common import DEFAULT_DB, Db, Json, open_store, print_json
from slurmband.clock import SystemClock
from slurmband.liveness.inquiry import counted
from slurmband.observe.why.look import why as look


def why(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]",
            help="A task, a worker, or an id of SLURM's: 36_1, 36; none: the whole band.",
            show_default=False,
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """Say why a task does not run, or why nothing moves: the cause, what shows it, and what to do.

    SLURM is asked once at most.
    """
    store, clock = open_store(db), SystemClock()
    found = look(store, name, now=clock.now(), run=counted(store, clock.now))
    for answer in found["answers"]:
        answer["command"] = _with_database(answer["command"], db)
    if as_json:
        print_json(found)
        return
    width = max(60, min(shutil.get_terminal_size().columns, 110))
    blocks = ["\n".join(_lines(answer, width)) for answer in found["answers"]]
    if found["about"] == "band":
        blocks.append("\n".join(_wrapped(_summary(found), width)))
    sys.stdout.write("\n\n".join(blocks) + "\n")


def _lines(answer: dict[str, Any], width: int) -> list[str]:
    """Write an answer: what it is, what shows it, what to do."""
    lines = textwrap.wrap(answer["headline"], width, break_on_hyphens=False, break_long_words=False)
    if sys.stdout.isatty():
        lines = [typer.style(line, bold=True) for line in lines]
    for text in answer["evidence"]:
        lines += _wrapped(text, width, indent="    ")
    if answer["advice"]:
        end = ":" if answer["command"] else "."
        lines += _wrapped(f"What to do: {answer['advice']}{end}", width)
    if answer["command"]:
        lines.append(f"    {answer['command']}")
    return lines


def _wrapped(text: str, width: int, *, indent: str = "") -> list[str]:
    if len(text.split()) <= 2:  # a file stays on its line, however long
        return [indent + text]
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _summary(found: dict[str, Any]) -> str:
    tasks = ", ".join(f"{n} {state}" for state, n in found["tasks"].items()) or "none"
    workers = found["workers"]
    last = f"; last event {found['last_event']}" if found["last_event"] else ""
    return f"tasks: {tasks}; workers: {workers['alive']} alive, {workers['busy']} busy{last}"


def _with_database(command: str | None, db: str) -> str | None:
    """Let a command be about the same database, where that is not the one it takes by itself."""
    if command is None or not command.startswith("slurmband "):
        return command
    if db == os.environ.get("SLURMBAND_DB", DEFAULT_DB):
        return command
    _, name, *rest = command.split(" ", 2)
    return " ".join(["slurmband", name, "--db", shlex.quote(db), *rest])


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(why)
