"""``slurmband scale``: how many elements of an array may run at a time."""

import sys
from typing import Annotated

import typer

from slurmband.cli.common import plural
from slurmband.errors import SlurmRefused
from slurmband.slurm.command import run


def scale(
    job: Annotated[int, typer.Argument(metavar="ARRAY", help="The array's id: 36.")],
    workers: Annotated[
        int, typer.Argument(metavar="N", min=0, help="Elements at a time; 0: no limit.")
    ],
) -> None:
    """Change how many elements of a queued array may run at a time, as --array 0-99%N does.

    Those that run go on; `slurmband stop 36_7` lets one leave.
    """
    reply = run(["scontrol", "update", f"JobId={job}", f"ArrayTaskThrottle={workers}"])
    if reply.returncode != 0:
        advice = (
            "`slurmband jobs` lists the arrays of this band, `squeue --me` those that are queued."
        )
        raise SlurmRefused("scontrol", reply.returncode or 1, reply.stderr, advice=advice)
    may = f"{plural(workers, 'element')} at a time" if workers else "all elements at once"
    sys.stdout.write(f"Of array {job}, {may} may run.\n")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(scale)
