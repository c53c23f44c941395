"""What was found, how much it matters, and the verdict that follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"  #: as it should be
    NOTE = "note"  #: good to know, nothing to do
    WARNING = "warning"  #: works, but something is to be done or to be kept in mind
    ERROR = "error"  #: a band is not safe here as it is


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        What was looked at, in a word or two.
    level : Level
    found : str
        What was found, as a sentence without its full stop.
    advice : str, default ""
        What to do.
    """

    name: str
    level: Level
    found: str
    advice: str = ""


def worst(findings: Sequence[Finding]) -> Level:
    """Return the level of the gravest finding."""
    grades = list(Level)
    return max((finding.level for finding in findings), key=grades.index, default=Level.OK)


def verdict(findings: Sequence[Finding], mode: str | None) -> str:
    """Say in one line whether a band is safe here.

    Parameters
    ----------
    findings : sequence of Finding
    mode : str or None
        The one that a database has here; None: it is refused.
    """
    mattering = [
        finding.name for finding in findings if finding.level in (Level.WARNING, Level.ERROR)
    ]
    in_mode = f", mode {mode}" if mode else ""
    match worst(findings):
        case Level.ERROR:
            errors = [finding.name for finding in findings if finding.level is Level.ERROR]
            return f"not safe here: {', '.join(dict.fromkeys(errors))}"
        case Level.WARNING:
            return f"safe with warnings{in_mode}: {', '.join(dict.fromkeys(mattering))}"
        case _:
            return f"safe{in_mode}"
