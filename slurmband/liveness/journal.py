"""The journal: what an incarnation began and ended, in a file that only it appends to.

Whoever revokes a lost worker's claims reads it, so that work that ended but was not reported in time
is not done again, and what was never begun is not charged.
"""

import json
import os
from pathlib import Path

from slurmband.domain.attempts import Ending, Outcome


class Journal:
    """The file of one incarnation, open for appending.

    Parameters
    ----------
    folder : Path
    worker : int
        Key of the incarnation.
    durable : bool
        Whether each line goes to the file server before the work goes on.
    """

    def __init__(self, folder: Path, worker: int, *, durable: bool) -> None:
        self._durable = durable
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(_file(folder, worker), flags, 0o644)

    def begun(self, attempt: int) -> None:
        """Note that the user's code is about to run."""
        self._append({"begun": attempt})

    def ended(self, attempt: int, ending: Ending) -> None:
        """Note how the user's code ended, before it is reported."""
        self._append(
            {
                "ended": attempt,
                "outcome": ending.outcome,
                "reason": ending.reason,
                "error": ending.error,
            }
        )

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _append(self, line: dict[str, object]) -> None:
        text = (json.dumps(line) + "\n").encode()
        while text:  # a disk that is nearly full may take a part
            text = text[os.write(self._descriptor, text) :]
        if self._durable:
            os.fsync(self._descriptor)


def read(folder: Path, worker: int) -> dict[int, Ending | None]:
    """Read an incarnation's journal: attempt id -> how it ended, None for begun and not ended.

    A line that is cut off, as a crash or a full disk may leave it, says nothing.
    """
    try:
        lines = _file(folder, worker).read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    found: dict[int, Ending | None] = {}
    for line in lines[:-1]:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "begun" in entry:
            found.setdefault(entry["begun"], None)
        else:
            ending = Ending(Outcome(entry["outcome"]), entry["reason"], entry["error"])
            found[entry["ended"]] = ending
    return found


def _file(folder: Path, worker: int) -> Path:
    return folder / f"{worker}.jsonl"
