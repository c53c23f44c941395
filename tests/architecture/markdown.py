"""Reading the documentation as data: its pages, code blocks, links and shell lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, the words behind the fence, and its text."""

    page: Path
    words: tuple[str, ...]
    text: str

    @property
    def files(self) -> list[str]:
        """The file that the block is: a word behind the fence with a dot in it."""
        return [word for word in self.words if "." in word]

    @property
    def examples(self) -> list[tuple[str, str]]:
        """The commands that are given in the block, each with what is shown below it."""
        given = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(line, shown) for line, _, shown in (each.partition("\n") for each in given)]

    def __str__(self) -> str:
        return f"{name(self.page)}: {self.text.strip().splitlines()[0][:40]}"


def name(page: Path) -> str:
    """Name a page for people."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, *, section: str | None = None) -> Iterator[Block]:
    """Return the fenced blocks of a page, or of one of its sections; "" is what comes before them."""
    within = page.read_text()
    if section is not None:
        within = within.partition(f"\n## {section}\n")[2] if section else within
        within = within.partition("\n## ")[0]
    for words, text in _FENCE.findall(within):
        yield Block(page, tuple(words.split()), text)


def python_blocks(*, marked: str | None = None) -> list[Block]:
    """Return all blocks of Python, or those marked: "run" as programs, "submit" as workflow files."""
    found = (block for page in PAGES for block in blocks(page) if block.words[:1] == ("python",))
    return [block for block in found if marked is None or marked in block.words]


def command_blocks() -> list[Block]:
    """Return all blocks that are lists of commands."""
    return [
        block
        for page in PAGES
        for block in blocks(page)
        if any(word.startswith("commands") for word in block.words)
    ]


def links(page: Path) -> Iterator[str]:
    """Return the relative links of a page."""
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" not in target:
            yield target


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def shell_lines(page: Path, *, until: str | None = None) -> list[str]:
    """Return the lines that call slurmband, up to a heading."""
    text = page.read_text().partition(f"\n## {until}\n")[0] if until else page.read_text()
    return re.findall(r"^\$ (slurmband .*)$", text, re.MULTILINE)
