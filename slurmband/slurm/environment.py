"""What SLURM's environment variables say about the place a worker runs in."""

from collections.abc import Mapping
from typing import Final

from slurmband.domain.workers import Element

#: Set by the submitted script: the token of its submission.
SUBMISSION: Final = "SLURMBAND_SUBMISSION"
#: Set by the submitted script: the template that it was made from, for who submits the like again.
TEMPLATE: Final = "SLURMBAND_MADE_FROM"
#: Set by the submitted script where the array is to continue itself.
UNTIL_DONE: Final = "SLURMBAND_UNTIL_DONE"
#: Set by the submitted script when one srun starts several workers in an element.
WORKERS_PER_ELEMENT: Final = "SLURMBAND_WORKERS_PER_ELEMENT"


def element_from(environ: Mapping[str, str]) -> Element | None:
    """Read the element from the environment; None outside SLURM.

    Parameters
    ----------
    environ : mapping of str to str

    Notes
    -----
    The variables are those of sbatch(1), section OUTPUT ENVIRONMENT VARIABLES, and of srun(1). A
    rank counts only where the script asked for several workers per element: inside ``salloc`` or a
    plain batch job ``SLURM_PROCID`` is 0 for everybody.
    """
    job_id = _number(environ, "SLURM_JOB_ID")
    if job_id is None:
        return None
    several = (_number(environ, WORKERS_PER_ELEMENT) or 1) > 1
    return Element(
        cluster=environ.get("SLURM_CLUSTER_NAME", ""),
        array_job_id=_number(environ, "SLURM_ARRAY_JOB_ID"),
        array_task_id=_number(environ, "SLURM_ARRAY_TASK_ID"),
        job_id=job_id,
        restarts=_number(environ, "SLURM_RESTART_COUNT") or 0,
        step=_number(environ, "SLURM_STEP_ID") if several else None,
        rank=_number(environ, "SLURM_PROCID") if several else None,
        submission=environ.get(SUBMISSION) or None,
        node=environ.get("SLURMD_NODENAME") or None,
    )


def nodes_of_job(environ: Mapping[str, str]) -> int:
    """Return how many nodes the job has that this process is in; 0 outside SLURM."""
    if _number(environ, "SLURM_JOB_ID") is None:
        return 0
    return _number(environ, "SLURM_JOB_NUM_NODES") or _number(environ, "SLURM_NNODES") or 1


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    return int(text) if text.isdecimal() else None
