"""The graph of the workload that clusters are tested with."""

import pytest

from tests.cluster.workload import layered

pytestmark = pytest.mark.unit


def test_one_seed_is_one_graph() -> None:
    assert layered(100, 10, seed=7) == layered(100, 10, seed=7)
    assert layered(100, 10, seed=7) != layered(100, 10, seed=8)


@pytest.mark.parametrize(("count", "layers"), [(600, 50), (100, 7), (3, 3), (5, 1)])
def test_a_task_depends_on_layers_above_it(count: int, layers: int) -> None:
    graph = layered(count, layers, seed=1)

    width = -(-count // layers)
    layer = {name: number // width for number, name in enumerate(graph)}
    assert len(graph) == count
    for name, needs in graph.items():
        assert all(layer[above] < layer[name] for above in needs)
        assert any(layer[above] == layer[name] - 1 for above in needs) == (layer[name] > 0)
