"""What is tried between two sides: the few things that slurmband's locks and files rest on.

Each trial is one function from a pair to a finding. What two machines' caches may lawfully do (a new
name that is seen late) is a note; what slurmband relies on and does not hold is an error.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from slurmband.doctor.findings import Finding, Level
from slurmband.errors import MoveFailed
from slurmband.store.modes import Mode

#: How often each side tries to be first, and how many names it tries in one go.
RACES: Final = 40
NAMES_AT_ONCE: Final = 5
#: How often one writes and the other looks.
LOOKS: Final = 20
_ELSEWHERE: Final = (
    "keep the database on another file system (--db); tell the administrators what was found"
)


class Sides(Protocol):
    """Two sides that make moves; see `slurmband.doctor.pair.Pair`."""

    @property
    def apart(self) -> bool:
        """Whether they are on two machines."""
        ...

    @property
    def between(self) -> str:
        """Who they are."""
        ...

    def ask(self, side: int, move: str, **words: Any) -> Any:
        """Have one make a move."""
        ...

    def both(self, first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]) -> Any:
        """Have both make a move at once."""
        ...


def hard_links(pair: Sides) -> Finding:
    """Let both link to one name at once: the lock of all nodes is such a name."""
    return _race(pair, "hard links", "link_all")


def exclusive_creation(pair: Sides) -> Finding:
    """Let both make one name exclusively at once."""
    return _race(pair, "exclusive names", "create_all")


def _race(pair: Sides, name: str, move: str) -> Finding:
    twice, nobody = 0, 0
    for turn in range(RACES):
        names = [f"{move}-{turn}-{number}" for number in range(NAMES_AT_ONCE)]
        won, also_won = pair.both((move, {"names": names}), (move, {"names": names}))
        twice += sum(one and other for one, other in zip(won, also_won, strict=True))
        nobody += sum(not (one or other) for one, other in zip(won, also_won, strict=True))
    rounds = RACES * NAMES_AT_ONCE
    if twice or nobody:
        faults = f"of {rounds} names, {twice} were had by both sides and {nobody} by neither"
        return Finding(name, Level.ERROR, f"{faults} ({pair.between})", _ELSEWHERE)
    return Finding(name, Level.OK, f"{rounds} races, one winner each ({pair.between})")


def replaced_files(pair: Sides) -> Finding:
    """Read a name while the other side puts one file after the other in its place; then look freshly."""
    name, times = "rename", 200
    pair.ask(0, "replace_often", name="replaced", times=1)
    _, faults = pair.both(
        ("replace_often", {"name": "replaced", "times": times}),
        ("read_often", {"name": "replaced", "times": times}),
    )
    if faults:
        seen = " and ".join(sorted(set(faults)))
        found = f"a file that was replaced was seen as {seen} ({len(faults)} of {times} times)"
        return Finding(name, Level.ERROR, f"{found} ({pair.between})", _ELSEWHERE)
    late = old = 0
    for turn in range(LOOKS):
        writer, text = turn % 2, f"{turn:08}"
        pair.ask(writer, "replace", name="replaced", text=text)
        late += pair.ask(1 - writer, "read", name="replaced") != text
        old += pair.ask(1 - writer, "read_freshly", name="replaced") != text
    return _fresh(pair, name, old, late)


def replaced_links(pair: Sides) -> Finding:
    """Point a symbolic link at another file; in mode shared one says which database is current."""
    for letter in "ab":
        pair.ask(0, "write", name=f"to-{letter}", text=letter)
    old = 0
    for turn in range(LOOKS):
        writer, letter = turn % 2, "ab"[turn // 2 % 2]
        pair.ask(writer, "point", name="pointer", target=f"to-{letter}")
        old += pair.ask(1 - writer, "read_freshly", name="pointer") != letter
    return _fresh(pair, "symbolic links", old, 0)


def rewritten_files(pair: Sides) -> Finding:
    """Write a file, and have the other side open it: it must read what was written."""
    pair.ask(0, "write", name="rewritten", text="as it was")
    old = 0
    for turn in range(LOOKS):
        writer, text = turn % 2, f"turn {turn:04}"
        pair.ask(writer, "rewrite", name="rewritten", text=text)
        old += pair.ask(1 - writer, "read", name="rewritten") != text
    return _fresh(pair, "open after write", old, 0)


def appended_files(pair: Sides) -> Finding:
    """Append lines, and have the other side read all of them: journals are such files."""
    written, old = "", 0
    for turn in range(LOOKS):
        line = f"line {turn}\n"
        written += line
        pair.ask(0, "append", name="appended", text=line)
        old += pair.ask(1, "read", name="appended") != written
    return _fresh(pair, "append", old, 0)


def new_names(pair: Sides) -> Finding:
    """Look for a file in vain, make it on the other side, and look again."""
    late = old = 0
    for turn in range(LOOKS):
        maker, name = turn % 2, f"made-{turn}"
        pair.ask(1 - maker, "read", name=name)
        pair.ask(maker, "write", name=name, text=name)
        late += pair.ask(1 - maker, "read", name=name) != name
        old += pair.ask(1 - maker, "read_freshly", name=name) != name
    return _fresh(pair, "new names", old, late)


def _fresh(pair: Sides, name: str, old: int, late: int) -> Finding:
    """Say how often the other side saw what is no more: after asking the server, and at first."""
    if old:
        found = f"{old} of {LOOKS} times what was no more was seen ({pair.between})"
        return Finding(name, Level.ERROR, found, _ELSEWHERE)
    if late:
        found = f"{late} of {LOOKS} seen late ({pair.between})"
        return Finding(
            name, Level.OK, f"{found}, but at once by asking the server, as slurmband does"
        )
    return Finding(name, Level.OK, f"{LOOKS} of {LOOKS} seen at once ({pair.between})")


def fcntl_locks(pair: Sides) -> Finding:
    """Let one side hold a POSIX lock, and the other try: SQLite uses these."""
    name = "fcntl locks"
    for holder, other in ((0, 1), (1, 0)):
        try:
            had = pair.ask(holder, "lock", name="locked")
            shared = had and pair.ask(other, "lock", name="locked")
        except MoveFailed as fault:
            found = f"refused: {fault} ({pair.between})"
            return Finding(name, Level.ERROR, found, f"SQLite cannot work without: {_ELSEWHERE}")
        if not had:
            found = f"one that nobody held was not to be had ({pair.between})"
            return Finding(name, Level.ERROR, found, _ELSEWHERE)
        pair.ask(holder, "unlock", name="locked")
        if shared:
            return _not_excluded(pair)
    return Finding(name, Level.OK, f"held by one, refused to the other ({pair.between})")


def _not_excluded(pair: Sides) -> Finding:
    found = f"both sides held one lock at once ({pair.between})"
    if pair.apart:
        advice = (
            "slurmband's own lock does not need them; never open the database with another program "
            "while workers run, and ask for a mount on which locks reach all nodes"
        )
        return Finding("fcntl locks", Level.WARNING, found, advice)
    return Finding("fcntl locks", Level.ERROR, found, _ELSEWHERE)


Trial = Callable[[Sides], Finding]
#: In this order; each with what is said while it runs.
TRIALS: Final[Sequence[tuple[str, Trial]]] = (
    ("hard links", hard_links),
    ("exclusive names", exclusive_creation),
    ("rename", replaced_files),
    ("symbolic links", replaced_links),
    ("open after write", rewritten_files),
    ("append", appended_files),
    ("new names", new_names),
    ("fcntl locks", fcntl_locks),
)


def run(pair: Sides, name: str, trial: Trial, mode: str | None) -> Finding:
    """Make one trial; what the file system refuses is a finding as well."""
    try:
        return trial(pair)
    except MoveFailed as fault:
        needed = name != "symbolic links" or mode != Mode.LOCAL
        level = Level.ERROR if needed else Level.WARNING
        return Finding(name, level, f"refused: {fault} ({pair.between})", _ELSEWHERE)
