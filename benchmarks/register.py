"""Register the graph that the environment names, and print what that took as JSON."""

import json
import resource
import time

from benchmarks.workflow import tasks
from slurmband import Graphband


def main() -> None:
    """Read the graph, check it, and register it."""
    begun = time.perf_counter()
    band = Graphband(tasks)
    band.graph  # noqa: B018  # made when first asked for
    read = time.perf_counter()
    band.register()
    took = {
        "read": read - begun,
        "register": time.perf_counter() - read,
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(took))


if __name__ == "__main__":
    main()
