"""Parsl with its HighThroughputExecutor: one process submits, a pool of workers beside it runs."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import crew, graphs, marks
from benchmarks.places import Place
from benchmarks.runners import Run

HOW: Final = (
    "By the submitting program's clock, from its first submission, when all workers had done a task "
    "already, to the last result: submitting is a part of what Parsl does per task. No encryption, no "
    "monitoring."
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
        Where it logs.
    python : Path
        Of an environment with Parsl.
    """
    crew.prepare(place, folder)
    given = {
        marks.FOLDER: str(folder),
        marks.GRAPH: graph,
        marks.WORKERS: str(workers),
        # it starts programs that lie beside its Python
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }
    said = place.run([str(python), "-m", "benchmarks.runners.parsl"], folder, given)
    took = json.loads(said.splitlines()[-1])
    return Run(by="parsl", graph=graph, workers=workers, how=HOW, **took)


def pause(seconds: float, inputs: Sequence[object] = ()) -> None:  # noqa: ARG001
    """Sleep in a worker, or do nothing; `inputs` is where Parsl looks for what a task depends on."""
    import time

    if seconds:
        time.sleep(seconds)


def gate(folder: str) -> None:
    """Tell that this worker is here, and stay until all are."""
    import os
    import time
    from pathlib import Path

    (Path(folder) / "ready" / str(os.getpid())).touch()
    while not (Path(folder) / "go").read_text():
        time.sleep(0.02)


def main() -> None:
    """Be the submitting program."""
    begun = time.time()
    import parsl
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    folder, workers = Path(os.environ[marks.FOLDER]), int(os.environ[marks.WORKERS])
    executor = HighThroughputExecutor(
        label="here",
        address="127.0.0.1",
        cores_per_worker=1e-6,
        max_workers_per_node=workers,
        encrypted=False,
        provider=LocalProvider(init_blocks=1, max_blocks=1),
    )
    config = Config(executors=[executor], strategy="none", run_dir=str(folder / "parsl"))
    with parsl.load(config):
        wait = parsl.python_app(gate)
        gates = [wait(str(folder)) for _ in range(workers)]
        while len(list((folder / "ready").iterdir())) < workers:
            time.sleep(0.02)
        ready = time.time()
        (folder / "go").write_text("go")
        for future in gates:
            future.result()
        do = parsl.python_app(pause)
        nodes = list(graphs.make(os.environ[marks.GRAPH]))
        made: dict[str, object] = {}
        first = time.time()
        for node in nodes:
            needs = [made[name] for name in node.dependencies]
            made[node.id] = do(node.seconds, inputs=needs)
        for future in made.values():
            future.result()  # type: ignore[attr-defined]  # Parsl has no types
        last = time.time()
    took = {
        "tasks": len(nodes),
        "first_claim": first,
        "last_report": last,
        "with_start_up": ready - begun + last - first,
    }
    print(json.dumps(took))


if __name__ == "__main__":
    main()
