"""The results, as JSON for programs and as a Markdown table for people."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tabulate import tabulate

from benchmarks.figures import Figure

FORMAT: Final = 1


@dataclass
class Results:
    """All figures of one run.

    Parameters
    ----------
    date : str
        UTC.
    commit : str
    quick : bool
        True: nothing but proof that it runs.
    machine : dict
        See `machine.describe`.
    measures : dict of str to list of Figure
    runs : list of dict
        Each run of a graph, with how it was measured.
    """

    date: str
    commit: str
    quick: bool
    machine: dict[str, Any]
    measures: dict[str, list[Figure]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write ``results.json`` and ``results.md``."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = {"format": FORMAT, **asdict(self)}
        (folder / "results.json").write_text(json.dumps(kept, indent=1) + "\n")
        (folder / "results.md").write_text("\n".join(self._lines()) + "\n")

    @classmethod
    def read(cls, file: Path) -> "Results":
        """Read ``results.json``.

        Raises
        ------
        ValueError
            If it is of another format.
        """
        kept = json.loads(file.read_text())
        if kept.pop("format", None) != FORMAT:
            raise ValueError(f"{file} is not a results.json of this program.")
        measures = {
            name: [Figure(**figure | {"repeats": tuple(figure["repeats"])}) for figure in figures]
            for name, figures in kept.pop("measures").items()
        }
        return cls(**kept, measures=measures)

    def _lines(self) -> Iterator[str]:
        yield f"# Benchmarks of {self.commit}, {self.date}"
        yield ""
        if self.quick:
            yield "Quick form: it shows that everything runs. The figures mean nothing."
            yield ""
        yield from (f"- {name.replace('_', ' ')}: {value}" for name, value in self.machine.items())
        for name, figures in self.measures.items():
            notes = dict.fromkeys(f"{f.of}: {f.note}" for f in figures if f.note)
            yield ""
            yield f"## {name}"
            yield ""
            yield tabulate(
                [_row(figure) for figure in figures],
                headers=["what", "of", "figure", "target", "ratio", "repeats"],
                tablefmt="pipe",
                disable_numparse=True,
            )
            yield ""
            yield from (f"- {note}" for note in notes)


def _row(figure: Figure) -> Sequence[str]:
    return [
        figure.what,
        figure.of,
        "-" if figure.value is None else f"{_short(figure.value)} {figure.unit}".strip(),
        _target(figure),
        "" if figure.ratio is None else f"{_short(figure.ratio)} times {figure.ratio_to}",
        str(len(figure.repeats) or ""),
    ]


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "≤" if figure.better == "less" else "≥"
    verdict = "" if figure.met is None else ", met" if figure.met else ", missed"
    return f"{sign} {_short(figure.target)} {figure.unit}".strip() + verdict


def _short(value: float) -> str:
    """Write three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
