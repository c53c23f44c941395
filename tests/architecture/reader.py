"""Somebody who does what a page says, step by step, and sees whether it comes out as the page shows."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.architecture import markdown
from tests.integration.band import Band

#: What a page cannot know beforehand, and what stands for it: times, and numbers of some size.
_VARYING: Final = (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}",
    r"\d+\.\d+(?= s)",
    r"\d+(?= times?,)",
    r"(?<![\w=:-])\d{2,}(?![\w:-])",
)
#: The reader's directory, as pages have it.
_HOME: Final = "/home/ada/study"
NOTHING: Final[Mapping[str, Callable[[], object]]] = {}
#: Seconds for what a page shows to come true.
PATIENCE: Final = 60.0
#: Commands that do something each time; others may be given again until they show what is to come.
_ONCE: Final = {"submit", "retry", "cancel", "stop", "recover", "reap-dead"}


def shows(page: str, printed: str) -> bool:
    """Say whether what was printed is what the page shows, but for what is another one each time.

    Where the page has ``...``, anything may stand; lines may be broken elsewhere.
    """
    pattern = re.escape(_plain(page)).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, _plain(printed)) is not None


def _plain(text: str) -> str:
    for varying in _VARYING:
        text = re.sub(varying, "#", text)
    lines = [line for line in text.splitlines() if line.strip("- ")]
    return " ".join(" ".join(lines).split())


@dataclass
class Reader:
    """Works in a band's folder, and has written the files of a page there.

    Parameters
    ----------
    band : Band
    page : Path
    instead : dict of str to str, optional
        What is written and typed instead of what the page says, where that would take long.
    """

    band: Band
    page: Path
    instead: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for block in markdown.blocks(self.page):
            for name in block.files:
                self.band.write(name, self._here(block.text))

    def follow(self, *sections: str, after: Mapping[str, Callable[[], object]] = NOTHING) -> None:
        """Give the commands of a page, or of some of its sections; "" is what comes before them.

        Parameters
        ----------
        *sections : str
        after : mapping of str to callable
            What happens on the cluster after a command that begins so.
        """
        for section in sections or (None,):
            given = [
                each for b in markdown.blocks(self.page, section=section) for each in b.examples
            ]
            assert given, f"nothing to do in {section!r} of {markdown.name(self.page)}"
            for line, shown in given:
                self.give(line, shown)
                for begin, happens in after.items():
                    if line.startswith(begin):
                        happens()

    def give(self, line: str, shown: str) -> None:
        """Give one command, again and again if it may be, until it prints what the page shows."""
        said, deadline = "", time.monotonic() + PATIENCE
        fails = shown.startswith("slurmband: ")
        while True:
            code, said = self._run(line)
            told = f"{markdown.name(self.page)}: `{line}` ended with {code} and printed:\n{said}"
            assert (code != 0) == fails, told
            if not shown or shows(shown, said):
                return
            patience = _ONCE.isdisjoint(line.split()) and time.monotonic() < deadline
            assert patience, f"{told}\nand not:\n{shown}"

    def _run(self, line: str) -> tuple[int, str]:
        # Whoever has installed slurmband has the command, and its Python, on PATH.
        path = f"{Path(sys.executable).parent}:{self.band.environ.get('PATH', os.defpath)}"
        done = subprocess.run(
            ["bash", "-c", self._here(line)],
            cwd=self.band.folder,
            env=self.band.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        return done.returncode, done.stdout.replace(str(self.band.folder), _HOME)

    def _here(self, text: str) -> str:
        for page, here in self.instead.items():
            text = text.replace(page, here)
        return text
