"""What a rendered job script sets for its workers, read back from its text."""

import re
import shlex

_EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)


def exports(script: str) -> dict[str, str]:
    """Return variable -> value, of the lines that `slurmband.slurm.templates.worker_lines` wrote."""
    found = {}
    for name, quoted in _EXPORT.findall(script):
        try:
            words = shlex.split(quoted)
        except ValueError:  # a line of the template's own, in more shell than this
            continue
        found[name] = words[0] if words else ""
    return found


def labels(script: str) -> frozenset[str]:
    """Return what the workers of a script offer."""
    return frozenset(exports(script).get("SLURMBAND_LABELS", "").replace(",", " ").split())
