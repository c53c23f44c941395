"""Run large task graphs in SLURM job arrays, coordinated by one SQLite file.

Examples
--------
>>> from slurmband import Graphband, Task
>>> graph = [Task("bake"), Task("serve", dependencies={"bake"})]
>>> [task.id for task in Graphband(graph, disabled=True)]
['bake', 'serve']
"""

from slurmband.domain.task import Task
from slurmband.errors import (
    BandStopped,
    ClaimLost,
    EnvironmentFault,
    GraphError,
    LockLost,
    LockTimeout,
    SlurmbandError,
    UsageError,
)
from slurmband.graphband.band import Graphband
from slurmband.graphband.items import Laufband

__all__ = [
    "BandStopped",
    "ClaimLost",
    "EnvironmentFault",
    "GraphError",
    "Graphband",
    "Laufband",
    "LockLost",
    "LockTimeout",
    "SlurmbandError",
    "Task",
    "UsageError",
]
