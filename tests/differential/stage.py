"""A stage on which a script of events is played with either library, and what a user sees is noted.

A script is a function that takes a `Stage`. It makes workers, each a band of its own over one graph, and
tells them what to do; what they then get, or are told, becomes a line of `Stage.seen`.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.differential.library import LIBRARIES, Band, Library, Node
from tests.integration.band import ROOT, wait_for


class Player:
    """One worker in this process.

    Parameters
    ----------
    stage : Stage
    name : str
        Its identifier.
    options : dict
        Of its band.
    """

    def __init__(self, stage: "Stage", name: str, options: dict[str, object]) -> None:
        self._stage = stage
        self.name = name
        self._options = options
        self._band: Band | None = None
        self._iterator: Iterator[object] | None = None
        #: The id of the task in hand.
        self.in_hand: str | None = None

    @property
    def band(self) -> Band:
        """Its band; made when first asked for."""
        if self._band is None:
            self._band = self._stage.library.band(
                self._stage.graph, self._stage.folder, identifier=self.name, **self._options
            )
        return self._band

    def take(self) -> str | None:
        """Complete the task in hand and go for the next, as a ``for`` loop does; return its id."""
        word, task = self.advance()
        self._stage.say(f"{self.name} {word}")
        return task

    def advance(self) -> tuple[str, str | None]:
        """Do as `take` does, and return what to say of it, and the task."""
        self.in_hand = None
        try:
            if self._iterator is None:
                self._iterator = iter(self.band)
            task = str(next(self._iterator).id)  # type: ignore[attr-defined]  # a Task of either
        except StopIteration:
            self._iterator = None
            return "is through", None
        except Exception as error:
            self._iterator = None
            return f"is {self._stage.library.word(error)}", None
        self.in_hand = task
        return f"takes {task}", task

    def fail(self) -> None:
        """Leave the loop in the middle of the task in hand."""
        assert self._iterator is not None
        self.in_hand = None
        self._iterator.close()  # type: ignore[attr-defined]  # it is a generator in both
        self._iterator = None

    def close(self) -> None:
        """Ask the band to end the loop after the task in hand."""
        self.band.close()

    def ask(self) -> None:
        """Ask whether there is more to do."""
        self._stage.say(f"{self.name}: {'more' if self.band.has_more_jobs else 'no more'}")

    def loop(self) -> list[str]:
        """Take and complete what one loop over the band gives, from its beginning to its end."""
        taken = []
        while task := self.take():
            taken.append(task)
        return taken

    def loop_until(self, condition: Callable[[], object], *, what: str) -> None:
        """Loop over the band again and again, silently where it gives nothing."""

        def once_more() -> object:
            task: str | None = ""
            while task is not None:
                word, task = self.advance()
                if task is not None:
                    self._stage.say(f"{self.name} {word}")
            return condition()

        wait_for(once_more, what=what)

    def go(self) -> None:
        """Leave the stage, whatever is in hand."""
        if self._iterator is not None:
            self.fail()
        if self._band is not None:
            self._stage.library.end(self._band)


class Child:
    """One worker in a process of its own: can be stopped, thawed and killed."""

    def __init__(self, stage: "Stage", name: str, options: dict[str, object]) -> None:
        self._stage = stage
        self.name = name
        graph = [[node.id, node.needs, node.requires, node.slots] for node in stage.graph]
        told = json.dumps({"graph": graph, "options": {"identifier": name} | options})
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.differential.child"),
                *(stage.library.name, str(stage.folder), told),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def take(self) -> None:
        """Complete the task in hand and go for the next, as a ``for`` loop does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone, and so is its answer
            os.write(self._process.stdin.fileno(), b"take\n")
        ready, _, _ = select.select([self._process.stdout], [], [], 120)
        assert ready, f"not within 120 s: an answer of {self.name}"
        answer = self._process.stdout.readline().decode().strip()
        self._stage.say(f"{self.name} {answer or f'ended by {self.ended_by()}'}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def ended_by(self) -> str:
        """Wait for its end, and name the signal it ended by."""
        return signal.Signals(-self._process.wait(timeout=120)).name

    def kill(self) -> None:
        """Kill it without a warning."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def go(self) -> None:
        """Leave the stage."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        self._process.stdin.close()
        self._process.stdout.close()


@dataclass
class Stage:
    """One graph, one database, and what was seen so far.

    Parameters
    ----------
    library : Library
    folder : Path
        An empty one.
    """

    library: Library
    folder: Path
    graph: Sequence[Node] = ()
    seen: list[str] = field(default_factory=list)
    _on_it: ExitStack = field(default_factory=ExitStack)

    def say(self, line: str) -> None:
        """Note what a user sees."""
        self.seen.append(line)

    def worker(self, name: str = "one", *, entered: bool = False, **options: object) -> Player:
        """Bring on a worker; `entered`: within ``with band:``."""
        player = Player(self, name, options)
        if entered:
            self._on_it.enter_context(player.band)
        self._on_it.callback(player.go)
        return player

    def child(self, name: str, **options: object) -> Child:
        """Bring on a worker in a process of its own."""
        child = Child(self, name, options)
        self._on_it.callback(child.go)
        return child

    def stands(self, task: str) -> str:
        """Say what last happened to a task."""
        return self.library.stands(self.folder).get(task, "untouched")

    def look(self) -> None:
        """Note how every task stands."""
        stands = self.library.stands(self.folder)
        words = (f"{node.id} {stands.get(node.id, 'untouched')}" for node in self.graph)
        self.say(", ".join(words))

    def clear(self) -> None:
        """Send everybody away."""
        self._on_it.close()


Script = Callable[[Stage], None]


def play(script: Script, library: str, folder: Path) -> list[str]:
    """Play a script with a library, in a folder of its own; return what was seen."""
    home = folder / library
    home.mkdir()
    stage = Stage(LIBRARIES[library], home)
    try:
        script(stage)
    finally:
        stage.clear()
    return stage.seen
