"""One array, ready to be queued: from a request, or as an earlier array was queued."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from slurmband.domain.workers import LOCAL_CLUSTER
from slurmband.slurm.arrays import ArraySpec, parse
from slurmband.slurm.environment import WORKERS_PER_ELEMENT
from slurmband.slurm.options import CommandLine
from slurmband.slurm.script import exports
from slurmband.slurm.times import seconds
from slurmband.submission.request import Cluster, Request, new_token


@dataclass(frozen=True, slots=True)
class Order:
    """What is written down of an array before it is queued, and what it is queued with.

    Parameters
    ----------
    token : str
        Name of the submission; also in the job's comment, and in the script.
    cluster : str
    array : ArraySpec
    command : sequence of str
        What an element runs.
    directory : str
        Where.
    script : str
    options : sequence of str
        sbatch's.
    log : str or None
        File name pattern of the elements' logs.
    workers_per_element : int
    """

    token: str
    cluster: str
    array: ArraySpec
    command: Sequence[str]
    directory: str
    script: str
    options: Sequence[str]
    log: str | None
    workers_per_element: int = 1

    @classmethod
    def of(cls, request: Request, array: ArraySpec) -> Self:
        """Make the order of one array of a request."""
        token = new_token()
        return cls(
            token,
            LOCAL_CLUSTER if request.cluster is Cluster.LOCAL else request.cluster,
            array,
            request.worker_command,
            str(request.directory),
            request.script(token),
            request.sbatch_options(array, token),
            request.log,
            request.workers_per_element,
        )

    @classmethod
    def again(cls, row: Mapping[str, Any]) -> Self:
        """Make the order of an array like an earlier one.

        Parameters
        ----------
        row : mapping
            A row of the table ``submissions``.
        """
        token = new_token()
        options = [word.replace(row["token"], token) for word in json.loads(row["options"])]
        return cls(
            token,
            row["cluster"],
            parse(row["array"]),
            json.loads(row["command"]),
            row["directory"],
            row["script"].replace(row["token"], token),
            options,
            row["log"],
            int(exports(row["script"]).get(WORKERS_PER_ELEMENT, 1)),
        )

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, without SLURM."""
        return self.cluster == LOCAL_CLUSTER

    @property
    def array_text(self) -> str:
        """The array as SLURM writes it: a lone number is an index, not a count."""
        only = self.array.indices[0]
        return f"{self.array}" if len(self.array) > 1 else f"{only}-{only}"

    @property
    def time_limit(self) -> float | None:
        """How long an element may run, in seconds."""
        return seconds(CommandLine(sbatch=list(self.options)).sbatch_value("time") or "")
