"""Graphs that are hard on whoever hands out tasks: a chain, and one task that frees a thousand."""

from benchmarks.figures import Figure
from benchmarks.how import How
from benchmarks.measures import throughput


def measure(how: How) -> list[Figure]:
    """Measure tasks per second in a chain, and from one task to many and back to one.

    Parameters
    ----------
    how : How
    """
    long, wide = how.pick(200, 20), how.pick(1000, 40)
    return [
        *throughput.on(how, f"chain:{long}", f"chain of {long} tasks"),
        *throughput.on(how, f"fan:{wide}", f"one task to {wide} and back to one"),
    ]
