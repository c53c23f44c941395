"""Which part of its worker's logs belongs to an attempt, as the worker's journal has it."""

from dataclasses import dataclass, field
from pathlib import Path

from slurmband.liveness.journal import entries
from slurmband.liveness.output import STREAMS


@dataclass(slots=True)
class Part:
    """What one attempt added to one log.

    Parameters
    ----------
    stream : str
        A key of `STREAMS`. Where both go to one file, that is ``out``.
    log : str
        Path, as the worker saw it.
    begin : int
        Bytes in the file when the attempt began.
    end : int or None
        And when it ended; None where that is not written down: the attempt has not ended, its worker
        died in it, or the stream went elsewhere meanwhile.
    """

    stream: str
    log: str
    begin: int
    end: int | None = None


@dataclass(slots=True)
class Told:
    """What a journal says of one attempt.

    Parameters
    ----------
    parts : list of Part
        Empty where its output went to no file, or nobody noted where.
    ended : bool
    """

    parts: list[Part] = field(default_factory=list)
    ended: bool = False


def read(folder: Path, worker: int) -> dict[int, Told]:
    """Read an incarnation's journal: attempt id -> what it says of it, in the order of beginning.

    Lines may be there twice: then the first one counts.
    """
    found: dict[int, Told] = {}
    logs: dict[str, str] = {}
    for entry in entries(folder, worker):
        logs = entry.get("logs", logs)
        sizes = {logs[stream]: entry[stream] for stream in STREAMS if stream in {*entry} & {*logs}}
        if "begun" in entry:
            parts = [Part(stream, log, sizes[log]) for stream, log in logs.items() if log in sizes]
            found.setdefault(entry["begun"], Told(parts))
            continue
        told = found.setdefault(entry["ended"], Told())
        for part in told.parts if not told.ended else ():
            part.end = sizes.get(part.log)
        told.ended = True
    return found


def logs_of(folder: Path, worker: int) -> list[str]:
    """Return every log that an incarnation is known to have written to, the oldest first."""
    logs = (log for told in entries(folder, worker) for log in told.get("logs", {}).values())
    return list(dict.fromkeys(logs))
