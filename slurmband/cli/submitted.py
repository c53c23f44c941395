"""What `slurmband submit` prints."""

import sys
import tempfile
from collections.abc import Sequence

from slurmband.cli.common import named, plural
from slurmband.domain.graph import Graph
from slurmband.errors import SlurmRefused
from slurmband.slurm.command import run as run_command
from slurmband.store.registration import Registered
from slurmband.submission.request import Request, new_token
from slurmband.submission.submit import Queued


def registration(graph: Graph, registered: Registered) -> list[str]:
    """Say what the registration did, and what it could not do."""
    notes = [f"{registered.added} of them new"]
    if registered.dropped:
        notes.append(f"{registered.dropped} no longer in it")
    if registered.mended:
        notes.append(f"{registered.mended} to be tried again, since they changed")
    if registered.invalidated:
        notes.append(f"{registered.invalidated} to run again for their fingerprints")
    lines = [f"{plural(len(graph), 'task')} registered, {', '.join(notes)}."]
    if registered.too_late:
        late = named(registered.too_late)
        lines.append(
            f"note: new dependencies of {late} come too late: started or completed before."
        )
    return lines


def show(request: Request, *, test_only: bool) -> None:
    """Print what would be queued, or what sbatch says to it."""
    token = new_token()
    options = request.sbatch_options(request.array, token)
    if not test_only:
        say(f"sbatch --parsable {' '.join(options)} SCRIPT", "with SCRIPT:", "")
        say(request.script(token))
        return
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
        script.write(request.script(token))
        script.flush()
        reply = run_command(["sbatch", "--test-only", *options, script.name])
    say(reply.stdout.strip(), reply.stderr.strip())
    if reply.returncode != 0:
        raise SlurmRefused("sbatch", reply.returncode or 1, reply.stderr)


def report(request: Request, arrays: Sequence[Queued], *, parsable: bool) -> None:
    """Print which arrays are queued."""
    if parsable:
        say(*(str(array.array_job_id) for array in arrays))
        return
    for queued in arrays:
        again = "" if queued.handle is not None else " (found again: an earlier call had queued it)"
        name = f"{queued.array_job_id}_[{queued.array}]"
        say(f"Queued {name} on {request.cluster}: {plural(len(queued.array), 'element')}{again}.")
    say("`slurmband status` says how far it is; `slurmband jobs` what runs where.")


def say(*lines: str) -> None:
    """Print lines, at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()  # before what --wait shows on standard error
