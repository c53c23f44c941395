"""A store on a real SQLite file, and the bench to work at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmband.store.database import Store
from tests.store.builders import Bench


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "slurmband.sqlite", mode="local", create=True)
    yield made
    made.close()


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)
