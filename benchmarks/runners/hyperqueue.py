"""HyperQueue: a server that hands out programs to workers; its Python package brings both along."""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import crew, graphs, marks
from benchmarks.places import Place
from benchmarks.runners import Run

HOW: Final = (
    "By the submitting program's clock, from the submission of the whole graph to a server whose "
    "workers had done a task each, to a file that one more task makes, which depends on all others: its "
    "client looks only once a second. Its tasks are programs, `true` or `sleep`. Server and workers are "
    "threads of one process, as its Python package starts them."
)


def run(place: Place, graph: str, workers: int, folder: Path, *, python: Path) -> Run:
    """Run a graph once.

    Parameters
    ----------
    place : Place
    graph : str
        As `graphs.make` reads it.
    workers : int
    folder : Path
        Where the server keeps its files.
    python : Path
        Of an environment with hyperqueue.
    """
    crew.prepare(place, folder)
    given = {marks.FOLDER: str(folder), marks.GRAPH: graph, marks.WORKERS: str(workers)}
    said = place.run([str(python), "-m", "benchmarks.runners.hyperqueue"], folder, given)
    took = json.loads(said.splitlines()[-1])
    return Run(by="hyperqueue", graph=graph, workers=workers, how=HOW, **took)


def main() -> None:
    """Be server, workers and submitting program."""
    begun = time.time()
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    folder, workers = Path(os.environ[marks.FOLDER]), int(os.environ[marks.WORKERS])
    silent = {"stdout": None, "stderr": None}
    with LocalCluster(str(folder / "server")) as cluster:
        for _ in range(workers):
            cluster.start_worker(WorkerConfig(cores=1))
        client = cluster.client()
        warm = Job(default_workdir=str(folder))
        for _ in range(workers):
            warm.program(["sleep", "0.2"], **silent)
        client.wait_for_jobs([client.submit(warm)])
        ready = time.time()

        job = Job(default_workdir=str(folder))
        made: dict[str, Any] = {}
        for node in graphs.make(os.environ[marks.GRAPH]):
            words = ["sleep", str(node.seconds)] if node.seconds else ["true"]
            needs = [made[name] for name in node.dependencies]
            made[node.id] = job.program(words, deps=needs, **silent)
        end = folder / "end"
        job.program(["touch", str(end)], deps=list(made.values()), **silent)
        first = time.time()
        client.wait_for_jobs([client.submit(job)])
        last = end.stat().st_mtime
    took = {
        "tasks": len(made),
        "first_claim": first,
        "last_report": last,
        "with_start_up": ready - begun + last - first,
    }
    print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
