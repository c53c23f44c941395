"""A `run` that starts nothing: it answers from a list, and keeps what it was asked."""

from collections.abc import Sequence

from slurmband.errors import SlurmMissing
from slurmband.slurm.command import Reply


def says(stdout: str, *, stderr: str = "", returncode: int | None = 0) -> Reply:
    """Make a reply as the command would give it."""
    return Reply(returncode, stdout, stderr)


class FakeRun:
    """Gives each reply in turn, and the last one for ever; no reply: no such command."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.asked: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> Reply:
        self.asked.append(list(arguments))
        if not self._replies:
            raise SlurmMissing(arguments[0])
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
