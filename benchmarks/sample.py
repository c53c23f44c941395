"""A worker that does ten tasks and leaves, however large the graph is."""

import argparse

from benchmarks.workflow import run, tasks
from slurmband import Graphband


def main() -> None:
    """Work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--growing", action="store_true", help="read the graph as work goes on")
    with Graphband(tasks, growing=parser.parse_args().growing) as band:
        for done, task in enumerate(band, start=1):
            run(task)
            if done == 10:
                band.close()


if __name__ == "__main__":
    main()
