"""What a site allows, as ``scontrol show config`` says it."""

import re

from slurmband.errors import SlurmMissing
from slurmband.slurm.command import Run, run


def max_array_size(run: Run = run) -> int | None:
    """Return ``MaxArraySize``: one more than the largest array index. None: it cannot be told."""
    try:
        reply = run(["scontrol", "show", "config"])
    except SlurmMissing:
        return None
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", reply.stdout, re.MULTILINE)
    return int(match[1]) if match else None
