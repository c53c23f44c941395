"""What a program may give for its graph, turned into tasks: an iterable, a callable, a DiGraph."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from slurmband.domain.task import Task
from slurmband.errors import BadTask, UsageError

T = TypeVar("T")


@runtime_checkable
class NetworkxGraph(Protocol):
    """What tells a graph of networkx from other things; networkx itself is never imported."""

    @property
    def nodes(self) -> Any:
        """Node -> its attributes, in order, when asked for ``data=True``."""

    @property
    def edges(self) -> Any:
        """Pairs of nodes: the second depends on the first."""

    def is_directed(self) -> bool:
        """Whether edges have a direction."""

    def is_multigraph(self) -> bool:
        """Whether there may be several edges between two nodes."""


GraphSource = Iterable[Task[T]] | NetworkxGraph | Callable[[], Iterable[Task[T]] | NetworkxGraph]


def tasks_of(source: GraphSource[T]) -> Iterable[Task[T]]:
    """Return the tasks of a source; a callable is called once for it.

    Parameters
    ----------
    source : iterable of Task, networkx.DiGraph, or callable that returns either

    Returns
    -------
    iterable of Task
        Not checked yet, and not read yet where the source is lazy.

    Raises
    ------
    BadTask
        If a graph of networkx has no directions or parallel edges, or two nodes of one name.
    UsageError
        If `source` is none of these.
    """
    if isinstance(source, NetworkxGraph):
        return _of_networkx(source)
    if callable(source):
        return tasks_of(source())
    if not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
        raise UsageError(
            f"no graph can be made of {source!r}. Give an iterable of Task, a function that returns "
            "one, or a networkx.DiGraph."
        )
    return source


def is_used_up(source: object) -> bool:
    """Whether a source can be read only once: a generator, and not the function that makes it."""
    return isinstance(source, Iterator)


# --- networkx -----------------------------------------------------------------------------------

#: What a node may say of its task by an attribute of that name.
_FIELDS: Final = frozenset(field.name for field in fields(Task)) - {"id", "info", "attempt"}


def _of_networkx(graph: NetworkxGraph) -> Iterator[Task[Any]]:
    if not graph.is_directed():
        raise BadTask(
            "the graph of networkx is undirected, so that it does not say what depends on what. Make "
            "it a networkx.DiGraph: an edge from u to v means that v depends on u."
        )
    if graph.is_multigraph():
        raise BadTask(
            "the graph of networkx is a multigraph, and a task depends on another only once. Make it "
            "a simple one: networkx.DiGraph(graph)."
        )
    names: dict[Any, str] = {}
    written: dict[str, Any] = {}
    for node in graph.nodes:
        name = names[node] = node.id if isinstance(node, Task) else str(node)
        if name in written:
            raise BadTask(
                f"the nodes {written[name]!r} and {node!r} are both written {name!r}, which can name "
                "only one task. Rename one: networkx.relabel_nodes."
            )
        written[name] = node
    needs: dict[Any, set[str]] = {}
    for upstream, downstream in graph.edges:
        needs.setdefault(downstream, set()).add(names[upstream])
    for node, attributes in graph.nodes(data=True):
        yield _of_node(node, names[node], attributes, needs.get(node, set()))


def _of_node(node: object, name: str, attributes: Mapping[str, Any], needs: set[str]) -> Task[Any]:
    if isinstance(node, Task):
        return replace(node, dependencies={*node.dependencies, *needs}) if needs else node
    given = {key: value for key, value in attributes.items() if key in _FIELDS}
    own = given.pop("dependencies", ())
    rest = {key: value for key, value in attributes.items() if key not in {*_FIELDS, "info"}}
    return Task(
        name,
        dependencies={own, *needs} if isinstance(own, str) else {*own, *needs},
        info={**attributes.get("info", {}), **rest},
        **given,
    )
