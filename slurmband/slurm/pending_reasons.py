"""SLURM's pending reasons in plain words, each with what to do.

From job_reason_codes.html. Names of limits come in families (who is limited, and in what), so these are
read by their parts. What is not known here is shown as SLURM wrote it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class PendingReason:
    """What a pending reason means.

    Parameters
    ----------
    says : str
        In plain words.
    advice : str
        What to do.
    command : str or None
        ``{job}`` stands for the array.
    waits : bool
        Whether it starts by itself, sooner or later.
    """

    says: str
    advice: str
    command: str | None = None
    waits: bool = True


_WAIT: Final = "wait; `squeue --start` says when SLURM expects it to start"
_SEE: Final = "scontrol show job {job}"
_RESUBMIT: Final = "cancel it, and submit again with other options"
_RELEASE: Final = "scontrol release {job}"
_CANCEL: Final = "scancel {job}"

_KNOWN: Final[Mapping[str, PendingReason]] = MappingProxyType(
    {
        "None": PendingReason("SLURM has not looked at it yet", "wait a minute"),
        "Priority": PendingReason(
            "jobs of higher priority go first",
            f"{_WAIT}, or ask for less: a shorter --time, less --mem",
            "squeue --start -j {job}",
        ),
        "Resources": PendingReason(
            "it is next, and waits until enough nodes are free",
            f"{_WAIT}, or ask for less: a shorter --time, less --mem",
            "squeue --start -j {job}",
        ),
        "JobArrayTaskLimit": PendingReason(
            "as many of its elements run as the array allows itself (the %N of --array)",
            "wait, or allow more at a time; 0 is no limit",
            "scontrol update JobId={job} ArrayTaskThrottle=0",
        ),
        "BeginTime": PendingReason(
            "it is not to start before a time (--begin, or a pause after it was requeued)",
            "wait, or let it start now",
            "scontrol update JobId={job} StartTime=now",
        ),
        "Dependency": PendingReason(
            "it waits for another job (--dependency)",
            "look which one it is",
            _SEE,
        ),
        "DependencyNeverSatisfied": PendingReason(
            "the job that it was to follow did not end as --dependency asks, so it never starts",
            "cancel it, and submit again without that --dependency",
            _CANCEL,
            waits=False,
        ),
        "JobHeldUser": PendingReason(
            "you hold it (`scontrol hold`, or sbatch --hold)", "release it", _RELEASE, waits=False
        ),
        "JobHeldAdmin": PendingReason(
            "an administrator holds it", "ask the administrators of the cluster", waits=False
        ),
        "JobHoldMaxRequeue": PendingReason(
            "it was requeued too often, and is held",
            "look why, then release it",
            _RELEASE,
            waits=False,
        ),
        "launch failed requeued held": PendingReason(
            "a node could not start it, and it is held",
            "release it; if that comes again, tell the administrators",
            _RELEASE,
            waits=False,
        ),
        "ReqNodeNotAvail": PendingReason(
            "the nodes that it needs are down, drained or reserved, perhaps for maintenance",
            "look at the partition; if maintenance comes, a shorter --time may fit in before it",
            "sinfo -R",
        ),
        "Nodes required for job are DOWN": PendingReason(
            "the nodes that it needs are down, drained, or kept for other partitions",
            "look which; or submit to another partition (-p)",
            "sinfo -R",
        ),
        "Reservation": PendingReason(
            "it waits for its reservation to begin", "wait", "scontrol show reservation"
        ),
        "ReservationDeleted": PendingReason(
            "its reservation is gone", "cancel it, and submit without it", _CANCEL, waits=False
        ),
        "PartitionTimeLimit": PendingReason(
            "it asks for more time than its partition gives",
            f"{_RESUBMIT}: a shorter --time, or another partition (-p)",
            "sinfo -o '%P %l'",
            waits=False,
        ),
        "PartitionNodeLimit": PendingReason(
            "it asks for more nodes than its partition gives, or its nodes are down",
            f"{_RESUBMIT}: fewer --nodes, or another partition (-p)",
            "sinfo",
            waits=False,
        ),
        "PartitionConfig": PendingReason(
            "it asks for what no node of its partition has (memory, CPUs, time or features)",
            f"{_RESUBMIT}: ask for less, or another partition (-p)",
            "sinfo -o '%P %l %c %m %f'",
            waits=False,
        ),
        "BadConstraints": PendingReason(
            "no node has what it asks for (--constraint, --mem, --gres ...)",
            f"{_RESUBMIT}: ask for what there is",
            "sinfo -o '%P %l %c %m %f %G'",
            waits=False,
        ),
        "PartitionDown": PendingReason(
            "its partition takes no jobs now", "wait, or submit to another (-p)", "sinfo"
        ),
        "PartitionInactive": PendingReason(
            "its partition is closed", "wait, or submit to another (-p)", "sinfo"
        ),
        "NodeDown": PendingReason(
            "a node that it needs is down", "wait, or ask for others", "sinfo -R"
        ),
        "Licenses": PendingReason(
            "it waits for a licence (--licenses)", "wait", "scontrol show licenses"
        ),
        "DeadLine": PendingReason(
            "it can no longer end before its --deadline", _RESUBMIT, _CANCEL, waits=False
        ),
        "InvalidAccount": PendingReason(
            "its account is not valid", f"{_RESUBMIT}: another --account", _CANCEL, waits=False
        ),
        "AccountNotAllowed": PendingReason(
            "its account may not use this partition",
            f"{_RESUBMIT}: another --account, or another partition (-p)",
            _CANCEL,
            waits=False,
        ),
        "InvalidQOS": PendingReason(
            "its QOS is not valid", f"{_RESUBMIT}: another --qos", _CANCEL, waits=False
        ),
        "QOSNotAllowed": PendingReason(
            "its QOS may not be used here",
            f"{_RESUBMIT}: another --qos, or another partition (-p)",
            _CANCEL,
            waits=False,
        ),
        "Cleaning": PendingReason("its last run is still being cleaned up", "wait"),
        "Prolog": PendingReason("its nodes are being prepared", "wait a minute"),
        "BurstBufferResources": PendingReason("it waits for room in the burst buffer", "wait"),
        "BurstBufferStageIn": PendingReason("its files are being staged in", "wait"),
        "JobLaunchFailure": PendingReason(
            "it could not be started", "look why; if it comes again, tell the administrators", _SEE
        ),
        "SystemFailure": PendingReason(
            "SLURM itself, a node or the file system failed", "tell the administrators", _SEE
        ),
    }
)

#: ``QOSMaxJobsPerUserLimit``, ``AssocGrpCPUMinutesLimit``, ``AssocMaxWallDurationPerJobLimit`` ...
_LIMIT: Final = re.compile(
    r"(?P<who>QOS|Assoc)(?P<scope>Grp|Max|Min)(?P<what>\w*?)"
    r"(?P<per>PerUser|PerAccount|PerJob|PerNode|PU|PA)?(?P<limit>Limit)?"
)
_WHO: Final = {"QOS": "its QOS", "Assoc": "your account"}
_PER: Final = {
    "PerUser": " for each user",
    "PU": " for each user",
    "PerAccount": " for each account",
    "PA": " for each account",
    "PerJob": " for each job",
    "PerNode": " for each node",
}
_WHAT: Final = {
    "Jobs": "running jobs",
    "Submit": "queued jobs",
    "SubmitJob": "queued jobs",
    "SubmitJobs": "queued jobs",
    "Job": "running jobs",
    "Cpu": "CPUs",
    "CPU": "CPUs",
    "CPUMinutes": "CPU minutes",
    "CpuMinutes": "CPU minutes",
    "CPURunMinutes": "CPU minutes of running jobs",
    "Mem": "memory",
    "Memory": "memory",
    "MemMinutes": "memory minutes",
    "Node": "nodes",
    "Nodes": "nodes",
    "GRES": "GPUs and the like (GRES)",
    "Billing": "billing units",
    "BillingMinutes": "billing minutes",
    "Wall": "time in all",
    "WallDuration": "time",
    "Licenses": "licences",
}
#: What is more than a single job may have does not become less by waiting.
_OF_ONE_JOB: Final = ("PerJob", "PerNode")


def explain(reason: str) -> PendingReason | None:
    """Say what a pending reason of SLURM's means; None where it is not known here.

    Parameters
    ----------
    reason : str
        As squeue prints it (``%r``).
    """
    text = reason.strip("() ").replace("_", " ")
    name = re.split(r"[,:(]", text, maxsplit=1)[0].strip()
    limit = _LIMIT.fullmatch(name)
    return _KNOWN.get(name) or (_limit(limit) if limit else None)


def _limit(found: re.Match[str]) -> PendingReason:
    """Put the name of a limit into words."""
    what = _WHAT.get(found["what"], found["what"])
    says = f"{_WHO[found['who']]} is at its limit of {what}{_PER.get(found['per'] or '', '')}"
    if found["scope"] == "Min":
        says = f"it asks for less ({what}) than {_WHO[found['who']]} demands"
    budget = found["scope"] == "Grp" and found["what"].endswith("Minutes")
    one_job = found["per"] in _OF_ONE_JOB or "WallDuration" in found["what"]
    if found["scope"] == "Min" or one_job:
        return PendingReason(says, _RESUBMIT, _CANCEL, waits=False)
    if budget:
        advice = "ask for more, or submit under another --account"
        return PendingReason(f"{says}: it is used up", advice, "sshare -l", waits=False)
    advice = "wait until other jobs end, or cancel some that you do not need"
    return PendingReason(says, advice, "squeue --me")
