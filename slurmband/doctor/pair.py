"""Two processes that share a folder, on this machine or on two nodes, and do what they are told."""

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from slurmband.doctor.place import Place
from slurmband.errors import MoveFailed, NoAnswer
from slurmband.slurm import command

#: Seconds for one answer: a move is a few calls to the file server.
ANSWER: Final = 30.0
#: Seconds for both to say hello: Python may start slowly from a busy file server, and srun may wait.
START: Final = 120.0
START_NODES: Final = 180.0
_PARTNER: Final = "slurmband.doctor.partner"


class Pair:
    """Two sides, 0 and 1.

    Parameters
    ----------
    processes : sequence of subprocess.Popen
        The process that carries lines to side 0 and to side 1; twice the same for srun.
    complaints : file
        Where they write what goes wrong.
    start : float
        Seconds for both to say hello.

    Raises
    ------
    NoAnswer
        If one does not.
    """

    def __init__(
        self,
        processes: Sequence["subprocess.Popen[str]"],
        complaints: IO[str],
        *,
        start: float,
    ) -> None:
        self._processes = processes
        self._complaints = complaints
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._kept: dict[int, dict[str, Any]] = {}
        for process in dict.fromkeys(processes):
            threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        hellos = [self._answer(side, start) for side in (0, 1)]
        self.places = [Place.from_json(hello) for hello in hellos]

    @property
    def apart(self) -> bool:
        """Whether the sides are on two machines."""
        return self.places[0].boot != self.places[1].boot

    @property
    def between(self) -> str:
        """Say between whom the trials are, for people."""
        one, other = (place.host for place in self.places)
        return f"{one} and {other}" if one != other else "two processes"

    def ask(self, side: int, move: str, **words: Any) -> Any:
        """Have one side make a move; return what it answers.

        Raises
        ------
        MoveFailed
            If the file system refused.
        NoAnswer
            If nothing came in time.
        """
        self._tell(side, move, words)
        return self._answer(side, ANSWER)

    def both(self, first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]) -> Any:
        """Have both sides make a move at once; return both answers."""
        for side, (move, words) in enumerate((first, second)):
            self._tell(side, move, words)
        answers, failed = [], None
        for side in (0, 1):
            try:
                answers.append(self._answer(side, ANSWER))
            except (
                MoveFailed
            ) as fault:  # hear the other one first, so that its answer is not left over
                failed = fault
        if failed:
            raise failed
        return answers

    def close(self) -> None:
        """End both; one that hangs in the file system is left behind."""
        for process in dict.fromkeys(self._processes):
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
        for process in dict.fromkeys(self._processes):
            try:
                process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=2.0)

    def _tell(self, side: int, move: str, words: dict[str, Any]) -> None:
        stdin = self._processes[side].stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"to": side, "move": move, "with": words}) + "\n")
            stdin.flush()
        except OSError as error:
            raise NoAnswer(self._why(side)) from error

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # a site's prolog may greet, too
                    said = json.loads(line)
                    if isinstance(said, dict) and "from" in said:
                        self._said.put(said)
        self._said.put(None)

    def _answer(self, side: int, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while side not in self._kept:
            try:
                said = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise NoAnswer(f"nothing was heard for {seconds:.0f} s") from None
            if said is None:
                raise NoAnswer(self._why(side))
            self._kept[said["from"]] = said
        answer = self._kept.pop(side)
        if "failed" in answer:
            raise MoveFailed(answer["failed"])
        return answer["said"]

    def _why(self, side: int) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._processes[side].wait(timeout=2.0)
        self._complaints.seek(0)
        lines = [line for line in self._complaints.read().splitlines() if line.strip()]
        return lines[-1] if lines else "it ended, and said nothing"


@contextlib.contextmanager
def two_processes(folder: Path) -> Iterator[Pair]:
    """Start both sides on this machine."""
    with tempfile.TemporaryFile("w+") as complaints:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", _PARTNER, str(folder), str(side)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
            for side in (0, 1)
        ]
        yield from _closing(processes, complaints, START)


@contextlib.contextmanager
def two_nodes(folder: Path) -> Iterator[Pair]:
    """Start the sides on two nodes, by srun: inside a job on two of its nodes, else on two that it gets.

    Raises
    ------
    SlurmMissing
        If there is no srun.
    NoAnswer
        If it did not start both.
    """
    options = ("-N2", "-n2", "--ntasks-per-node=1", "--overlap", "--job-name=slurmband-doctor")
    partner = (sys.executable, "-m", _PARTNER, str(folder))
    with tempfile.TemporaryFile("w+") as complaints:
        srun = command.start(("srun", *options, *partner), stderr=complaints)
        yield from _closing([srun, srun], complaints, START_NODES)


def _closing(
    processes: Sequence["subprocess.Popen[str]"], complaints: IO[str], start: float
) -> Iterator[Pair]:
    try:
        pair = Pair(processes, complaints, start=start)
    except BaseException:
        for process in dict.fromkeys(processes):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5.0)
        raise
    try:
        yield pair
    finally:
        pair.close()
