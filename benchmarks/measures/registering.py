"""Registering large graphs: 100 000 tasks with 500 000 dependencies, and 1 000 onto 1 000."""

from benchmarks.figures import Figure, median
from benchmarks.how import How
from benchmarks.runners import slurmband


def measure(how: How) -> list[Figure]:
    """Measure reading and checking, writing, and what lies on the disk afterwards.

    Parameters
    ----------
    how : How
    """
    figures = []
    for graph in how.pick(("layered:100000:5", "onto:1000"), ("layered:500:5", "onto:20")):
        read, wrote, sizes, peaks = [], [], [], []
        for _ in how.repeats(3):
            with how.place() as (here, folder):
                here.make(folder)
                took = slurmband.register(here, folder, slurmband.settings(graph, 0, how.environ))
                read.append(took["read"])
                wrote.append(took["register"])
                peaks.append(took["peak_rss"] / 1e6)
                sizes.append((folder / "slurmband.sqlite").stat().st_size / 1e6)
        for what, unit, values in (
            ("read and check", "s", read),
            ("register", "s", wrote),
            ("size of the database of", "MB", sizes),
            ("memory at the peak to register", "MB", peaks),
        ):
            value = median(values)
            figures.append(
                Figure(
                    what=f"{what} {graph}", value=value, unit=unit, repeats=values, better="less"
                )
            )
    return figures
