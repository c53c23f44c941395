"""Which process is which, across reboots, containers and reused pids.

A pid alone names nothing for long. Boot id, pid namespace, pid and raw start time together name one
process of one machine for ever, and only with all four can anybody *prove* that it is gone.
"""

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """The name of one process, for ever.

    Parameters
    ----------
    host : str
        Node name, for people.
    boot_id : str
        ``/proc/sys/kernel/random/boot_id``; empty where unreadable.
    pid_namespace : str
        What ``/proc/self/ns/pid`` links to; empty where unreadable.
    pid : int
        Process id inside that namespace.
    start_ticks : int
        Field 22 of ``/proc/PID/stat``: clock ticks from boot to the start of the process.
    """

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int


class Fate(enum.Enum):
    """What can be said of a process from here."""

    ALIVE = "alive"
    STOPPED = "stopped"  #: SIGSTOP, a debugger, or a batch system that suspends
    GONE = "gone"  #: proven
    UNKNOWN = "unknown"  #: another machine, another namespace, or /proc does not say
