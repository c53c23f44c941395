"""``slurmband work``: what an array element runs."""

from typing import Annotated

import typer

from slurmband.cli.common import log_more
from slurmband.errors import TasksFailed


def work(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="WORKFLOW", help="Python file with tasks() and run(task).")
    ],
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            envvar="SLURMBAND_DB",
            metavar="FILE",
            help="The band's database; made where there is none.  [default: slurmband.sqlite]",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(envvar="SLURMBAND_LABELS", help="What this worker offers: gpu,bigmem."),
    ] = None,
    wait: Annotated[
        bool, typer.Option(help="Stay until nothing is left that this worker could ever run.")
    ] = True,
    growing: Annotated[
        bool,
        typer.Option(
            "--growing",
            envvar="SLURMBAND_GROWING",
            help="Read tasks() as the work goes on, not whole before it.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 69 if a task of the band ended badly.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Log warnings only, not each task.")
    ] = False,
) -> None:
    """Work on a band: claim tasks, run them, report, until nothing is left.

    What comes after WORKFLOW are its own arguments. Other options come as SLURMBAND_... variables.
    """
    from slurmband.graphband.band import Graphband
    from slurmband.graphband.program import load

    log_more(verbose=not quiet)
    program = load(file, context.args)
    band = Graphband(
        program.source if growing else program.graph(),
        db=db,
        labels=labels and labels.replace(",", " ").split(),
        growing=growing,
    )
    band.take_interrupts()
    found = band.run(program.run, wait=wait)
    if strict and found.completed < found.total:
        raise TasksFailed(
            f"{found.total - found.completed} of {found.total} tasks have not completed. "
            "`slurmband tasks` says why."
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
