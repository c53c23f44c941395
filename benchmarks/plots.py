"""Pictures of the results: cost over tasks and workers, waiting, growth, and the time of questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure
from benchmarks.report import Results


class NoMatplotlib(Exception):
    """The pictures need a package that is not there."""


@dataclass(frozen=True)
class Plot:
    """One picture.

    Parameters
    ----------
    name : str
        Of the file.
    measure : str
    begins : str
        What `Figure.what` of its figures begins with.
    across, up : str
        What the axes are.
    log : bool
        Whether the axis across is logarithmic.
    """

    name: str
    measure: str
    begins: str
    across: str
    up: str
    log: bool = True


PLOTS: Final = (
    Plot("cost-over-tasks", "tasks", "cost per task", "tasks in the graph", "ms per task"),
    Plot("cost-over-workers", "workers", "cost per task", "workers", "ms per task"),
    Plot("cost-on-slow-files", "slow_files", "cost per task", "tasks in the graph", "ms per task"),
    Plot("waiting", "workers", "share of a worker's time", "workers", "% of the time"),
    Plot("growth", "growth", "size of the database", "attempts", "MB", log=False),
    Plot("questions", "queries", "slurmband", "tasks in the graph", "s"),
)


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw all pictures for which there are figures.

    Parameters
    ----------
    results : Results
    folder : Path
        Where they go, as PNG.

    Returns
    -------
    list of Path
        The pictures.

    Raises
    ------
    NoMatplotlib
        If it is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise NoMatplotlib(
            "there is no matplotlib here. Install it with: pip install 'slurmband[benchmarks]'"
        ) from error
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for plot in PLOTS:
        found = [
            figure
            for figure in results.measures.get(plot.measure, [])
            if figure.what.startswith(plot.begins) and figure.at is not None
        ]
        if found:
            file = folder / f"{plot.name}.png"
            _draw(plot, found, file, f"{results.commit}, {results.machine['cpu']}")
            drawn.append(file)
    return drawn


def _draw(plot: Plot, figures: Sequence[Figure], file: Path, title: str) -> None:
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(7, 4.2), layout="constrained")
    axes = picture.subplots()
    for name in dict.fromkeys(figure.of for figure in figures):
        of_name = [f for f in figures if f.of == name]
        points = [(f.at, f.value) for f in of_name if f.at is not None and f.value is not None]
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    if plot.log:
        axes.set_xscale("log")
        places = sorted({figure.at for figure in figures if figure.at is not None})
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(plot.across)
    axes.set_ylabel(plot.up)
    axes.set_title(title, fontsize="small")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    picture.savefig(file, dpi=150)
