"""The other end of `tests.faults.writer`: begins workers, lets them go on, and hears what they say."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.band import ROOT

#: Seconds after which a writer that says nothing hangs.
DEADLINE = 180.0

#: Starts a program, with pipes to it: on this machine, or on a node of a cluster.
Start = Callable[..., "subprocess.Popen[bytes]"]
WRITER = (sys.executable, "-m", "tests.faults.writer")


def here(*words: str) -> "subprocess.Popen[bytes]":
    """Start a program on this machine."""
    pipe = subprocess.PIPE
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, env=clean)


class Hangs(AssertionError):
    """A writer neither said anything nor ended."""


class Talk:
    """A conversation with a program that prints JSON lines and waits for a word after each.

    Parameters
    ----------
    process : Popen
        With pipes.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._rest = b""

    def say(self, word: str) -> dict[str, Any]:
        """Send a word, and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Return the next line."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                raise Hangs(f"nothing was heard for {DEADLINE:g} s")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                raise Hangs(f"it is gone: {self.errors()}")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        words: dict[str, Any] = json.loads(line)
        return words

    def errors(self) -> str:
        """Return the end of what it has written to its standard error so far."""
        assert self.process.stderr is not None
        written = b""
        while select.select([self.process.stderr], [], [], 0)[0]:
            more = os.read(self.process.stderr.fileno(), 1 << 16)
            if not more:
                break
            written += more
        return written.decode()[-3000:]

    def end(self) -> None:
        """End the program."""
        self.process.kill()
        self.process.communicate()


class Warm:
    """Workers that have done their first rounds, one after the other.

    Parameters
    ----------
    start : callable, optional
        Starts the writer's program.
    """

    def __init__(self, start: Start = here) -> None:
        self.talk = Talk(start(*WRITER))
        self.words = self.talk.hear()
        self.database = Path()

    def begin(self, database: Path, tasks: int, *, rounds: int = 2) -> None:
        """Begin a worker, after the one before, and let it do some rounds."""
        while not self.ended:
            self._go("")  # an empty word ends it
        self.database = database
        self._go(f"{database} {tasks}")
        for _ in range(rounds):
            self.go()
        assert self.in_task, f"{self.words} {self.talk.errors()}"

    @property
    def ended(self) -> bool:
        """Whether the worker is no more."""
        return "ended" in self.words

    @property
    def in_task(self) -> bool:
        """Whether the worker waits inside a task."""
        return "task" in self.words

    @property
    def pid(self) -> int:
        """Process id of the worker, in its own node."""
        return int(self.words["pid"])

    def go(self) -> dict[str, Any]:
        """Let the worker go on to where it waits next; return what it says there, or how it ended."""
        assert not self.ended, self.talk.errors()
        return self._go("go")

    def _go(self, word: str) -> dict[str, Any]:
        self.words = self.talk.say(word)
        return self.words

    def open_files(self) -> set[str]:
        """Return what the worker has open of the band, but for its journal."""
        folder, ours = f"/proc/{self.pid}/fd", str(self.database)
        files = {f"{name} {os.readlink(f'{folder}/{name}')}" for name in os.listdir(folder)}
        return {
            name.removesuffix(" (deleted)")
            for name in files
            if ours in name and "journals" not in name
        }

    def end(self) -> None:
        """End all."""
        self.talk.end()
