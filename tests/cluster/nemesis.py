"""The nemesis: does one bad thing at a time to a running band, at random, with room to recover between.

Where work stands it reads from the workers' own files. What it did, and when, is in `acts`; the seed
decides kind and target, as far as the same workers are there again.
"""

import os
import random
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.cluster.ground import Ground


class Fault(StrEnum):
    """What it can do."""

    KILL_WORKER = "kill a worker"
    FREEZE_WORKER = "freeze a worker"
    KILL_NODE = "kill a node"
    FREEZE_NODE = "freeze a node"
    CUT_NODE = "cut a node off"
    RESTART_SERVER = "restart the file server"


#: Those that need a file server and a network.
OF_THE_NETWORK: Final = frozenset({Fault.CUT_NODE, Fault.RESTART_SERVER})
CUT_FOR: Final = 20.0
#: Seconds for which to look out for one who is about to report.
WAIT_FOR_A_REPORT: Final = 5.0
#: Seconds for which to wait for a loss: who looks late, as on a busy machine, begins to watch anew.
WAIT_FOR_A_LOSS: Final = 90.0
#: Seconds without any progress after which a band is held not to recover.
HOPELESS: Final = 180.0


class NoProgress(Exception):
    """Nothing was recorded any more, for very long."""


class BandOver(Exception):
    """There is nobody left to do anything to."""


@dataclass(frozen=True, slots=True)
class Act:
    """What was done: when, to whom, for how long, and how long until work was recorded again (s)."""

    at: float
    fault: Fault
    target: str
    lasted: float
    recovered_after: float


class Watch:
    """The workers' own files and their beats, as the observer of a run sees them."""

    def __init__(self, witness: Path, beats: Path) -> None:
        self._witness = witness
        self._beats = beats

    def recorded(self) -> int:
        """Count the rounds in which workers were told that their report is recorded."""
        files = self._witness.glob("*.jsonl")
        return sum(len(re.findall(rb'"recorded": \{"', file.read_bytes())) for file in files)

    def busy(self, *what: str) -> list[tuple[str, int, int]]:
        """Return file, node and pid of those whose last line is one of `what`."""
        found = []
        for file in sorted(self._witness.glob("*.jsonl")):
            last = re.search(rb'"what": "(\w+)"', _last_line(file))
            if last is not None and last[1].decode() in what:
                node, pid, _ = file.stem.split("-")
                found.append((file.stem, int(node), int(pid)))
        return found

    def lost(self, file: str) -> bool:
        """Whether the incarnation that wrote this file was judged lost: then it has no beat any more."""
        text = (self._witness / f"{file}.jsonl").read_bytes()
        keys = re.findall(rb'"worker": (\d+)', text)
        return bool(keys) and not (self._beats / keys[-1].decode()).exists()


def _last_line(file: Path) -> bytes:
    with file.open("rb") as lines:
        lines.seek(max(0, os.fstat(lines.fileno()).st_size - 4096))
        return lines.read().rpartition(b"\n")[0].rpartition(b"\n")[2]


