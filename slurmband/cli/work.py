"""``slurmband work``, as typer knows it; what it does is in `slurmband.cli.worker`."""

from typing import Annotated, Any

import typer

from slurmband.cli.worker import OPTIONS, work_on


def _option(name: str) -> Any:
    known = OPTIONS[name]
    return typer.Option(*known.flags, envvar=known.envvar, metavar=known.metavar, help=known.help)


def work(
    context: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKFLOW", help="Python file with tasks() and run(task).", show_default=False
        ),
    ] = None,
    db: Annotated[str | None, _option("db")] = OPTIONS["db"].default,
    labels: Annotated[str | None, _option("labels")] = OPTIONS["labels"].default,
    commands: Annotated[str | None, _option("commands")] = OPTIONS["commands"].default,
    wait: Annotated[bool, _option("wait")] = OPTIONS["wait"].default,
    growing: Annotated[bool, _option("growing")] = OPTIONS["growing"].default,
    strict: Annotated[bool, _option("strict")] = OPTIONS["strict"].default,
    quiet: Annotated[bool, _option("quiet")] = OPTIONS["quiet"].default,
) -> None:
    """Work on a band: claim tasks, run them, report, until nothing is left.

    What comes after WORKFLOW are its own arguments. Other options come as SLURMBAND_... variables.
    """
    work_on(
        file,
        context.args,
        db=db,
        labels=labels,
        commands=commands,
        wait=wait,
        growing=growing,
        strict=strict,
        quiet=quiet,
    )


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "allow_interspersed_args": False,
        }
    )(work)
