"""The user's workflow file: a module with ``tasks()`` and ``run(task)``."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from slurmband.domain.graph import Graph, check
from slurmband.domain.task import Task
from slurmband.errors import ProgramError, SlurmbandError
from slurmband.graphband.sources import tasks_of


@dataclass(frozen=True, slots=True)
class Program:
    """A workflow file, loaded.

    Parameters
    ----------
    path : Path
    tasks : callable
        Takes nothing, returns an iterable of Task, or a networkx.DiGraph.
    run : callable
        Takes a task and does it; and the band, if it has a parameter of that name.
    """

    path: Path
    tasks: Callable[[], Iterable[Task[Any]]]
    run: Callable[..., object]

    def graph(self) -> Graph:
        """Build and check the graph.

        Raises
        ------
        GraphError
            If it cannot be run.
        ProgramError
            If ``tasks()`` itself raises.
        """
        return check(self.source(), source=f"tasks() in {self.path.name}")

    def source(self) -> Iterator[Task[Any]]:
        """Yield what ``tasks()`` gives, as it comes.

        Raises
        ------
        ProgramError
            If ``tasks()`` itself raises.
        """
        try:
            yield from tasks_of(self.tasks)
        except SlurmbandError:
            raise
        except Exception as error:  # the user's code
            raise ProgramError(
                f"tasks() in {self.path} raised {type(error).__name__}: {error}. "
                "Run it by itself to mend it."
            ) from error

    def running(self, band: object) -> AbstractContextManager[Callable[[Task[Any]], object]]:
        """Return ``run``, with the band for one that wants it."""
        return nullcontext(partial(self.run, band=band) if _takes_band(self.run) else self.run)


def _takes_band(run: Callable[..., object]) -> bool:
    try:
        return "band" in inspect.signature(run).parameters
    except ValueError:  # C code may not say what it takes
        return False


def load(file: str, arguments: Sequence[str] = ()) -> Program:
    """Import a workflow file, as ``python FILE ARGUMENTS`` would see its arguments.

    Parameters
    ----------
    file : str
    arguments : sequence of str
        Become ``sys.argv[1:]``.

    Raises
    ------
    ProgramError
        If there is no such file, it cannot be imported, or lacks ``tasks`` or ``run``.
    """
    path = Path(file).absolute()
    if not path.is_file():
        raise ProgramError(f"no file {file}. Name the workflow file, or a command after --.")
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"workflow_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProgramError(
            f"{file} is no Python file. For another program write: submit … -- COMMAND."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what it defines can be pickled
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code
        raise ProgramError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    missing = [name for name in ("tasks", "run") if not callable(getattr(module, name, None))]
    if missing:
        raise ProgramError(
            f"{file} does not define {' and '.join(f'{name}()' for name in missing)}. A workflow file "
            "has tasks(), which yields Task objects, and run(task), which does one; "
            "a program with a Graphband loop of its own is submitted after --."
        )
    return Program(path, module.tasks, module.run)