class Nemesis:
    """One bad thing at a time.

    Parameters
    ----------
    ground : Ground
    watch : Watch
    dice : random.Random
    lost_after : float
        Seconds of silence after which a worker is surely judged lost.
    revive : callable
        Starts the keeper of a node that was booted again.
    over : callable
        Whether the band is over.
    """

    def __init__(
        self,
        ground: Ground,
        watch: Watch,
        dice: random.Random,
        *,
        lost_after: float,
        revive: Callable[[int], None],
        over: Callable[[], bool],
    ) -> None:
        self._ground = ground
        self._watch = watch
        self._dice = dice
        self._lost_after = lost_after
        self._revive = revive
        self._over = over
        self._start = time.monotonic()
        self._dead: set[str] = set()
        self.acts: list[Act] = []

    def possible(self) -> list[Fault]:
        """Return what can be done on this ground."""
        everything = self._ground.lease is not None
        return [fault for fault in Fault if everything or fault not in OF_THE_NETWORK]

    def once_each(self) -> None:
        """Do each kind of thing once, in any order."""
        faults = self.possible()
        self._dice.shuffle(faults)
        for fault in faults:
            self.do(fault)

    def until_over(self) -> None:
        """Go on as long as there is work, and do not stop before each kind had its turn."""
        while not self._over():
            self.once_each()

    def do(self, fault: Fault) -> None:
        """Do one thing, undo what does not pass by itself, and wait until the band goes on.

        Raises
        ------
        NoProgress
            If nothing is recorded any more.
        """
        if self._over():
            return
        began = time.monotonic()
        try:
            target = self._DOES[fault](self)
        except BandOver:
            return
        ended = time.monotonic()
        try:
            self.recover(workers=3)
        finally:
            again = time.monotonic() - ended
            at = round(began - self._start, 1)
            self.acts.append(Act(at, fault, target, round(ended - began, 1), round(again, 1)))
        time.sleep(self._dice.uniform(0.5, 3.0))

    def mend(self) -> bool:
        """Switch off and on what stood still without a fault of ours; whether there was any such.

        That is one more fault for the band, which is to survive these very things.
        """
        nodes, silent = self._ground.stood_still(), not self._ground.server_answers()
        for node in nodes:
            self._note(Fault.KILL_NODE, f"node {node}, which stood still")
            self._ground.kill(node)
            self._ground.boot(node)
            self._revive(node)
        if silent:
            self._note(Fault.RESTART_SERVER, "the server, which answered nobody")
            self._ground.restart_server()
        return bool(nodes) or silent

    def _note(self, fault: Fault, target: str) -> None:
        self.acts.append(Act(round(time.monotonic() - self._start, 1), fault, target, 0.0, 0.0))

    def recover(self, workers: int) -> None:
        """Wait until that many more reports were recorded."""
        before, deadline = self._watch.recorded(), time.monotonic() + HOPELESS
        while not self._over() and self._watch.recorded() < before + workers:
            if time.monotonic() > deadline:
                raise NoProgress(f"nothing was recorded for {HOPELESS:.0f} s")
            time.sleep(0.3)

    def _kill_worker(self) -> str:
        file, node, pid = self._somebody()
        self._ground.send(node, pid, signal.SIGKILL)
        self._dead.add(file)
        return f"{pid} on node {node}"

    def _freeze_worker(self) -> str:
        file, node, pid = self._somebody()
        self._ground.send(node, pid, signal.SIGSTOP)
        self._be_silent(self._lost_after, [file])
        self._ground.send(node, pid, signal.SIGCONT)
        return f"{pid} on node {node}"

    def _kill_node(self) -> str:
        node = self._some_node()
        self._ground.kill(node)
        left = self._watch.busy("began", "ended", "reports")
        self._dead |= {file for file, where, _ in left if where == node}
        time.sleep(self._dice.uniform(0.0, self._lost_after))
        self._ground.boot(node)
        self._revive(node)
        return f"node {node}"

    def _freeze_node(self) -> str:
        node = self._some_node()
        self._ground.freeze(node)
        busy = self._watch.busy("began", "ended", "reports")
        asleep = [file for file, where, _ in busy if where == node and file not in self._dead]
        self._be_silent(max(self._lost_after, 1.3 * (self._ground.lease or 0.0)), asleep)
        self._ground.thaw(node)
        return f"node {node}"

    def _cut_node(self) -> str:
        node = self._some_node()
        self._ground.cut(node)
        time.sleep(CUT_FOR)
        self._ground.join(node)
        return f"node {node}"

    def _restart_server(self) -> str:
        self._ground.restart_server()
        return "the server"

    _DOES: Final = {
        Fault.KILL_WORKER: _kill_worker,
        Fault.FREEZE_WORKER: _freeze_worker,
        Fault.KILL_NODE: _kill_node,
        Fault.FREEZE_NODE: _freeze_node,
        Fault.CUT_NODE: _cut_node,
        Fault.RESTART_SERVER: _restart_server,
    }

    def _be_silent(self, seconds: float, asleep: list[str]) -> None:
        """Wait at least so long; and longer, within reason, until one of those was judged lost."""
        time.sleep(seconds * self._dice.uniform(1.0, 1.3))
        deadline = time.monotonic() + WAIT_FOR_A_LOSS
        while asleep and not self._over() and time.monotonic() < deadline:
            if any(self._watch.lost(file) for file in asleep):
                return
            time.sleep(0.2)

    def _some_node(self) -> int:
        return self._dice.randint(1, self._ground.nodes)

    def _somebody(self) -> tuple[str, int, int]:
        """Return one who is in a task, or between its end and the word that it is recorded."""
        wanted = self._dice.choice([("began",), ("ended", "reports")])
        patience, deadline = time.monotonic() + WAIT_FOR_A_REPORT, time.monotonic() + HOPELESS
        while True:
            busy = [who for who in self._watch.busy(*wanted) if who[0] not in self._dead]
            if busy:
                return self._dice.choice(busy)
            if self._over():
                raise BandOver
            if time.monotonic() > patience:
                wanted = ("began", "ended", "reports")
            if time.monotonic() > deadline:
                raise NoProgress("nobody is in a task")
            time.sleep(0.01)
